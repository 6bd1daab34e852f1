import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.neighbors import KNeighborsClassifier

from meshconv.datasets.folder import FolderDataset
from meshconv.datasets.procedural import ProceduralFaces
from meshconv.errors import ArgumentError, MeshIOError
from meshconv.estimators.classifier import SurfaceClassifier
from meshconv.io import save
from meshconv.mesh.shapes import face
from meshconv.registration.template import Template
from meshconv.train.validate import cross_validate


def test_a_subject_never_helps_to_predict_itself():
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(40), 2)
    x = rng.normal(size=(40, 3))[subjects]  # two identical scans of each; labels mean nothing
    labels = rng.permutation(np.arange(40) % 2)[subjects]
    nearest = KNeighborsClassifier(1)
    assert cross_validate(nearest, x, labels).metrics.accuracy > 0.7  # the twin gives it away
    honest = cross_validate(nearest, x, labels, subjects=subjects)
    assert honest.metrics.intervals["accuracy"][0] < 0.55
    assert len(honest.folds) == 5 and honest.probabilities.shape == (80, 2)


def test_intervals_are_of_subjects_not_of_scans():
    rng = np.random.default_rng(1)
    subjects = np.repeat(np.arange(30), 6)
    labels = np.arange(30)[subjects] % 2
    x = (rng.normal(size=(30, 2)) + 1.5 * (np.arange(30) % 2)[:, None])[subjects]
    found = cross_validate(KNeighborsClassifier(31), x, labels, subjects=subjects).metrics
    low, high = found.intervals["accuracy"]
    share = found.accuracy
    assert 0.6 < share < 0.95 and high - low > 0.8 * 2 * 1.96 * np.sqrt(share * (1 - share) / 30)


def test_every_fold_has_a_checkpoint_of_its_own(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(12) % 2
    images = rng.normal(size=(12, 1, 9, 9)) + labels[:, None, None, None]
    options = {"network_size": 5, "epochs": 2, "width": 2}
    plain = cross_validate(SurfaceClassifier(**options), images, labels, folds=2)
    kept = SurfaceClassifier(checkpoint=tmp_path / "run.ckpt", **options)
    for _ in range(2):  # the second time, each fold goes on from its own
        np.testing.assert_array_equal(
            cross_validate(kept, images, labels, folds=2).probabilities, plain.probabilities
        )
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "run.fold0.ckpt",
            "run.fold1.ckpt",
        ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Nine scans, of which the last two are cut short, and a table of them."""
    tmp_path, rows = tmp_path_factory.mktemp("scans"), ["file,label,subject"]
    for k, scan in enumerate(ProceduralFaces(9, n_vertices=120)):
        save(tmp_path / f"{k}.ply", scan.surface)
        rows.append(f"{k}.ply,{'ab'[k % 2]},{k // 2 if k < 4 else k}")
    for k in (7, 8):
        (tmp_path / f"{k}.ply").write_bytes((tmp_path / f"{k}.ply").read_bytes()[:400])
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    return FolderDataset(tmp_path)


@pytest.mark.parametrize("form", ["paths", "population"])
def test_bad_scans_are_skipped_where_the_classifier_is_to_skip_them(folder, form):
    scans = folder if form == "population" else [entry.path for entry in folder.entries]
    options = {
        "size": 17,
        "network_size": 9,
        "epochs": 1,
        "width": 2,
        "template": Template.from_surface(face(120)),
    }
    options["cache"] = folder.folder / "cache"
    found = cross_validate(
        SurfaceClassifier(on_error="skip", **options), scans, folder.labels, folds=2
    )
    assert [one.index for one in found.skipped] == [7, 8] and found.metrics.n == 7
    assert all(str(k) + ".ply" in one.name for k, one in zip((7, 8), found.skipped, strict=True))
    assert np.isnan(found.probabilities[7:]).all() and np.isfinite(found.probabilities[:7]).all()
    assert sum(fold.n for fold in found.folds) == 7
    with pytest.raises(MeshIOError, match=r"[78]\.ply"):
        cross_validate(SurfaceClassifier(**options), scans, folder.labels, folds=2)


def test_lengths_must_agree():
    with pytest.raises(ArgumentError, match="inconsistent numbers of samples"):
        cross_validate(DummyClassifier(), np.zeros((4, 1)), [0, 1])
