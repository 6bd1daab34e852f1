import numpy as np
import pytest

from meshconv.mesh.shapes import cap, icosphere
from meshconv.stats.measure_families import FAMILIES, families
from meshconv.stats.shape_measures import MEASURES, families_of, shape_measures


def test_every_measure_has_the_family_that_its_name_says():
    found = dict(zip(MEASURES, families(list(MEASURES)), strict=True))
    kinds = list(FAMILIES)
    expected = {
        "volume": "size and shape factors",
        "mean_thickness": "size and shape factors",
        "thickness_q50": "thickness",
        "relief_fine_bump_2": "bending",
        "mean_curvature_coarse_q50": "bending",
        "conformal_harmonic_3": "conformal map",
        "position_harmonic_3": "conformal map",
        "section_opened_depth_20_mean": "disks in sections",
        "section_turning_fine_extreme": "outlines of sections",
        "section_height": "sections",
        "section_convexity_mean": "sections",
    }
    assert {name: kinds[found[name]] for name in expected} == expected
    assert set(found.values()) == set(range(len(FAMILIES)))


@pytest.mark.parametrize("kind", ["disk", "closed", "axial"])
def test_the_number_of_measures_tells_their_families(kind):
    surface = cap(6) if kind == "disk" else icosphere(2)
    names = list(shape_measures(surface, axis=(0, 0, 1) if kind == "axial" else None))
    np.testing.assert_array_equal(families_of(len(names)), families(names))
    assert (families_of(4) == 0).all()
