"""The distortion report: closed forms, an independent computation, degenerate faces, the method on
the type.
"""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from meshconv.maps.beltrami import beltrami_coefficient
from meshconv.maps.distortion import distortion
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh import shapes
from meshconv.mesh.surface import Surface

GRID = shapes.grid(5)


@given(stretch=st.floats(1.0, 50.0), scale=st.sampled_from([1e-6, 1.0, 1e6]))
def test_a_stretch_has_known_angles_and_modulus(stretch: float, scale: float) -> None:
    surface = Surface(scale * GRID.vertices, GRID.faces)
    found = distortion(Parameterization(surface, GRID.vertices[:, :2] * [stretch, 1]))
    np.testing.assert_allclose(found.beltrami_modulus, (stretch - 1) / (stretch + 1), atol=1e-9)
    # right isosceles triangles: the two angles of 45 degrees become atan(stretch) and its
    # complement
    error = np.degrees(np.arctan(stretch)) - 45
    np.testing.assert_allclose(
        np.sort(found.angle_error, axis=1), [[0, error, error]] * GRID.n_faces, atol=1e-7
    )
    assert found.angle_mean == pytest.approx(2 * error / 3, abs=1e-7)
    assert found.angle_max == pytest.approx(error, abs=1e-7)
    assert found.misplaced_area < 1e-12
    assert found.area_mean < 1e-12
    assert len(found.folds) == 0


def test_area_figures_follow_their_definition() -> None:
    points = GRID.vertices[:, :2].copy()
    points[:, 0] = points[:, 0] ** 2
    flat = Parameterization(GRID, points)
    found = flat.distortion()
    share, image = GRID.face_areas / GRID.area, flat.face_areas / flat.face_areas.sum()
    assert found.misplaced_area == pytest.approx(0.5 * np.abs(share - image).sum())
    assert found.area_mean == pytest.approx((share * np.abs(np.log(image / share))).sum())
    np.testing.assert_allclose(found.log_area_ratio, np.log(image / share), atol=1e-12)


@pytest.mark.parametrize("domain", ["plane", "sphere"])
def test_angles_and_moduli_agree_with_independent_routes(domain: str) -> None:
    rng = np.random.default_rng(0)
    surface = shapes.icosphere(2)
    points = surface.vertices + 0.15 * rng.normal(size=surface.vertices.shape)
    bent = Surface(points * [1, 2, 3], surface.faces)
    image = (
        points / np.linalg.norm(points, axis=1, keepdims=True)
        if domain == "sphere"
        else points[:, :2]
    )
    flat = Parameterization(bent, image, domain)
    found = flat.distortion()
    third = np.column_stack([image, np.zeros((len(image), 3 - image.shape[1]))])
    angles = [trimesh.triangles.angles(p[bent.faces]) for p in (third, bent.vertices)]
    np.testing.assert_allclose(
        found.angle_error, np.degrees(np.abs(angles[0] - angles[1])), atol=1e-5
    )
    assert found.angle_std == pytest.approx(
        np.degrees(np.abs(angles[0] - angles[1])).std(), abs=1e-5
    )
    np.testing.assert_allclose(
        found.beltrami_modulus, np.abs(beltrami_coefficient(flat)), rtol=1e-6
    )
    assert np.array_equal(found.folds, flat.flipped_faces())
    assert np.array_equal(found.folds, np.flatnonzero(found.beltrami_modulus >= 1))


def test_faces_without_area_are_measured_not_lost() -> None:
    surface = Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0], [2, 0, 0]], [[0, 1, 2], [0, 3, 1]])
    found = distortion(Parameterization(surface, [[0, 0], [1, 0], [0, 1], [1, -1]]))
    assert np.isfinite(found.angle_error).all()
    assert np.isfinite(list(found.summary().values())).all()
    collapsed = distortion(Parameterization(surface, np.zeros((4, 2))))
    assert len(collapsed.folds) == 2
    assert not np.isnan(list(collapsed.summary().values())).any()


def test_huge_coordinates_do_not_overflow() -> None:
    here = distortion(Parameterization(GRID, GRID.vertices[:, :2]))
    there = distortion(
        Parameterization(Surface(1e160 * GRID.vertices, GRID.faces), GRID.vertices[:, :2])
    )
    assert there.summary() == pytest.approx(here.summary(), abs=1e-9)


def test_the_text_says_it_all() -> None:
    text = str(distortion(Parameterization(GRID, GRID.vertices[:, :2] * [2, 1])))
    assert "angle error mean 12.290" in text
    assert "|mu| mean 0.3333, max 0.333; 0 folds" in text
