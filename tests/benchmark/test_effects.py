import numpy as np
import pytest

from meshconv.benchmark.effects import FactorialFaces, effect_site
from meshconv.errors import ArgumentError

KINDS = ("sign", "side", "rough", "xor")


@pytest.fixture(scope="module")
def faces(data_dir):
    return FactorialFaces(120, KINDS, 4.0, seed=3)


def test_effects_are_independent_and_as_likely_as_not(faces):
    codes = faces.codes()
    assert np.abs(codes.mean(axis=0) - 0.5).max() < 0.15
    assert np.abs(np.corrcoef(codes.T) - np.eye(4)).max() < 0.3
    assert [faces.label(k) for k in range(5)] == codes[:5, 0].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_groups_differ_in_other_things_than_their_mean(data_dir, kind):
    faces = FactorialFaces(200, (kind,), 4.0, seed=4)
    moved, codes = np.stack([faces.displacement(k) for k in range(200)]), faces.codes()[:, 0]
    site = effect_site(faces.model, kind)
    assert np.abs(moved[:, site > 0.3]).max() > 1.0
    assert np.abs(moved[:, site == 0]).max() < 1e-9
    gap = moved[codes == 1].mean(axis=0) - moved[codes == 0].mean(axis=0)
    if kind != "side":  # half of all clefts are on each side: their mean is half an effect
        assert np.linalg.norm(gap, axis=1).max() < 1.6  # chance alone: .6
    if kind != "xor":
        assert not moved[codes == 0].any()
    if kind == "rough":
        peak = effect_site(faces.model, kind) > 0.95
        size = np.linalg.norm(moved[codes == 1][:, peak], axis=2)
        assert np.sqrt((size**2).mean()) == pytest.approx(0.8, rel=0.15)


def test_an_effect_of_the_mean_is_that_of_morphable_faces(data_dir):
    faces = FactorialFaces(8, ("saddle_nose", "metopic_ridge"), 2.5, seed=0)
    for k, (nose, ridge) in enumerate(faces.codes()):
        expected = 2.5 * (
            nose * faces.model.effects["saddle_nose"] + ridge * faces.model.effects["metopic_ridge"]
        )
        np.testing.assert_allclose(faces.displacement(k), expected, atol=1e-12)
    np.testing.assert_array_equal(faces[3].label, faces.codes()[3, 0])


def test_unknown_effects_are_refused(data_dir):
    with pytest.raises(ArgumentError, match="effect"):
        FactorialFaces(4, ("smile",))
    with pytest.raises(ArgumentError, match="at least one effect"):
        FactorialFaces(4, ())
