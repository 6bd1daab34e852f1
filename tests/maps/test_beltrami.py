"""The Beltrami coefficient: affine maps in closed form, frames, folds, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshconv.errors import DegenerateError
from meshconv.maps.beltrami import beltrami_coefficient
from meshconv.maps.face_maps import beltrami_between
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.surface import Surface

COMPLEX = st.complex_numbers(max_magnitude=3, allow_nan=False, allow_infinity=False)


def _flat(n: int = 5) -> Surface:
    x, y = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n))
    k = np.arange(n * n).reshape(n, n)
    a, b, c, d = (s.ravel() for s in (k[:-1, :-1], k[:-1, 1:], k[1:, 1:], k[1:, :-1]))
    faces = np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    return Surface(np.column_stack([x.ravel(), y.ravel(), 0 * x.ravel()]), faces)


def _image(z: np.ndarray) -> np.ndarray:
    return np.column_stack([z.real, z.imag])


@given(p=COMPLEX, q=COMPLEX, scale=st.sampled_from([1e-6, 1.0, 1e6]))
def test_an_affine_map_has_the_ratio_of_its_coefficients(
    p: complex, q: complex, scale: float
) -> None:
    if abs(p) < 1e-2 or abs(q) < 1e-6:
        return
    surface = _flat()
    z = surface.vertices[:, 0] + 1j * surface.vertices[:, 1]
    scaled = Surface(scale * surface.vertices, surface.faces)
    mu = beltrami_coefficient(Parameterization(scaled, _image(p * z + q * z.conj())))
    np.testing.assert_allclose(mu, q / p, rtol=0, atol=1e-12 * (1 + abs(q / p)))


@pytest.mark.parametrize("seed", range(5))
def test_the_modulus_does_not_see_a_rotation_and_one_is_the_border_of_folding(seed: int) -> None:
    rng = np.random.default_rng(seed)
    surface = _flat()
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    bent = surface.vertices + rng.normal(scale=0.1, size=surface.vertices.shape)
    image = bent[:, :2] + rng.normal(scale=0.4, size=(len(bent), 2))
    here = Parameterization(Surface(bent, surface.faces), image)
    mu = beltrami_coefficient(here)
    turned = beltrami_coefficient(
        Parameterization(Surface(bent @ rotation.T, surface.faces), image)
    )
    np.testing.assert_allclose(np.abs(turned), np.abs(mu), rtol=1e-9)
    assert np.array_equal(np.flatnonzero(np.abs(mu) >= 1), here.flipped_faces())
    assert 0 < len(here.flipped_faces()) < surface.n_faces


def test_between_planar_positions_agrees_with_the_surface_door() -> None:
    surface = _flat()
    z = surface.vertices[:, 0] + 1j * surface.vertices[:, 1]
    w = z + 0.2 * z.conj() * z + 0.1j * z.conj()
    np.testing.assert_allclose(
        beltrami_between(surface.faces, z, w),
        beltrami_coefficient(Parameterization(surface, _image(w))),
        atol=1e-12,
    )


def test_the_sphere_is_measured_in_the_plane_of_each_face() -> None:
    directions = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0, -1, 0], [0, 0, -1]])
    faces = [[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]]
    octahedron = Surface(7.0 * directions, faces)
    assert (
        np.abs(beltrami_coefficient(Parameterization(octahedron, directions, "sphere"))).max()
        < 1e-14
    )
    mirrored = beltrami_coefficient(Parameterization(octahedron, -directions, "sphere"))
    assert (np.abs(mirrored) > 1e12).all()


def test_collapsed_and_mirrored_images_are_numbers_not_nan() -> None:
    surface = Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    assert beltrami_coefficient(Parameterization(surface, np.zeros((3, 2))))[0] == 1
    assert np.isinf(beltrami_coefficient(Parameterization(surface, [[0, 0], [1, 0], [0, -1]]))[0])


def test_a_face_without_area_is_named() -> None:
    surface = Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0], [2, 0, 0]], [[0, 1, 2], [0, 3, 1]])
    with pytest.raises(DegenerateError, match=r"face 1 has no area.*1 such faces.*repair"):
        beltrami_coefficient(Parameterization(surface, surface.vertices[:, :2]))
