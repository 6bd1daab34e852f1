import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from meshconv.errors import ArgumentError, MeshConvError
from meshconv.saliency.evaluate import agreement, deletion_curve


def test_auc_agrees_with_scikit_learn_also_weighted_and_tied():
    rng = np.random.default_rng(0)
    truth, areas = rng.random(300), rng.random(300) + 0.1
    saliency = np.round(truth + rng.normal(0, 0.5, 300) + 3, 1)
    found = agreement(saliency, truth, areas=areas, threshold=0.6)
    inside = truth > 0.6 * truth.max()
    assert found.auc == pytest.approx(
        roc_auc_score(inside, saliency, sample_weight=areas), abs=1e-12
    )
    cov = np.cov(saliency, truth, aweights=areas)
    assert found.correlation == pytest.approx(cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]), abs=1e-12)


def test_closed_forms():
    truth = np.array([1.0, 1.0, 0.0, 0.0, 0.0])
    perfect, constant, wrong = (agreement(s, truth) for s in (truth, np.ones(5), 1 - truth))
    assert (perfect.auc, perfect.mass, perfect.top_inside, perfect.mass_over_chance) == (
        1.0,
        1.0,
        True,
        2.5,
    )
    assert (constant.auc, constant.mass_over_chance, constant.correlation) == (0.5, 1.0, 0.0)
    assert (wrong.auc, wrong.mass, wrong.top_inside) == (0.0, 0.0, False)
    assert perfect.correlation == pytest.approx(1) and wrong.correlation == pytest.approx(-1)


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_a_constant_map_says_nothing_whatever_rounding_made_of_it(size):
    rng = np.random.default_rng(0)
    truth, areas = np.r_[1.0, rng.random(199)], rng.random(200) + 0.1
    rounded = size * (1 + 1e-15 * (truth > 0.5))  # on the side of the truth
    found = agreement(rounded, truth, areas=areas)
    assert found.auc == pytest.approx(0.5, abs=1e-12) and abs(found.correlation) < 1e-9
    assert agreement(size * (1 + 1e-9 * (truth > 0.3)), truth, areas=areas).auc == 1.0


def test_denser_vertices_do_not_count_more():
    saliency, truth = np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.0, 1.0])
    once = agreement(saliency, truth, areas=[1.0, 2.0, 1.0])
    split = agreement(np.r_[saliency, 2.0], np.r_[truth, 0.0], areas=[1.0, 1.0, 1.0, 1.0])
    assert once.as_dict() == pytest.approx(split.as_dict())


def test_a_region_that_is_nothing_is_refused():
    with pytest.raises(ArgumentError, match="0 of 3 vertices"):
        agreement(np.ones(3), np.zeros(3))


def test_pixels_are_as_good_as_vertices():
    rng = np.random.default_rng(2)
    saliency, truth, areas = rng.random((3, 6, 5))
    flat = agreement(saliency.ravel(), truth.ravel(), areas=areas.ravel(), threshold=0.5)
    assert agreement(saliency, truth, areas=areas, threshold=0.5) == flat
    assert (
        agreement([-1e-12, 2, 0], [0, 1, 0]).auc == 1.0
    )  # rounding of an interpolation is no negative saliency


@pytest.mark.parametrize(
    ("saliency", "truth", "areas", "message"),
    [
        ([-1, 2, 0], [0, 1, 0], None, r"saliency must be at least 0, found -1 at 0 \(1 negative\)"),
        ([1, 2, 0], [0, 1, -3], None, "truth must be at least 0, found -3 at 2"),
        ([1, 2, 0], [0, 1, 0], [1, 1, -1], "areas must be at least 0, found -1 at 2"),
        ([1, 2, 0], [0, 1, 0], [1, 0, 1], "the true region has no area"),
        ([1, 2, 0], [0, 1, 0], [0, 1, 0], "all but the true region has no area"),
        (
            [[1, 2], [0, 0]],
            [0, 1, 0, 0],
            None,
            r"truth must have the shape of the saliency \(2, 2\), found \(4,\)",
        ),
        ([1, np.nan, 0], [0, 1, 0], None, "saliency is not finite at vertex 1"),
    ],
)
def test_what_cannot_be_compared_is_named(saliency, truth, areas, message):
    with pytest.raises(MeshConvError, match=message):
        agreement(saliency, truth, areas=areas)


def _predict(images):
    """Sure of class 1 as far as the four pixels in the corner are bright."""
    share = images[:, 0, :2, :2].mean(axis=(1, 2))
    return np.stack([1 - share, share], axis=1)


def test_deleting_what_matters_first_falls_at_once_and_last_not_at_all():
    images = np.ones((3, 1, 10, 10), dtype=np.float32)
    salient = np.zeros((10, 10))
    salient[:2, :2] = 1
    share, right = deletion_curve(_predict, images, salient, steps=10)
    _, wrong = deletion_curve(_predict, images, -salient, steps=10)
    np.testing.assert_allclose(share, np.linspace(0, 1, 11))
    np.testing.assert_allclose(right, [1] + [0] * 10)
    np.testing.assert_allclose(wrong, [1] * 10 + [0])
