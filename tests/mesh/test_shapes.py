"""Generated surfaces: areas in closed form, orientation, topology, and a face with known
correspondence.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from meshconv.errors import ArgumentError
from meshconv.mesh import connectivity, shapes
from meshconv.mesh.shapes import (
    FACE_EFFECTS,
    FACE_MODES,
    face,
    face_coordinates,
    face_effect,
    face_landmarks,
)
from meshconv.mesh.surface import Surface

SHAPES = {  # surface, Euler characteristic, borders
    "grid": (shapes.grid(7, 9), 1, 1),
    "disk": (shapes.disk(6), 1, 1),
    "delaunay_disk": (shapes.delaunay_disk(300, seed=3), 1, 1),
    "annulus": (shapes.annulus(), 0, 2),
    "cylinder": (shapes.cylinder(), 0, 2),
    "torus": (shapes.torus(), 0, 0),
    "icosphere": (shapes.icosphere(2), 2, 0),
    "delaunay_sphere": (shapes.delaunay_sphere(300, seed=3), 2, 0),
    "cap": (shapes.cap(6), 1, 1),
    "bumpy_heightfield": (shapes.bumpy_heightfield(12), 1, 1),
    "face": (face(600, identity=2), 1, 1),
    "face_own_triangles": (face(600, identity=2, triangulation=5), 1, 1),
}


@pytest.mark.parametrize("name", SHAPES)
def test_topology_orientation_and_quality(name: str) -> None:
    surface, euler, borders = SHAPES[name]
    directed = connectivity.half_edges(surface.faces)
    assert len(np.unique(directed, axis=0)) == len(directed)  # neighbours agree on the outside
    assert surface.euler_characteristic == euler
    assert len(surface.boundary_loops) == borders
    assert len(np.unique(surface.faces)) == surface.n_vertices
    assert surface.face_areas.min() > 0.05 * surface.face_areas.mean()


def volume(surface: Surface) -> float:
    return float(
        (surface.vertices[surface.faces].mean(axis=1) * surface.face_area_vectors).sum() / 3
    )


@pytest.mark.parametrize(
    ("coarse", "fine", "area", "enclosed"),
    [
        (shapes.disk(10, 2.0), shapes.disk(20, 2.0), 4 * np.pi, 0),
        (shapes.delaunay_disk(400), shapes.delaunay_disk(1600), np.pi, 0),
        (shapes.annulus(1, 2, 40, 4), shapes.annulus(1, 2, 80, 8), 3 * np.pi, 0),
        (shapes.icosphere(2, 3.0), shapes.icosphere(3, 3.0), 36 * np.pi, 36 * np.pi),
        (
            shapes.delaunay_sphere(500, 3.0),
            shapes.delaunay_sphere(2000, 3.0),
            36 * np.pi,
            36 * np.pi,
        ),
        (shapes.torus(2, 0.5, 40, 20), shapes.torus(2, 0.5, 80, 40), 4 * np.pi**2, np.pi**2),
        (shapes.cap(10, 2.0, 1.2), shapes.cap(20, 2.0, 1.2), 8 * np.pi * (1 - np.cos(1.2)), None),
        (shapes.cylinder(1, 3, 40, 5), shapes.cylinder(1, 3, 80, 9), 6 * np.pi, None),
    ],
)
def test_area_and_volume_converge_at_second_order(
    coarse: Surface, fine: Surface, area: float, enclosed: float | None
) -> None:
    errors = [abs(surface.area / area - 1) for surface in (coarse, fine)]
    assert errors[1] < 0.02
    assert 1.8 < np.log2(errors[0] / errors[1]) < 2.2
    if enclosed:
        assert volume(fine) == pytest.approx(enclosed, rel=0.03)  # outward: positive


def test_flat_shapes_face_up() -> None:
    for name in ("grid", "disk", "delaunay_disk", "annulus"):
        assert (SHAPES[name][0].face_normals[:, 2] == 1).all()
    assert (SHAPES["bumpy_heightfield"][0].face_normals[:, 2] > 0).all()


def test_landscape_is_one_function_at_every_resolution() -> None:
    coarse, fine = shapes.bumpy_heightfield(9, seed=4), shapes.bumpy_heightfield(17, seed=4)
    shared = fine.vertices.reshape(17, 17, 3)[::2, ::2].reshape(-1, 3)
    np.testing.assert_allclose(coarse.vertices, shared, atol=1e-14)


@pytest.mark.parametrize(
    "make", [lambda: shapes.grid(1), lambda: shapes.disk(0), lambda: shapes.torus(n_minor=2)]
)
def test_refuses_too_few_vertices(make: object) -> None:
    with pytest.raises(ArgumentError, match=r"must be an integer of at least \d, found"):
        make()  # type: ignore[operator]


def test_refuses_a_cap_beyond_the_sphere() -> None:
    with pytest.raises(ArgumentError, match=r"angle must lie in \(0, pi\), found 4"):
        shapes.cap(3, angle=4)


# --- the face
# --------------------------------------------------------------------------------------


def test_mean_face_is_mirror_symmetric_and_life_sized() -> None:
    vertices = face(3000).vertices
    nearest, _ = cKDTree(vertices).query(vertices * [-1, 1, 1])
    assert nearest.max() < 1e-9
    assert 120 < np.ptp(vertices[:, 0]) < 160
    assert 170 < np.ptp(vertices[:, 1]) < 210
    assert vertices[vertices[:, 2].argmax(), 0] == pytest.approx(0, abs=3)  # the nose leads


def test_face_never_overhangs_into_itself() -> None:
    flipped = [(face(3000, identity=k).face_normals[:, 2] < 0).sum() for k in range(20)]
    assert max(flipped) == 0


def test_identities_differ_repeat_and_are_centred_on_the_mean() -> None:
    np.testing.assert_array_equal(face(900, identity=7).vertices, face(900, identity=7).vertices)
    population = np.array([face(900, identity=k).vertices for k in range(80)])
    spread = population.std(axis=0)
    assert 0.5 < np.median(np.linalg.norm(spread, axis=1)) < 5  # mm
    assert np.linalg.norm(population.mean(axis=0) - face(900).vertices, axis=1).max() < 1.5
    np.testing.assert_array_equal(
        face(900, identity=np.zeros(FACE_MODES)).vertices, face(900).vertices
    )


@pytest.mark.parametrize("effect", FACE_EFFECTS)
def test_effect_moves_exactly_its_patch(effect: str) -> None:
    truth = face_effect(effect, 3000, triangulation=1)
    before = face(3000, identity=3, triangulation=1)
    after = face(3000, identity=3, triangulation=1, effect=effect, size=2.5)
    moved = np.linalg.norm(after.vertices - before.vertices, axis=1)
    np.testing.assert_allclose(moved, 2.5 * truth, atol=1e-12)
    assert 0.9 < truth.max() <= 1
    assert 0.002 < (truth > 0).mean() < 0.15
    outward = ((after.vertices - before.vertices) * before.vertex_normals).sum(axis=1)
    assert outward[truth > 0.5].min() > 0


def test_landmarks_correspond_over_triangulations() -> None:
    one, two = face_landmarks(6000), face_landmarks(6000, triangulation=9)
    assert len(one) == 18
    assert one.keys() == two.keys()
    a, b = face(6000, identity=4).vertices, face(6000, identity=4, triangulation=9).vertices
    apart = [np.linalg.norm(a[one[name]] - b[two[name]]) for name in one]
    assert max(apart) < 4  # half an edge each
    assert a[one["nose_tip"], 2] > a[:, 2].max() - 3
    assert a[one["eye_outer_left"], 0] > 30 > -30 > a[one["eye_outer_right"], 0]


def test_coordinates_are_the_common_disk() -> None:
    uv = face_coordinates(800, triangulation=2)
    assert len(uv) == face(800, triangulation=2).n_vertices
    assert np.hypot(*uv.T).max() == pytest.approx(1)


def test_face_refuses_unknown_effect_and_wrong_coefficients() -> None:
    with pytest.raises(ArgumentError, match="effect must be one of 'nose_tip'"):
        face(500, effect="beard")
    with pytest.raises(
        ArgumentError, match=f"identity must be a seed or {FACE_MODES} finite coefficients"
    ):
        face(500, identity=np.zeros(3))
