"""The whole way on generated faces, and `SurfaceClassifier`'s manners beyond scikit-learn's own
checks.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from meshconv import Surface
from meshconv.datasets.procedural import ProceduralFaces
from meshconv.errors import (
    ArgumentError,
    ArrayTypeError,
    CheckpointError,
    MeshConvWarning,
    TopologyError,
)
from meshconv.estimators.classifier import SurfaceClassifier
from meshconv.mesh.shapes import face, face_effect, icosphere
from meshconv.nn.equalize import density_error, normalize_density, smooth_upsample
from meshconv.nn.sample import node_grid
from meshconv.registration.template import Template
from meshconv.saliency.evaluate import agreement
from meshconv.train.checkpoint import read_checkpoint, write_checkpoint
from meshconv.train.config import PrepareConfig
from meshconv.train.prepare import prepare

EFFECT, SIZE = "cheek_left", 65
OPTIONS = {"size": SIZE, "network_size": 17, "epochs": 15, "batch_size": 16, "verdict": 0}


@pytest.fixture(scope="session")
def frame():
    return Template.from_surface(face(900))


@pytest.fixture(scope="session")
def population(frame):
    """Training and test images: unregistered scans, each with an identity, triangles, pose and
    noise of its own.
    """
    made = [
        ProceduralFaces(n, EFFECT, 6.0, n_vertices=500, seed=seed) for n, seed in ((32, 1), (16, 2))
    ]
    return [prepare(faces, frame, config=PrepareConfig(size=SIZE)) for faces in made]


@pytest.fixture(scope="session")
def fitted(population, frame):
    return SurfaceClassifier(template=frame, **{**OPTIONS, "verdict": 3}).fit(population[0])


def test_learns_from_unregistered_scans(fitted, population):
    with pytest.warns(MeshConvWarning, match="32 subjects are in train and test"):
        assert fitted.score(population[0].take(range(32))) >= 0.95
    assert fitted.score(population[1]) >= 0.85


def test_saliency_lies_where_the_truth_is(fitted, frame):
    found = agreement(fitted.template_saliency(), face_effect(EFFECT, 900))
    assert found.auc > 0.95 and found.mass_over_chance > 1.5
    scan = ProceduralFaces(4, EFFECT, 6.0, n_vertices=500, seed=9)[3]
    explained = fitted.explain(scan)
    assert explained.saliency.shape == (scan.surface.n_vertices,) and explained.saliency.min() >= 0
    assert agreement(explained.saliency, scan.truth).auc > 0.95
    assert explained.label == max(explained.probabilities, key=explained.probabilities.get)
    assert sum(explained.probabilities.values()) == pytest.approx(1)
    assert explained.sampling_grid.shape == (17, 17, 2) and explained.sampling_grid.min() >= -1e-6
    for method in ("gradient", "gradcam"):
        assert np.isfinite(fitted.explain(scan, method=method).saliency).all()


def test_it_says_that_it_is_better_than_chance_and_so_does_what_it_explains(fitted):
    quality = fitted.quality_
    assert quality.better_than_chance and quality.metrics.n == 32 and quality.folds == 3
    scan = ProceduralFaces(1, EFFECT, 6.0, n_vertices=500, seed=9)[0]
    assert fitted.explain(scan).quality is quality


def test_a_classifier_at_chance_says_so_in_the_place_of_a_class(population, frame):
    labels = np.random.default_rng(1).permutation(population[0].labels)
    options = {**OPTIONS, "epochs": 5, "verdict": 3}
    model = SurfaceClassifier(template=frame, **options).fit(population[0], labels)
    scan = ProceduralFaces(1, EFFECT, 6.0, n_vertices=500, seed=9)[0]
    said = str(model.explain(scan))
    assert said == f"{scan.name}: {model.quality_.verdict}" and "not better than chance" in said


@pytest.mark.parametrize(
    ("option", "value"),
    [("width", 0), ("width", 2.5), ("ratio", 0.5), ("head", "max"), ("density", "each")],
)
def test_impossible_options_are_refused_by_name(option, value):
    images = np.random.default_rng(0).normal(size=(12, 1, 17, 17))
    model = SurfaceClassifier(**{"epochs": 1, "network_size": 9, option: value})
    with pytest.raises(ArgumentError, match=option):
        model.fit(images, np.arange(12) % 2)


def test_shuffled_labels_give_chance(population):
    train, test = population
    scores = []
    for seed in range(3):
        labels = np.random.default_rng(seed).permutation(train.labels)
        model = SurfaceClassifier(**{**OPTIONS, "epochs": 8}, seed=seed).fit(train, labels)
        scores.append(model.score(test, test.labels))
    assert (
        0.25 < np.mean(scores) < 0.75
    )  # 48 predictions: chance is .5 +- .07, but they share test scans


def test_two_fits_are_the_same_bits(population):
    options = {**OPTIONS, "epochs": 2}
    first, second = (SurfaceClassifier(**options).fit(population[0]) for _ in range(2))
    np.testing.assert_array_equal(
        first.predict_proba(population[1]), second.predict_proba(population[1])
    )


def test_a_saved_classifier_answers_alike_and_a_changed_file_is_refused(
    fitted, population, tmp_path
):
    path = tmp_path / "model.npz"
    fitted.save(path)
    loaded = SurfaceClassifier.load(path)
    assert loaded.head_ == "flatten" and loaded.skipped_ == ()
    np.testing.assert_array_equal(
        loaded.predict_proba(population[1]), fitted.predict_proba(population[1])
    )
    assert loaded.quality_.verdict == fitted.quality_.verdict
    np.testing.assert_array_equal(loaded.quality_.probabilities, fitted.quality_.probabilities)
    assert loaded.get_params()["epochs"] == OPTIONS["epochs"] and loaded.classes_.tolist() == [0, 1]
    scan = ProceduralFaces(1, EFFECT, 6.0, n_vertices=500, seed=3)[0]
    np.testing.assert_allclose(
        loaded.explain(scan).saliency, fitted.explain(scan).saliency, atol=1e-12
    )
    good = path.read_bytes()
    path.write_bytes(good[:-9] + bytes([good[-9] ^ 4]) + good[-8:])
    with pytest.raises(CheckpointError, match="damaged"):
        SurfaceClassifier.load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays, head: head["settings"].pop("direct"),
        lambda arrays, head: head["settings"].update(magic=3),
        lambda arrays, head: head["settings"].update(cache="/tmp/x"),
        lambda arrays, head: head["settings"].update(checkpoint="/tmp/x"),
        lambda arrays, head: head.update(cache="/tmp/x"),
        lambda arrays, head: head["settings"].update(width=10**9),
        lambda arrays, head: head["settings"].update(size=10**9 + 1),
        lambda arrays, head: head.update(classes=list(range(9 * 10**5))),
        lambda arrays, head: head.update(classes=[10**30, 1]),
        lambda arrays, head: head.update(classes_dtype="<U1000000000"),
        lambda arrays, head: head.update(classes_dtype="|O"),
        lambda arrays, head: head.update(channels="abcdef"),
        lambda arrays, head: head.update(subjects=[None]),
        lambda arrays, head: head.update(progress={"losses": [[]]}),
        lambda arrays, head: head.update(skipped=[[0, "a"]]),
        lambda arrays, head: head["settings"].update(width="wide"),
        lambda arrays, head: head["settings"].pop("detail"),  # as before images had one detail
        lambda arrays, head: head.pop("classes"),
        lambda arrays, head: head.update(params=head.pop("settings")),
        lambda arrays, head: arrays.pop("standardizer.mean"),
        lambda arrays, head: arrays.pop("model.members.shared.density.logits"),
    ],
)
def test_a_sound_file_of_another_form_is_refused_as_such(fitted, tmp_path, change):
    fitted.save(tmp_path / "new")
    arrays, head = read_checkpoint(tmp_path / "new")
    change(arrays, head)
    write_checkpoint(tmp_path / "old", arrays, head)
    with pytest.raises(CheckpointError, match=r"old: not a classifier that this version can read"):
        SurfaceClassifier.load(tmp_path / "old")


def test_direct_heads_are_for_places_that_all_scans_share(frame):
    images, labels = np.random.default_rng(0).normal(size=(8, 1, 17, 17)), np.arange(8) % 2

    def has(**options):
        model = SurfaceClassifier(size=17, network_size=9, epochs=1, **options).fit(images, labels)
        (kind,) = {one.direct is not None for one in model.model_.networks.values()}
        return kind

    assert has(template=frame) and has(template=frame, density="uniform") and has(direct=True)
    assert (
        not has()
        and not has(template=frame, head="mean")
        and not has(template=frame, density="sample")
    )
    assert not has(template=frame, direct=False)


def test_a_pooled_head_is_learned_explained_and_kept(population, frame, tmp_path):
    options = {**OPTIONS, "epochs": 3, "head": "mean+max"}
    model = clone(SurfaceClassifier(template=frame, **options)).fit(population[0])
    assert model.head_ == "mean+max" and model.get_params()["head"] == "mean+max"
    model.save(tmp_path / "model")
    loaded = SurfaceClassifier.load(tmp_path / "model")
    assert loaded.head_ == loaded.get_params()["head"] == "mean+max"
    np.testing.assert_array_equal(
        loaded.predict_proba(population[1]), model.predict_proba(population[1])
    )
    scan = ProceduralFaces(2, EFFECT, 6.0, n_vertices=4000, seed=9)[1]
    for method in ("density", "gradient", "gradcam"):
        saliency = loaded.explain(scan, method=method).saliency
        assert np.isfinite(saliency).all() and np.ptp(saliency) > 0.5


def test_a_run_is_not_taken_up_with_another_head(population, tmp_path):
    options = {**OPTIONS, "epochs": 1, "checkpoint": tmp_path / "run"}
    SurfaceClassifier(**options).fit(population[0])
    with pytest.raises(CheckpointError, match=r"model\.head is 'flatten', not 'mean'"):
        SurfaceClassifier(**options, head="mean").fit(population[0])


@pytest.mark.parametrize(("anywhere", "expected"), [(False, "flatten"), (True, "mean")])
def test_the_automatic_head_tells_fixed_places_from_loose_ones(anywhere, expected, tmp_path):
    """Small bars: which way they lie tells the class where they are anywhere, else only where they
    are.
    """
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    images = rng.normal(0, 0.3, (80, 1, 17, 17))
    for image, label in zip(images, labels, strict=True):
        for row, column in rng.integers(0, 12, (3, 2)) if anywhere else [(2 + 8 * label, 6)]:
            image[0, row + 2, column : column + 5] += 2 * (label or not anywhere)
            image[0, row : row + 5, column + 2] += 2 * (not label and anywhere)
    options = {
        "network_size": 17,
        "epochs": 25,
        "learning_rate": 0.01,
        "density": "uniform",
        "variation": 0.0,
    }
    model = SurfaceClassifier(**options, head="auto").fit(images, labels)
    assert model.head_ == model.model_.networks["uniform"].head == expected and model.head == "auto"
    model.save(tmp_path / "model")
    loaded = SurfaceClassifier.load(tmp_path / "model")
    assert loaded.model_.networks["uniform"].head == expected


def test_a_training_checkpoint_is_no_classifier(population, tmp_path):
    path = tmp_path / "run"
    options = {**OPTIONS, "epochs": 1}
    SurfaceClassifier(**options, checkpoint=path).fit(population[0])
    with pytest.raises(CheckpointError, match="a checkpoint of a training run"):
        SurfaceClassifier.load(path)
    with pytest.raises(CheckpointError, match=r"classes is \['0', '1'\], not \['a', 'b'\]"):
        SurfaceClassifier(**options, checkpoint=path).fit(
            population[0], np.array(["a", "b"])[population[0].labels]
        )


def test_text_labels_and_pipelines_and_cross_validation(population):
    train = population[0]
    images, labels = np.nan_to_num(train.images), np.array(["control", "case"])[train.labels]
    model = make_pipeline(
        FunctionTransformer(lambda x: x[:, :, ::4, ::4]),
        SurfaceClassifier(network_size=9, epochs=40),
    )
    scores = cross_val_score(
        clone(model), images, labels, cv=StratifiedGroupKFold(3), groups=train.subjects
    )
    assert scores.mean() > 0.7
    assert set(model.fit(images, labels).predict(images)) == {"control", "case"}


def test_scans_themselves_with_a_template_of_their_own(tmp_path):
    faces = [*ProceduralFaces(6, EFFECT, 8.0, n_vertices=400, seed=7)]
    model = SurfaceClassifier(size=33, network_size=9, epochs=2, cache=tmp_path, on_error="skip")
    scans = [*faces[:5], icosphere(2), faces[5]]
    model.fit(scans, ["a", "b", "a", "b", "a", "b", "b"])
    assert [skipped.index for skipped in model.skipped_] == [5]
    model.save(tmp_path / "model")
    (left_out,) = SurfaceClassifier.load(tmp_path / "model").skipped_
    assert (left_out.index, left_out.name) == (
        5,
        "scan 5",
    ) and "0 boundary loops" in left_out.reason
    assert left_out.reason == model.skipped_[0].reason
    assert model.predict_proba([scan.surface for scan in faces[:2]]).shape == (2, 2)
    with pytest.warns(MeshConvWarning, match="1 subjects are in train and test"):
        model.score(faces[:1], ["a"])
    with pytest.raises(TopologyError, match="scan 0"):
        model.predict([icosphere(2)])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "requires y to be passed, but the target y is None"),
        ([1] * 6, "The number of classes has to be greater than one; got 1 class"),
        ([0, 1, 0, 1, 0, np.nan], "Input y contains NaN"),
        (["a", "b", None, "a", "b", "a"], "Input y contains None"),
        ([0.5, 1.5, 2.5, 0.1, 0.2, 0.3], "Unknown label type"),
        ([0, 1], "inconsistent numbers of samples"),
    ],
)
def test_bad_labels_in_scikit_learn_wording(labels, message):
    with pytest.raises(ValueError, match=message):
        SurfaceClassifier().fit(
            np.zeros((6, 1, 9, 9)), np.array(labels) if labels and None not in labels else labels
        )


def test_too_few_for_the_validation_split():
    with pytest.raises(
        ArgumentError, match="cannot be greater than the number of members in each class"
    ):
        SurfaceClassifier(patience=2).fit(np.zeros((6, 1, 9, 9)), [0, 0, 0, 0, 0, 1])


def test_bad_images_are_refused(population):
    with pytest.raises(
        ArrayTypeError, match=r"Expected images \(n, C, N, N\), found an array of shape \(4, 3\)"
    ):
        SurfaceClassifier().fit(np.zeros((4, 3)), [0, 1, 0, 1])
    with pytest.raises(ValueError, match="NaN"):
        SurfaceClassifier().fit(np.full((4, 1, 9, 9), np.nan), [0, 1, 0, 1])
    with pytest.raises(ArrayTypeError, match="found set"):
        SurfaceClassifier().fit({1, 2}, [0, 1])
    first = population[0][0]
    with pytest.raises(ArrayTypeError, match="image 1 has channels"):
        SurfaceClassifier().fit([first, first.select(["normal_x"])], [0, 1])


def test_fitted_on_images_there_is_no_frame():
    model = SurfaceClassifier(network_size=5, epochs=1).fit(
        np.random.default_rng(0).random((4, 1, 9, 9)), [0, 1, 0, 1]
    )
    surface = Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    for refused in (
        lambda: model.explain(surface),
        lambda: model.predict([surface]),
        model.template_saliency,
    ):
        with pytest.raises(ArgumentError, match="fitted on images"):
            refused()


def test_early_stopping_holds_out_subjects(population):
    model = SurfaceClassifier(**{**OPTIONS, "epochs": 40}, patience=2, validation=0.25).fit(
        population[0]
    )
    assert len(model.progress_.validation_losses) == model.progress_.epoch <= 40
    assert model.progress_.best_epoch >= 0


def test_equal_attention_is_equal_area_of_surface(population, frame):
    """Where the density is flat, the cells of the sampling grid hold equal areas of the template's
    surface.
    """
    model = SurfaceClassifier(template=frame, **{**OPTIONS, "epochs": 1, "warm_start": False}).fit(
        population[0]
    )
    one = model.model_.networks["shared"]
    nn.init.zeros_(one.density.logits)
    x = torch.zeros(1, *model.standardizer_.mean.shape)
    area = torch.exp(smooth_upsample(one.log_area, SIZE)).detach()
    with torch.no_grad():
        grid = one.sampling_grid(x)
    assert float(area.max() / area.min()) > 3
    assert float(density_error(normalize_density(area), grid)) < 0.05
    assert float(density_error(normalize_density(area), node_grid(grid.shape[1], grid))) > 0.3
    assert not model.model_.networks["uniform"].log_area.any()
