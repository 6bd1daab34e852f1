"""Cutting open: a disk comes out, along short seams that can be traced, and it can be mapped."""

from __future__ import annotations

import numpy as np
import pytest

import meshconv as mc
from meshconv import Surface, check, cut
from meshconv.errors import TopologyError
from meshconv.mesh import shapes
from meshconv.mesh.skull import ct_skull


def punched(surface: Surface, count: int, seed: int = 0) -> Surface:
    """The surface without some faces that share no vertex."""
    rng = np.random.default_rng(seed)
    gone: list[int] = []
    used: set[int] = set()
    for face in rng.permutation(surface.n_faces).tolist():
        corners = set(surface.faces[face].tolist())
        if len(gone) < count and not corners & used:
            gone.append(face)
            used |= corners
    return Surface(surface.vertices, np.delete(surface.faces, gone, axis=0))


def wall(handles: int) -> Surface:
    """A shell with tubes through it, the first body of a generated skull."""
    skull = ct_skull(3, islands=0, handles=handles)
    faces = skull.faces[skull.topology.sheet == 0]
    used = np.unique(faces)
    return Surface(skull.vertices[used], np.searchsorted(used, faces))


SURFACES = {
    "sphere": shapes.icosphere(3),
    "uneven sphere": shapes.delaunay_sphere(500, seed=3),
    "torus": shapes.torus(),
    "cylinder": shapes.cylinder(),
    "sphere with 7 holes": punched(shapes.icosphere(3), 7),
    "torus with 1 hole": punched(shapes.torus(), 1),
    "torus with 9 holes": punched(shapes.torus(), 9),
    "genus 5": wall(5),
    "genus 5 with 4 holes": punched(wall(5), 4),
}


@pytest.mark.parametrize("name", SURFACES)
def test_it_becomes_a_disk_that_can_be_traced_and_mapped(name: str) -> None:
    surface = SURFACES[name]
    opened = cut(surface)
    assert check(opened.surface).is_disk
    assert np.array_equal(opened.vertex_origin[opened.surface.faces], surface.faces)
    assert np.array_equal(opened.surface.vertices, surface.vertices[opened.vertex_origin])
    twice = np.flatnonzero(np.bincount(opened.vertex_origin) > 1)
    assert np.isin(twice, opened.seams).all()
    assert np.array_equal(opened.moved(surface.vertices), opened.surface.vertices)
    flat = mc.conformal_map(opened.surface, domain="disk")
    assert len(flat.flipped_faces()) == 0


def length(surface: Surface) -> float:
    ends = surface.vertices[cut(surface).seams]
    return float(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1).sum())


def test_seams_are_short() -> None:
    assert length(shapes.icosphere(4)) == pytest.approx(np.pi, rel=0.12)  # edges zigzag
    ring = shapes.torus(3.0, 1.0)
    assert length(ring) < 1.15 * 2 * np.pi * (1 + 2)  # around the tube and the inner equator
    assert length(shapes.annulus()) < 1.1 * 0.6  # straight from border to border


def test_a_disk_is_left_alone() -> None:
    disk = shapes.cap(6)
    opened = cut(disk)
    assert opened.surface is disk and len(opened.seams) == 0
    assert np.array_equal(opened.vertex_origin, np.arange(disk.n_vertices))


@pytest.mark.parametrize("scale", [2.0**-560, 2.0**560])
def test_the_unit_of_length_does_not_matter(scale: float) -> None:
    ring = shapes.torus()
    scaled = cut(Surface(ring.vertices * scale, ring.faces))
    assert np.array_equal(np.sort(scaled.seams), np.sort(cut(ring).seams))


def test_what_is_no_sheet_is_refused() -> None:
    ball = shapes.icosphere(2)
    two = Surface(
        np.concatenate([ball.vertices, ball.vertices + 3.0]),
        np.concatenate([ball.faces, ball.faces + ball.n_vertices]),
    )
    with pytest.raises(TopologyError, match=r"cut needs one connected, manifold.*repair"):
        cut(two)
