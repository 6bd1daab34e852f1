import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.neighbors import KNeighborsClassifier

from meshconv.errors import ArgumentError
from meshconv.estimator import SurfaceClassifier
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
        np.testing.assert_array_equal(cross_validate(kept, images, labels, folds=2).probabilities, plain.probabilities)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["run.fold0.ckpt", "run.fold1.ckpt"]


def test_lengths_must_agree():
    with pytest.raises(ArgumentError, match="inconsistent numbers of samples"):
        cross_validate(DummyClassifier(), np.zeros((4, 1)), [0, 1])
