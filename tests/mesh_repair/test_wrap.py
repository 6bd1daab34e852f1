"""The wrap: one closed surface of genus 0, near the input, whatever the input is."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import ndimage

import meshconv as mc
from meshconv import Surface, check, repair
from meshconv.errors import ArgumentError, RepairWarning
from meshconv.mesh import shapes
from meshconv.mesh.skull import ct_skull
from meshconv.mesh_repair import lattice


def quietly(surface, **options):
    with pytest.warns(RepairWarning):
        return repair(surface, **options)


# --- the lattice ---------------------------------------------------------------------------------


def noise(seed: int, n: int = 24) -> np.ndarray:
    """A connected sponge without cavities, in an empty frame."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(n, n, n)), 1.3)
    solid = np.zeros(field.shape, dtype=bool)
    solid[3:-3, 3:-3, 3:-3] = field[3:-3, 3:-3, 3:-3] > 0
    label = ndimage.label(solid, lattice.JOINED)[0]
    outside = ndimage.label(label != np.bincount(label.ravel())[1:].argmax() + 1, lattice.JOINED)[0]
    return outside != outside[0, 0, 0]


@pytest.mark.parametrize("seed", range(4))
def test_tunnels_of_sponges_are_the_genus_of_their_contour_and_are_filled(seed: int) -> None:
    solid = noise(seed)
    assert check(lattice.contour(np.where(solid, 0.7, -1.0))).genus == lattice.tunnels(solid) > 3
    ball = lattice.filled_tunnels(solid)
    assert (ball | ~solid).all() and lattice.tunnels(ball) == 0
    assert check(lattice.contour(np.where(ball, 0.7, -1.0))).is_sphere


def test_the_membrane_of_a_ring_lies_in_its_plane() -> None:
    x, y, z = np.indices((41, 41, 21)) - np.array([20, 20, 10])[:, None, None, None]
    ring = (np.hypot(x, y) - 12) ** 2 + z**2 < 16
    added = lattice.filled_tunnels(ring) & ~ring
    assert 0 < added.sum() < 1.5 * np.pi * 8**2 and np.abs(z[added]).max() <= 2


def test_the_contour_of_a_linear_field_is_the_plane() -> None:
    x, y, z = np.indices((9, 9, 9)).astype(float)
    field = 0.3 * x - 0.5 * y + z - 3.927
    points, faces = lattice.contour(field)
    np.testing.assert_allclose(points @ [0.3, -0.5, 1.0], 3.927, atol=1e-12)
    down = -np.array([0.3, -0.5, 1.0])
    assert (Surface(points, faces).face_normals @ down > 0).all()


# --- the wrap ------------------------------------------------------------------------------------


def cracked(surface: Surface) -> Surface:
    """A soup of the faces, each a little off, and a third of them turned over."""
    rng = np.random.default_rng(0)
    corners = surface.vertices[surface.faces] + rng.normal(size=(surface.n_faces, 1, 3)) * 0.004
    turned = rng.random(surface.n_faces) < 0.3
    corners[turned] = corners[turned][:, ::-1]
    return Surface(corners.reshape(-1, 3), np.arange(3 * surface.n_faces).reshape(-1, 3))


@pytest.mark.parametrize("seed", range(3))
def test_a_soup_of_cracked_turned_faces_becomes_the_sphere_it_was(seed: int) -> None:
    ball = shapes.delaunay_sphere(600 + 200 * seed, seed=seed)
    found = repair(cracked(ball), wrap=0.05)
    assert found.report_after.is_sphere
    radius = np.linalg.norm(found.surface.vertices, axis=1)
    assert radius.min() > 0.99 and radius.max() < 1.015 + 1.2 * 0.05  # jitter, resolution
    assert found.report_after.inside_out == 0


def test_gaps_are_closed_and_walls_inside_are_gone() -> None:
    ball = shapes.icosphere(4)
    opened = np.delete(ball.faces, np.arange(0, ball.n_faces, 37), axis=0)
    nested = Surface(
        np.concatenate([ball.vertices, 0.8 * ball.vertices]),
        np.concatenate([opened, ball.faces + ball.n_vertices]),
    )
    found = repair(nested, wrap=0.08)
    assert found.report_after.is_sphere
    assert np.linalg.norm(found.surface.vertices, axis=1).min() > 0.95
    assert "2562 vertices of 5124 inside" in found.changes[1]


def test_tunnels_get_membranes_and_pieces_are_left_out() -> None:
    ring, stray = shapes.torus(3.0, 1.0), shapes.icosphere(1)
    both = Surface(
        np.concatenate([ring.vertices, 0.2 * stray.vertices + [6.0, 0, 0]]),
        np.concatenate([ring.faces, stray.faces + ring.n_vertices]),
    )
    with pytest.warns(RepairWarning, match="1 piece left out; 1 tunnel closed by membranes"):
        found = repair(both, wrap=0.12)
    assert found.report_after.is_sphere
    assert found.changes[2:] == ("1 piece left out", "1 tunnel closed by membranes")


def test_an_open_sheet_is_wrapped_on_both_sides() -> None:
    found = repair(shapes.cap(12), wrap=0.1)
    assert found.report_after.is_sphere
    assert 1.9 < found.surface.area / shapes.cap(12).area < 2.5


@pytest.mark.parametrize("scale", [2.0**-500, 2.0**-10, 2.0**17, 2.0**500])
def test_the_unit_of_length_does_not_matter(scale: float) -> None:
    ring = shapes.torus(3.0, 1.0)
    one = quietly(ring, wrap=0.2)
    other = quietly(Surface(ring.vertices * scale, ring.faces), wrap=0.2 * scale)
    assert np.allclose(other.surface.vertices, one.surface.vertices * scale, rtol=1e-12, atol=0.0)


def test_fields_move_to_the_nearest_point() -> None:
    ball = shapes.icosphere(3)
    found = repair(ball, wrap=0.06)
    moved = found.moved(ball.vertices)
    assert np.abs(moved - found.surface.vertices).max() < 0.07
    assert (found.vertex_origin == -1).all() and found.moved(ball.vertices[:, 0]).ndim == 1


def test_a_skull_with_shells_islands_and_foramina_is_wrapped_and_mapped() -> None:
    skull = ct_skull(4, islands=30, handles=12)
    found = quietly(skull, wrap=5.0)
    assert found.report_after.is_sphere
    outer = skull.vertices[: shapes.icosphere(4).n_vertices]
    away = np.linalg.norm(found.surface.vertices[:, None] - outer[::5], axis=2).min(axis=1)
    assert away.max() < 25  # an island at its skin, the distance between vertices
    flat = mc.conformal_map(found.surface, domain="sphere")
    assert len(flat.flipped_faces()) == 0


@pytest.mark.data
def test_bird_skulls_are_closed_genus_0_and_near(data_dir) -> None:
    data = np.load(data_dir / "finch_skulls.npz")
    for k in range(0, 98, 7):
        vertices = data["vertices"][data["vptr"][k] : data["vptr"][k + 1]].astype(float)
        faces = data["faces"][data["fptr"][k] : data["fptr"][k + 1]]
        size = np.linalg.norm(np.ptp(vertices, axis=0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RepairWarning)
            found = repair((vertices, faces), wrap=size / 48)
        assert found.report_after.is_sphere
        carried = found.moved(vertices)  # the nearest points of the input
        away = np.linalg.norm(carried - found.surface.vertices, axis=1)
        assert np.quantile(away, 0.99) < size / 48


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wrap": 0}, "wrap must be True, False or a length > 0"),
        ({"wrap": -1.0}, "wrap must be True, False or a length >= 0"),
        ({"wrap": 1e-4}, r"nodes, at most 4e\+07 are allowed.*choose at least"),
        ({"wrap": True, "keep": "all"}, "one closed surface, asked for keep='all'"),
        ({"wrap": True, "target": "disk"}, r"target='disk'.*cut\(...\) opens the wrap"),
    ],
)
def test_what_cannot_be_wrapped_is_refused(options, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        repair(shapes.icosphere(2), **options)
