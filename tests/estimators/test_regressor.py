"""A measure planted at a site is predicted, and the site is found; `SurfaceRegressor`'s manners."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.base import clone

from meshconv.datasets.procedural import ProceduralFaces
from meshconv.errors import ArgumentError, CheckpointError
from meshconv.estimators.classifier import SurfaceClassifier
from meshconv.estimators.regressor import SurfaceRegressor
from meshconv.mesh.shapes import face
from meshconv.registration.template import Template
from meshconv.stats.metrics import roc_auc
from meshconv.train.config import PrepareConfig
from meshconv.train.prepare import prepare

SIZE = 17
OPTIONS = {"network_size": 9, "epochs": 25, "verdict": 0}


def _images(n, seed, amplitude=1.2):
    """Smooth noise with a bump whose height goes with a score of mean 50 and deviation 12."""
    rng = np.random.default_rng(seed)
    images = gaussian_filter(rng.normal(size=(n, 2, SIZE, SIZE)), (0, 0, 2, 2))
    images /= images.std()
    score, site = rng.normal(size=n), np.zeros((SIZE, SIZE))
    site[11, 5] = 1
    site = gaussian_filter(site, 1.5) / gaussian_filter(site, 1.5).max()
    images[:, 1] += amplitude * score[:, None, None] * site
    return images.astype(np.float32), 50 + 12 * score, site


@pytest.fixture(scope="module")
def fitted():
    images, score, _ = _images(120, 0)
    return SurfaceRegressor(**{**OPTIONS, "verdict": 3}).fit(images, score)


def test_a_planted_score_is_explained_and_its_site_is_found(fitted):
    images, score, site = _images(150, 1)
    assert fitted.score(images, score) > 0.5
    with torch.no_grad():
        density = fitted.model_.saliency(torch.zeros(1, 2, SIZE, SIZE))[0, 0].numpy()
    assert roc_auc(site.ravel() > 0.3, density.ravel()) >= 0.95


def test_the_verdict_is_what_new_scans_show(fitted):
    images, score, _ = _images(400, 2)
    found, quality = fitted.predict(images), fitted.quality_
    assert quality.better_than_chance and "R2" in str(quality) and quality.folds == 3
    low, high = quality.each[0].intervals["r2"]
    assert low < fitted.score(images, score) < high + 0.15
    error = np.abs(found - score).mean()
    assert quality.each[0].mean_absolute_error == pytest.approx(error, rel=0.25)


def test_a_score_that_means_nothing_is_predicted_by_its_mean():
    images, score, _ = _images(60, 3, amplitude=0.0)
    quality = SurfaceRegressor(**{**OPTIONS, "verdict": 3}).fit(images, score).quality_
    assert not quality.better_than_chance and quality.each[0].r2 > -0.35
    assert quality.verdict.startswith("not")


def test_several_measures_come_back_as_they_came_and_a_file_answers_alike(tmp_path):
    images, score, _ = _images(60, 4)
    table = np.column_stack([score, np.random.default_rng(0).normal(size=60)])
    model = SurfaceRegressor(**{**OPTIONS, "verdict": 2}).fit(images, table)
    assert model.predict(images).shape == (60, 2)
    assert [one.r2 > 0.2 for one in model.quality_.each] == [True, False]
    model.save(tmp_path / "model.mc")
    again = SurfaceRegressor.load(tmp_path / "model.mc")
    np.testing.assert_array_equal(again.predict(images), model.predict(images))
    assert str(again.quality_) == str(model.quality_)
    with pytest.raises(CheckpointError, match=r"a regressor, not a classifier.*Regressor\.load"):
        SurfaceClassifier.load(tmp_path / "model.mc")


def test_weight_zero_is_as_if_the_scan_were_not_there():
    images, score, _ = _images(40, 5)
    weight = np.ones(40)
    weight[30:] = 0
    options = {**OPTIONS, "epochs": 3}
    weighed = SurfaceRegressor(**options).fit(images, score, weight)
    left_out = SurfaceRegressor(**options).fit(images[:30], score[:30])
    np.testing.assert_array_equal(weighed.predict(images), left_out.predict(images))


def test_scans_that_weigh_more_pull_the_prediction():
    images, score, _ = _images(40, 6, amplitude=0.0)
    high = score > np.median(score)
    options = {**OPTIONS, "epochs": 8, "warm_start": False}
    means = [
        SurfaceRegressor(**options)
        .fit(images, score, np.where(high, w, 1.0))
        .predict(images)
        .mean()
        for w in (0.05, 20.0)
    ]
    assert means[1] - means[0] > 0.5 * score.std()


def test_class_weight_is_spelled_as_scikit_learn_does():
    images = np.random.default_rng(0).normal(size=(40, 1, SIZE, SIZE))
    labels = np.array(["a", "b"] * 20)
    options = {**OPTIONS, "epochs": 4, "warm_start": False}
    shares = [
        SurfaceClassifier(**options, class_weight=weight).fit(images, labels).predict_proba(images)
        for weight in ({"a": 20.0}, {"b": 20.0}, "balanced", None)
    ]
    means = [share[:, 0].mean() for share in shares]
    assert means[0] > 0.6 > means[2] > 0.4 > means[1]
    np.testing.assert_array_equal(shares[2], shares[3])  # as many of each
    with pytest.raises(ArgumentError, match=r"class_weight names \['c'\]"):
        SurfaceClassifier(**options, class_weight={"c": 2.0}).fit(images, labels)
    with pytest.raises(ArgumentError, match="class_weight must be one of"):
        SurfaceClassifier(class_weight="even").fit(images, labels)


def test_a_dict_of_class_weights_survives_a_file(tmp_path):
    images = np.random.default_rng(0).normal(size=(20, 1, SIZE, SIZE))
    model = SurfaceClassifier(**{**OPTIONS, "epochs": 1}, class_weight={0: 3.0, 1: 1.0})
    model.fit(images, np.arange(20) % 2).save(tmp_path / "model.mc")
    loaded = SurfaceClassifier.load(tmp_path / "model.mc")
    assert loaded.get_params()["class_weight"] == {0: 3.0, 1: 1.0} == clone(model).class_weight


@pytest.mark.parametrize(
    ("y", "weight", "words"),
    [
        (None, None, "requires y to be passed"),
        (np.ones(12), None, "measure 0 is the same for all 12"),
        (np.r_[np.nan, np.arange(11)], None, "contains NaN"),
        (np.arange(11), None, "inconsistent numbers of samples"),
        (np.arange(12), np.ones(11), r"sample_weight.shape == \(11,\)"),
        (np.arange(12), -np.ones(12), "Negative values in data passed to"),
        (np.arange(12), np.zeros(12), "there is nothing to learn from"),
    ],
)
def test_what_cannot_be_learned_is_refused(y, weight, words):
    images = np.random.default_rng(0).normal(size=(12, 1, SIZE, SIZE))
    with pytest.raises(ValueError, match=words):
        SurfaceRegressor(**OPTIONS).fit(images, y, weight)


def test_scans_are_explained_by_their_measure():
    frame = Template.from_surface(face(500))
    scans = ProceduralFaces(16, "cheek_left", 6.0, n_vertices=400, seed=1)
    ready = prepare(scans, frame, config=PrepareConfig(size=33))
    model = SurfaceRegressor(**{**OPTIONS, "epochs": 4}, size=33, template=frame)
    model.fit(ready, np.arange(16) % 2 + np.linspace(0, 0.1, 16))
    found = model.explain(scans[0])
    assert found.probabilities == {} and found.label == pytest.approx(model.predict(ready)[0])
    assert found.saliency.shape == (scans[0].surface.n_vertices,)
    assert str(found) == f"{found.name}: {found.label:.4g}"
    assert np.isfinite(model.explain(scans[0], method="gradient").saliency).all()
