"""Procedural faces: a labelled population made from nothing, so that every example runs without a
download.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from meshconv._check import one_of
from meshconv.datasets.scan import Population, Scan
from meshconv.errors import ArgumentError
from meshconv.mesh.shapes import FACE_EFFECTS, face, face_effect, face_landmarks
from meshconv.mesh.surface import Surface


class ProceduralFaces(Population):
    """A population of `n` generated faces, half of them with a local effect; scan k is always the
    same.

    Every face has an identity, triangles, a pose and measurement noise of its own. Labels alternate
    0, 1.

    Parameters
    ----------
    n : int
        Number of faces.
    effect : str
        One of `meshconv.mesh.shapes.FACE_EFFECTS`, added to the faces with label 1.
    amplitude : float
        Its peak, mm; positive is outwards.
    n_vertices : int
        About how many vertices a face has.
    noise : float
        Standard deviation of each coordinate, mm.
    pose : bool
        Whether each face stands and is turned at random in space.
    mirrored : float
        Share of scans that are mirror images, and said to be.
    seed : int
        Populations with different seeds share no face.

    Raises
    ------
    ArgumentError
        If `n` is below 1 or the effect is unknown.

    Examples
    --------
    >>> faces = ProceduralFaces(4, "chin", n_vertices=400)
    >>> [scan.label for scan in faces], faces[1].name
    ([0, 1, 0, 1], 'procedural0_0001')
    >>> faces[3].truth.shape == (faces[3].surface.n_vertices,)
    True
    """

    def __init__(
        self,
        n: int,
        effect: str = "nose_tip",
        amplitude: float = 4.0,
        *,
        n_vertices: int = 1500,
        noise: float = 0.1,
        pose: bool = True,
        mirrored: float = 0.0,
        seed: int = 0,
    ) -> None:
        if n < 1:
            raise ArgumentError(f"n must be at least 1, found {n}")
        self.n, self.amplitude, self.n_vertices = n, amplitude, n_vertices
        self.effect = one_of(effect, tuple(FACE_EFFECTS), "effect")
        self.noise, self.pose, self.mirrored, self.seed = noise, pose, mirrored, seed

    def __len__(self) -> int:
        return self.n

    def scan(self, k: int) -> Scan:
        """Return face k."""
        rng = np.random.default_rng([self.seed, k])
        label, mesh = k % 2, int(rng.integers(2**31))
        made = face(
            self.n_vertices,
            identity=rng,
            effect=self.effect,
            size=label * self.amplitude,
            triangulation=mesh,
        )
        points, faces = made.vertices + rng.normal(0.0, self.noise, made.vertices.shape), made.faces
        mirrored = bool(rng.random() < self.mirrored)
        if mirrored:
            points, faces = points * [-1, 1, 1], faces[:, ::-1]
        if self.pose:
            points = points @ Rotation.random(random_state=rng).as_matrix().T + rng.normal(
                0.0, 200.0, 3
            )
        marks = list(face_landmarks(self.n_vertices, triangulation=mesh).values())
        truth = face_effect(self.effect, self.n_vertices, triangulation=mesh)
        name = f"procedural{self.seed}_{k:04d}"
        return Scan(Surface(points, faces), label, name, name, mirrored, truth, None, points[marks])
