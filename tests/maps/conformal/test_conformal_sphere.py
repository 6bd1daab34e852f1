"""Conformal maps of closed surfaces: closed forms, invariants, real heads, coarse solids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh import shapes
from meshconv.mesh.surface import Surface

# mean angle errors of LaPy 1.7's spherical conformal map, degrees; benchmarks/maps.py measures them
# again
LAPY = {"choi_david_head": 0.9119, "choi_maxplanck_head": 0.9452, "choi_hippocampus": 1.7493}


def folded(flat: Parameterization) -> int:
    """Faces whose corners do not turn counter-clockwise seen from outside, computed apart from the
    package.
    """
    return int((np.linalg.det(flat.coordinates[flat.surface.faces]) <= 0).sum())


def angle_error(flat: Parameterization) -> float:
    image, surface = (
        trimesh.triangles.angles(p[flat.surface.faces])
        for p in (flat.coordinates, flat.surface.vertices)
    )
    return float(np.degrees(np.abs(image - surface).mean()))


def centre(flat: Parameterization) -> float:
    w = np.bincount(
        flat.surface.faces.ravel(), np.repeat(flat.surface.face_areas, 3), flat.surface.n_vertices
    )
    return float(np.linalg.norm(w @ flat.coordinates) / w.sum())


def up_to_rotation(source: np.ndarray, target: np.ndarray) -> float:
    rotation, _ = Rotation.align_vectors(target, source)
    return float(np.abs(rotation.apply(source) - target).max())


def test_the_sphere_is_its_own_map_and_finer_meshes_are_nearer() -> None:
    for level, bound in ((2, 4e-3), (3, 3e-3), (4, 2e-3)):
        surface = shapes.icosphere(level, radius=7.0)
        flat = conformal_map(surface, domain="sphere")
        assert up_to_rotation(flat.coordinates.copy(), surface.vertices / 7) < bound


def test_a_moebius_image_of_the_sphere_comes_back_to_the_sphere() -> None:
    sphere = shapes.icosphere(4)
    inversion_centre = np.array(
        [0.0, 0.4, 1.6]
    )  # inversion in a point outside turns sphere into sphere
    shifted = sphere.vertices - inversion_centre
    image = shifted / (shifted**2).sum(axis=1, keepdims=True)
    flat = conformal_map(Surface(image, sphere.faces[:, ::-1]), domain="sphere")
    assert angle_error(flat) < 0.35
    assert centre(flat) < 1e-10


@settings(max_examples=6)
@given(seed=st.integers(0, 2**31), scale=st.sampled_from([1e-6, 1.0, 1e6]))
def test_scale_pose_and_numbering_change_nothing_but_rounding(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    x = shapes.icosphere(3).vertices
    faces = shapes.icosphere(3).faces
    bent = x * [1.0, 1.4, 2.0] + 0.3 * np.column_stack(
        [x[:, 1] ** 2, x[:, 2] ** 2, x[:, 0] * x[:, 1]]
    )
    order = rng.permutation(len(x))
    points = np.empty_like(bent)
    points[order] = bent
    points = scale * points @ Rotation.random(random_state=rng).as_matrix().T + scale * rng.normal(
        size=3
    )
    here = conformal_map(Surface(bent, faces), domain="sphere").coordinates
    there = conformal_map(Surface(points, order[faces]), domain="sphere").coordinates[order]
    assert np.abs(there - here).max() < 1e-5


@pytest.mark.parametrize("name", LAPY)
def test_real_closed_surfaces_beat_lapy(data_dir: Path, name: str) -> None:
    mesh = trimesh.load(data_dir / f"{name}.ply", process=False)
    flat = conformal_map(Surface.from_trimesh(mesh), domain="sphere")
    assert angle_error(flat) < LAPY[name]
    assert folded(flat) == 0
    assert centre(flat) < 1e-10
    assert np.abs(np.linalg.norm(flat.coordinates, axis=1) - 1).max() < 1e-14


TETRAHEDRON = Surface(
    [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1.0]],
    [[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]],
)


@pytest.mark.filterwarnings("ignore::meshconv.errors.AccuracyWarning")
@pytest.mark.parametrize(
    "surface",
    [
        TETRAHEDRON,
        shapes.icosphere(0),
        Surface(shapes.icosphere(2).vertices * [1, 1, 6], shapes.icosphere(2).faces),
        Surface(shapes.icosphere(2).vertices * [1, 1, 0.02], shapes.icosphere(2).faces),
        Surface(1e150 * shapes.icosphere(1).vertices, shapes.icosphere(1).faces),
    ],
    ids=["tetrahedron", "icosahedron", "cigar", "pancake", "huge"],
)
def test_coarse_and_thin_solids_are_mapped_without_fold(surface: Surface) -> None:
    with np.errstate(all="ignore"):
        flat = conformal_map(surface, domain="sphere")
    assert folded(flat) == 0


@pytest.mark.filterwarnings("ignore::meshconv.errors.AccuracyWarning")
@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), spread=st.floats(0, 1))
def test_rough_closed_surfaces_do_not_fold(seed: int, spread: float) -> None:
    base = shapes.icosphere(2)
    noise = np.random.default_rng(seed).normal(size=base.vertices.shape)
    flat = conformal_map(Surface(base.vertices + spread * noise, base.faces), domain="sphere")
    assert folded(flat) == 0


def dumbbell(level: int, rings: int, step: float, noise: float) -> Surface:
    """Two spheres joined by a long tube, three edges around."""
    ball = shapes.icosphere(level)
    face = ball.faces[0]
    middle = ball.vertices[face].mean(axis=0)
    axis = middle / np.linalg.norm(middle)
    along = axis * step * np.arange(rings)[:, None, None]
    tube = (ball.vertices[face] + along)[1:]
    tube += noise * np.random.default_rng(7).normal(size=tube.shape)
    half = np.linalg.norm(middle) + rings * step / 2
    other = ball.vertices - 2 * np.outer(ball.vertices @ axis - half, axis)
    n, m = ball.n_vertices, 3 * (rings - 1)
    loops = np.vstack([face, n + np.arange(m).reshape(-1, 3), n + m + face])
    near, far = loops[:-1].ravel(), loops[1:].ravel()
    near_next, far_next = (np.roll(part, -1, axis=1).ravel() for part in (loops[:-1], loops[1:]))
    walls = [np.column_stack(c) for c in ((near, near_next, far_next), (near, far_next, far))]
    lobes = [ball.faces[1:], n + m + ball.faces[1:, ::-1]]
    return Surface(
        np.concatenate([ball.vertices, tube.reshape(-1, 3), other]), np.concatenate(lobes + walls)
    )


@pytest.mark.filterwarnings("ignore::meshconv.errors.AccuracyWarning")
@pytest.mark.parametrize("noise", [0.0, 0.03])
@pytest.mark.parametrize(("level", "rings", "step"), [(2, 20, 0.3), (3, 10, 0.2), (3, 20, 0.2)])
def test_two_lobes_with_a_neck_cover_the_sphere_once(
    level: int, rings: int, step: float, noise: float
) -> None:
    flat = conformal_map(dumbbell(level, rings, step, noise), domain="sphere")
    assert folded(flat) == 0
    corners = flat.coordinates[flat.surface.faces]
    cosines = np.einsum("fij,fij->f", corners, np.roll(corners, 1, axis=1))
    angles = 2 * np.arctan2(np.linalg.det(corners), 1 + cosines)
    assert abs(angles.sum() - 4 * np.pi) < 1e-6
