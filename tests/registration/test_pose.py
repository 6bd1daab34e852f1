"""A pose is found from the shape alone, also where the scan is a part of the frame's surface."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from meshconv import Surface, Template, repair
from meshconv.mesh.rigid import Pose
from meshconv.mesh.shapes import face
from meshconv.registration.cloud import Cloud, even_subset
from meshconv.registration.frame import blurred_curvature
from meshconv.registration.pose import find_poses

WAYS = {"upper": [0, 1], "lower": [0, -1], "left": [1, 0], "right": [-1, 0], "oblique": [1, 1]}


@cache
def frame() -> Template:
    return Template.from_surface(face(900, identity=11))


def part(way: str, share: float, seed: int) -> Surface:
    """What lies furthest along a direction of an upright face, by its share of the vertices."""
    whole = face(1100, identity=seed, triangulation=seed)
    along = whole.vertices[:, :2] @ np.array(WAYS[way], dtype=float)
    inside = along >= np.quantile(along, 1 - share)
    used, faces = np.unique(whole.faces[inside[whole.faces].all(axis=1)], return_inverse=True)
    return repair(Surface(whole.vertices[used], faces.reshape(-1, 3)), target="disk").surface


def poses(scan: Surface) -> list[Pose]:
    surface, size = frame().surface, frame().size
    clouds = []
    for one, rows in ((scan, even_subset(scan, 300)), (surface, frame().matched)):
        known = blurred_curvature(one, size)[rows]
        clouds.append(Cloud(one.vertices[rows], one.vertex_normals[rows], size, known))
    return find_poses(clouds[0], clouds[1], 1.0)


def off(pose: Pose, turn: np.ndarray) -> float:
    return float(np.degrees(Rotation.from_matrix(pose.rotation @ turn).magnitude()))


@pytest.mark.parametrize("share", [0.5, 0.33])
@pytest.mark.parametrize("way", WAYS)
def test_halves_and_thirds_are_found_among_the_few_poses(way: str, share: float) -> None:
    for seed in (3, 4):
        turn = Rotation.random(random_state=seed).as_matrix()
        scan = part(way, share, seed)
        found = poses(Surface(scan.vertices @ turn.T + 40.0, scan.faces))
        assert min(off(pose, turn) for pose in found) < 30  # as unlike as poses are


def test_a_turned_scan_has_turned_poses() -> None:
    scan = part("upper", 0.5, 6)
    turn = Rotation.random(random_state=1).as_matrix()
    straight = poses(scan)
    around = poses(Surface(scan.vertices @ turn.T - 7.0, scan.faces))
    assert len(straight) == len(around)
    assert off(around[0], turn @ straight[0].rotation.T) < 1e-3


def test_poses_are_unlike_each_other() -> None:
    found = poses(part("left", 0.5, 8))
    for k, one in enumerate(found):
        assert all(off(one, other.rotation.T) > 30 for other in found[:k])
