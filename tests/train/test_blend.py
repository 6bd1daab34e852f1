"""Images and measures together: whichever knows more has the say."""

import numpy as np
import pytest

import meshconv.train.prepare as in_frame
from meshconv import SurfaceClassifier, Template, shape_measures
from meshconv.datasets.scan import Population, Scan
from meshconv.errors import ArgumentError
from meshconv.mesh.shapes import icosphere
from meshconv.mesh.surface import Surface
from meshconv.stats.measure_model import MeasureModel
from meshconv.train.blend import Blend, best_share, blended
from meshconv.train.config import PrepareConfig
from meshconv.train.prepare import prepare
from meshconv.train.reading import Classes


def _two(n=120, seed=0):
    rng = np.random.default_rng(seed)
    index = np.arange(n) % 2
    sure = np.column_stack([-2.0 * index, 2.0 * index]) + rng.normal(size=(n, 2))
    measures = rng.normal(size=(n, 4))
    return index, sure, rng.normal(size=(n, 2)), measures


def test_the_share_goes_to_what_knows():
    index, sure, noise, measures = _two()
    knowing = measures + 3 * index[:, None]
    blind, seeing = MeasureModel.fit(measures, index), MeasureModel.fit(knowing, index)
    assert best_share(sure, blind, measures, index) < 1.0
    assert best_share(3 * noise, seeing, knowing, index) == 1.0
    assert 0 < best_share(sure, seeing, knowing, index) < 1


def test_a_blend_is_a_weighed_geometric_mean_and_comes_back_from_its_file():
    index, sure, _, measures = _two()
    model = MeasureModel.fit(measures, index)
    whole = Blend(model, 0.25)
    again = Blend.of(whole.as_dict(), whole.arrays())
    np.testing.assert_array_equal(again(sure, measures), whole(sure, measures))
    mean = np.exp(blended(sure, model.logits(measures), 0.25))
    p, q = Classes(np.arange(2))(sure), Classes(np.arange(2))(model.logits(measures))
    np.testing.assert_allclose(mean, p**0.75 * q**0.25)
    bad = {**whole.arrays(), "blend.bias": np.zeros(3)}
    with pytest.raises(ValueError, match="measures of shapes"):
        Blend.of(whole.as_dict(), bad)
    with pytest.raises(ValueError, match="share of 2"):
        Blend.of({**whole.as_dict(), "share": 2}, whole.arrays())


class Eggs(Population):
    """Long eggs and round ones, turned anyhow: images hardly tell, measures do."""

    subjects = tuple(f"hen{k}" for k in range(24))

    def __len__(self):
        return 24

    def scan(self, k):
        rng = np.random.default_rng(k)
        ball, turn = icosphere(2), np.linalg.qr(rng.normal(size=(3, 3)))[0]
        long = ball.vertices * [1, 1.1, 1.4 + 0.3 * (k % 2) + 0.02 * rng.normal()]
        return Scan(
            Surface(long @ (turn * np.sign(np.linalg.det(turn))).T, ball.faces),
            k % 2,
            "",
            f"hen{k}",
        )


@pytest.mark.filterwarnings("ignore::meshconv.errors.MeshConvWarning")
def test_measures_come_with_the_images_through_cache_training_file_and_explanation(tmp_path):
    eggs, template = Eggs(), Template.from_surface(icosphere(2))
    config = PrepareConfig(9, ("mean_curvature",), measures=True)
    done = prepare(eggs, template, config=config, cache=tmp_path / "c", progress=False)
    first = np.array(list(shape_measures(eggs[0].surface).values()))
    np.testing.assert_allclose(done.measures[0], first, rtol=1e-6, atol=1e-9)
    again = prepare(eggs, template, config=config, cache=tmp_path / "c", progress=False)
    np.testing.assert_array_equal(again.measures, done.measures)
    np.testing.assert_array_equal(done.take([3, 1]).measures, done.measures[[3, 1]])
    options = {"size": 9, "network_size": 9, "channels": ("mean_curvature",), "head": "mean"}
    options |= {"measures": True, "template": template, "epochs": 2, "cache": tmp_path / "c"}
    model = SurfaceClassifier(density="uniform", verdict=2, **options).fit(done, np.arange(24) % 2)
    assert model.fitted_.blend.share > 0 and model.score(done, np.arange(24) % 2) > 0.9
    assert model.quality_.metrics.accuracy > 0.8
    model.save(tmp_path / "m.mc")
    back = SurfaceClassifier.load(tmp_path / "m.mc")
    shares = model.predict_proba(done)
    np.testing.assert_allclose(back.predict_proba(done), shares, rtol=1e-6)
    assert back.measures is True
    told = back.explain(eggs[5]).probabilities
    np.testing.assert_allclose(list(told.values()), shares[5], atol=1e-5)


def test_what_has_the_measures_of_another_version_is_not_taken_from_the_cache(monkeypatch):
    template = Template.from_surface(icosphere(2))
    bare, measured = PrepareConfig(9), PrepareConfig(9, measures=True)
    keys = [in_frame._shared_key(template, config) for config in (bare, measured)]
    monkeypatch.setattr(in_frame, "MEASURES", {"volume": None})
    assert in_frame._shared_key(template, measured) != keys[1]
    assert in_frame._shared_key(template, bare) == keys[0]


def test_refusals():
    with pytest.raises(ArgumentError, match="measures must be True, False or 'axial', found 'all'"):
        PrepareConfig(measures="all")
    images = np.random.default_rng(0).normal(size=(20, 1, 9, 9))
    model = SurfaceClassifier(network_size=9, size=9, epochs=1, measures=True, verdict=0)
    with pytest.raises(ArgumentError, match="measures=True needs scans"):
        model.fit(images, np.arange(20) % 2)
