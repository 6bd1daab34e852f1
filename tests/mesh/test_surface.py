"""The `Surface`: what it promises about its arrays, and its derived quantities in closed form."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshconv.errors import (
    ArrayTypeError,
    DegenerateError,
    EmptyMeshError,
    IndexOutOfRangeError,
    NoFacesError,
    NonFiniteError,
)
from meshconv.mesh.shapes import cap, icosphere
from meshconv.mesh.surface import Surface

TETRAHEDRON = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
SIDES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])


def test_areas_and_normals_of_a_tetrahedron() -> None:
    surface = Surface(TETRAHEDRON, SIDES)
    assert np.allclose(surface.face_areas, [0.5, 0.5, np.sqrt(3) / 2, 0.5])
    assert np.allclose(
        surface.face_normals, [[0, 0, -1], [0, -1, 0], np.full(3, 3**-0.5), [-1, 0, 0]]
    )
    assert np.allclose(surface.face_area_vectors.sum(axis=0), 0)  # closed: no net area
    assert np.isclose(surface.area, 1.5 + np.sqrt(3) / 2)
    assert (surface.euler_characteristic, surface.boundary_loops, len(surface.edges)) == (2, (), 6)


def test_vertex_normals_of_a_sphere_point_outward() -> None:
    sphere = icosphere(3, 5.0)
    assert abs(sphere.vertex_normals - sphere.vertices / 5.0).max() < 0.02  # h^2
    stray = Surface(np.concatenate([sphere.vertices, [[0, 0, 9]]]), sphere.faces)
    assert (stray.vertex_normals[-1] == 0).all() and stray.euler_characteristic == 2


@given(st.floats(-150, 150))
def test_normals_do_not_depend_on_the_scale_and_areas_do_by_its_square(exponent: float) -> None:
    scale = 10.0**exponent
    one, other = cap(3), Surface(cap(3).vertices * scale, cap(3).faces)
    assert np.allclose(other.face_normals, one.face_normals, atol=1e-12)
    assert np.allclose(other.vertex_normals, one.vertex_normals, atol=1e-12)
    assert np.allclose(other.face_areas, one.face_areas * scale * scale, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "convert",
    [
        np.asfortranarray,
        lambda a: a.tolist(),
        lambda a: a.astype(object),
        lambda a: a.astype(a.dtype.kind + "4"),
        lambda a: a[::-1][::-1],
        np.ma.masked_array,
    ],
)
def test_any_array_that_can_be_meant_is_accepted_and_never_changed(convert) -> None:
    vertices, faces = convert(TETRAHEDRON.astype(float)), convert(SIDES)
    surface = Surface(vertices, faces)
    assert surface == Surface(TETRAHEDRON, SIDES)
    assert surface.vertices.dtype == np.float64 and surface.faces.dtype == np.int64
    assert surface.vertices.flags.c_contiguous and not surface.vertices.flags.writeable
    if isinstance(vertices, np.ndarray):
        assert vertices.flags.writeable and not np.shares_memory(vertices, surface.vertices)


def test_a_later_change_of_the_input_does_not_reach_the_surface() -> None:
    vertices, faces = TETRAHEDRON.astype(float), SIDES.astype(np.int64)
    frozen_view = vertices[:]
    frozen_view.setflags(write=False)
    surfaces = Surface(vertices, faces), Surface(frozen_view, faces)
    vertices[:] = 7
    faces[:] = 0
    assert all(surface == Surface(TETRAHEDRON, SIDES) for surface in surfaces)
    with pytest.raises(ValueError, match="read-only"):
        surfaces[0].vertices[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        surfaces[0].vertices = vertices  # type: ignore[misc]


def test_equality_hash_repr_and_pickling() -> None:
    surface = Surface(TETRAHEDRON, SIDES)
    assert surface == Surface(TETRAHEDRON, SIDES) != Surface(TETRAHEDRON + 1, SIDES)
    assert surface != 3 and len({surface, Surface(TETRAHEDRON, SIDES)}) == 1
    minus_zero = np.where(TETRAHEDRON == 0, -0.0, TETRAHEDRON)
    assert Surface(minus_zero, SIDES) == surface
    assert hash(Surface(minus_zero, SIDES)) == hash(surface) != hash(surface.mirrored())
    assert repr(surface) == "Surface(4 vertices, 4 faces)"
    assert pickle.loads(pickle.dumps(surface)) == surface


@pytest.mark.parametrize(
    ("vertices", "faces", "error", "message"),
    [
        ([], [], EmptyMeshError, "no vertices"),
        (TETRAHEDRON, [], NoFacesError, "point cloud of 4 points"),
        (TETRAHEDRON[:, :2], SIDES, ArrayTypeError, r"vertices must be \(V, 3\), found \(4, 2\)"),
        (
            TETRAHEDRON,
            [[0, 1, 2, 3]],
            ArrayTypeError,
            r"faces must be \(F, 3\), found \(1, 4\); triangulate",
        ),
        (TETRAHEDRON, SIDES + 1, IndexOutOfRangeError, "1-based"),
        (
            TETRAHEDRON,
            SIDES - 1,
            IndexOutOfRangeError,
            r"face 0 is \[-1, 1, 0\], allowed indices are 0..3",
        ),
        (TETRAHEDRON, SIDES + 0.5, ArrayTypeError, "fractions"),
        (TETRAHEDRON, SIDES > 1, ArrayTypeError, "found bool"),
        (TETRAHEDRON, [[0, 1, 1]], DegenerateError, "repeated index"),
        (
            np.where(TETRAHEDRON == 1, np.nan, 0),
            SIDES,
            NonFiniteError,
            "vertex 1 .* 3 of 4 vertices",
        ),
        ("text", SIDES, ArrayTypeError, "real numbers"),
    ],
)
def test_what_is_no_surface_is_refused_with_place_and_value(
    vertices, faces, error, message
) -> None:
    with pytest.raises(error, match=message):
        Surface(vertices, faces)


@pytest.mark.parametrize("far", [1e100, 1e150, 1e300])
def test_a_vertex_in_no_face_moves_no_area_and_no_normal(far: float) -> None:
    square = Surface([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]])
    stray = Surface(np.vstack([square.vertices, [far, -far, far]]), square.faces)
    np.testing.assert_array_equal(stray.face_areas, square.face_areas)
    np.testing.assert_array_equal(stray.face_normals, square.face_normals)
    np.testing.assert_array_equal(stray.vertex_normals[:4], square.vertex_normals)
