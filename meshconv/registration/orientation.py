"""How a map is turned: with its surface, up where that is up, or by an angle."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.rigid import nearest_rotation
from meshconv.mesh.surface import Surface
from meshconv.operators.laplacian import mass_matrix


def upright(flat: Parameterization) -> Parameterization:
    """Turn a map so that up in space is up in it (disk), or that it points as the surface does
    (sphere).
    """
    surface = flat.surface
    weight = mass_matrix(surface).diagonal()
    x = surface.vertices - weight @ surface.vertices / weight.sum()
    if flat.domain == "sphere":
        turn = nearest_rotation((weight[:, None] * x).T @ flat.coordinates)
        turned = flat.coordinates @ turn.T
        return flat.with_coordinates(turned / np.linalg.norm(turned, axis=1, keepdims=True))
    up = (weight * x[:, 1]) @ flat.coordinates
    if np.linalg.norm(up) < 1e-9 * (
        weight @ np.abs(x[:, 1])
    ):  # flat on the ground: nothing points up
        return flat
    a, b = up / np.linalg.norm(up)
    return flat.with_coordinates(flat.coordinates @ np.array([[b, a], [-a, b]]))


def turned(flat: Parameterization, degrees: float) -> Parameterization:
    """Turn surface and map together, counter-clockwise as seen from where the surface faces (z, if
    it does not).
    """
    z, surface = np.array([0.0, 0.0, 1.0]), flat.surface
    facing = surface.face_area_vectors.sum(axis=0)
    if flat.domain == "sphere" or np.linalg.norm(facing) < 1e-6 * surface.area:
        facing = z
    in_space, in_plane = (
        Rotation.from_rotvec(np.radians(degrees) * axis / np.linalg.norm(axis)).as_matrix()
        for axis in (facing, z)
    )
    coordinates = flat.coordinates.copy()
    coordinates[:, :2] = coordinates[:, :2] @ in_plane[:2, :2].T
    return Parameterization(
        Surface(surface.vertices @ in_space.T, surface.faces), coordinates, flat.domain
    )
