"""Morphable faces: a labelled population with exact truth, made as unlike each other as real scans
are.

Every face is another identity and expression, has triangles of its own, is cropped, posed and
measured with noise of its own; group 1 also carries a local effect. Which point of the mean face
each vertex is, is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.spatial import Delaunay, cKDTree
from scipy.spatial.transform import Rotation

from meshconv._check import BoolArray, FloatArray, IntArray, one_of
from meshconv.datasets.files import find_data
from meshconv.datasets.scan import Correspondence, Population, Scan
from meshconv.errors import ArgumentError
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.mesh.connectivity import face_components
from meshconv.mesh.surface import Surface

EFFECTS = (
    "micrognathia",
    "hemimandible_R",
    "alar_widening",
    "saddle_nose",
    "malar_flattening",
    "cleft_like_L",
    "metopic_ridge",
    "hypertelorism",
)
_NOSE_TIP = 30  # in the 68 Multi-PIE landmarks


@dataclass(frozen=True, eq=False)
class FaceModel:
    """The linear model: mean, modes of identity and expression, unit effects (peak 1 mm), in
    millimetres.
    """

    mean: Surface
    flat: FloatArray  # (V, 2), a conformal map of the mean, in which random points are triangulated
    identity: FloatArray  # (I, V, 3), each +1 standard deviation
    expression: FloatArray  # (E, V, 3), weight 0..1
    effects: dict[str, FloatArray]  # name -> (V, 3)
    landmarks: IntArray  # (68,)


@cache
def face_model(path: Path | None = None) -> FaceModel:
    """Read the model from ``ict_face.npz`` (ICT-FaceKit; Li et al., CVPR 2020, arXiv
    2004.03458).
    """
    with np.load(path or find_data("ict_face.npz"), allow_pickle=False) as data:
        mean = Surface(data["vertices"], data["faces"])
        effects = dict(
            zip(data["effect_names"].tolist(), data["effects"].astype(np.float64), strict=True)
        )
        return FaceModel(
            mean,
            conformal_map(mean, domain="disk").coordinates,
            data["identity_modes"].astype(np.float64),
            data["expression_modes"].astype(np.float64),
            effects,
            data["landmarks68"].astype(np.int64),
        )


@dataclass(frozen=True)
class Acquisition:
    """How scans differ from the model besides shape.

    Attributes
    ----------
    n_vertices : int
        About how many vertices the whole face would have, before cropping.
    noise : float
        Standard deviation of each coordinate, mm.
    crop, pose : bool
        Whether the border, and the position in space, are random.
    mirrored : float
        Share of scans that are mirror images, and said to be.
    expressions : float
        Share of expression modes that are active, with weights 0.3 |N(0, 1)|.
    identity : float
        Standard deviations of the identity modes.
    """

    n_vertices: int = 5000
    noise: float = 0.1
    crop: bool = True
    pose: bool = True
    mirrored: float = 0.0
    expressions: float = 0.1
    identity: float = 1.0


class MorphableFaces(Population):
    """A population of `n` faces, half of them with an effect; scan k is made on demand, always the
    same.

    Parameters
    ----------
    n : int
        Number of faces; labels alternate 0, 1, 0, 1, ...
    effect : str
        One of `EFFECTS`, added to the faces with label 1.
    amplitude : float
        Its peak, mm.
    seed : int
        Populations with different seeds share no face.
    acquisition : Acquisition, optional
        Meshing, cropping, pose, noise.
    path : Path, optional
        The model file, where it is not found by itself.

    Raises
    ------
    MissingFileError
        If the model file is not there.
    """

    def __init__(
        self,
        n: int,
        effect: str = "cleft_like_L",
        amplitude: float = 4.0,
        *,
        seed: int = 0,
        acquisition: Acquisition | None = None,
        path: Path | None = None,
    ) -> None:
        self.model = face_model(path)
        self.effect = self.model.effects[one_of(effect, tuple(self.model.effects), "effect")]
        if n < 1:
            raise ArgumentError(f"n must be at least 1, found {n}")
        self.n, self.amplitude, self.seed = n, amplitude, seed
        self.acquisition = acquisition or Acquisition()

    def __len__(self) -> int:
        return self.n

    def scan(self, k: int) -> Scan:
        """Return face k."""
        rng = np.random.default_rng([self.seed, k])
        shape = self._shape(rng) + self.displacement(k)
        at, faces = _sampled(self.model, shape, rng, self.acquisition)
        points = _carry(at, self.model.mean.faces, shape)
        points = points + rng.normal(0.0, self.acquisition.noise, points.shape)
        marks = shape[self.model.landmarks]
        far = cKDTree(points).query(marks)[0] > 3 * np.sqrt(
            self.model.mean.area / self.acquisition.n_vertices
        )
        marks[far] = np.nan
        mirrored = bool(rng.random() < self.acquisition.mirrored)
        if mirrored:
            points, marks, faces = points * [-1, 1, 1], marks * [-1, 1, 1], faces[:, ::-1]
        if self.acquisition.pose:
            turn, shift = Rotation.random(random_state=rng).as_matrix(), rng.normal(0.0, 200.0, 3)
            points, marks = points @ turn.T + shift, marks @ turn.T + shift
        truth = _carry(at, self.model.mean.faces, self.truth[:, None])[:, 0]
        name = f"face{self.seed}_{k:04d}"
        return Scan(Surface(points, faces), self.label(k), name, name, mirrored, truth, at, marks)

    def label(self, k: int) -> int:
        """Return the group of face k."""
        return k % 2

    def displacement(self, k: int) -> FloatArray:
        """Return what the effect adds to face k, (V, 3) on the model's vertices, mm."""
        return np.asarray(self.label(k) * self.amplitude * self.effect)

    @property
    def truth(self) -> FloatArray:
        """Where the effect lies, 0..1, on the model's vertices, (V,)."""
        size = np.linalg.norm(self.effect, axis=1)
        return np.asarray(size / size.max())

    def _shape(self, rng: np.random.Generator) -> FloatArray:
        weights = self.acquisition.identity * rng.standard_normal(len(self.model.identity))
        active = rng.random(len(self.model.expression)) < self.acquisition.expressions
        smile = np.where(active, 0.3 * np.abs(rng.standard_normal(len(active))), 0.0)
        moved = np.tensordot(weights, self.model.identity, 1) + np.tensordot(
            smile, self.model.expression, 1
        )
        return np.asarray(self.model.mean.vertices + moved)


def _carry(at: Correspondence, faces: IntArray, field: FloatArray) -> FloatArray:
    """Return a field (V, d) of the reference at the corresponding points."""
    return np.einsum("kc,kcd->kd", at.weights, field[faces[at.face]])


def _sampled(
    model: FaceModel, shape: FloatArray, rng: np.random.Generator, acquisition: Acquisition
) -> tuple[Correspondence, IntArray]:
    """Random points of the mean face and triangles between them, cropped on the individual's
    shape.
    """
    at = _even_points(model.mean, acquisition.n_vertices, rng)
    flat = _carry(at, model.mean.faces, model.flat)
    faces = Delaunay(flat).simplices.astype(np.int64)
    a, b, c = flat[faces].swapaxes(0, 1)
    clockwise = (b - a)[:, 0] * (c - a)[:, 1] < (b - a)[:, 1] * (c - a)[:, 0]
    faces[clockwise] = faces[clockwise][:, ::-1]
    points = _carry(at, model.mean.faces, shape)
    sides = np.linalg.norm(points[faces] - points[faces[:, [1, 2, 0]]], axis=2).max(axis=1)
    keep = sides < 6 * np.sqrt(
        model.mean.area / acquisition.n_vertices
    )  # none across the concave border
    if acquisition.crop:
        keep &= _in_view(points, shape[model.landmarks[_NOSE_TIP]], rng)[faces].all(axis=1)
    faces = faces[keep]
    faces = _one_sheet(faces[face_components(faces) == 0])
    used, faces = np.unique(faces, return_inverse=True)
    return Correspondence(at.face[used], at.weights[used]), faces.reshape(-1, 3)


def _in_view(points: FloatArray, nose: FloatArray, rng: np.random.Generator) -> BoolArray:
    """Inside an ellipsoid around a point near the tip of the nose, all of them random within
    limits.
    """
    centre = nose + rng.normal(0.0, 5.0, 3)
    axes = np.array([1.0, rng.uniform(0.8, 1.0), 0.7])
    return np.asarray(np.linalg.norm((points - centre) * axes, axis=1) < rng.uniform(85.0, 115.0))


def _even_points(surface: Surface, n: int, rng: np.random.Generator) -> Correspondence:
    """About `n` random points no two of which are close (random sequential thinning, all at once in
    rounds).
    """
    many = 6 * n
    face = rng.choice(surface.n_faces, many, p=surface.face_areas / surface.area)
    root, other = np.sqrt(rng.random(many)), rng.random(many)
    weights = np.stack([1 - root, root * (1 - other), root * other], axis=1)
    points = _carry(Correspondence(face, weights), surface.faces, surface.vertices)
    pairs = cKDTree(points).query_pairs(0.75 * np.sqrt(surface.area / n), output_type="ndarray")
    kept, open_ = np.zeros(many, dtype=bool), np.ones(many, dtype=bool)
    while open_.any():  # an open point goes in when no open neighbour has a smaller index
        pairs = pairs[open_[pairs].all(axis=1)]
        first = open_.copy()
        first[pairs.max(axis=1)] = False
        kept |= first
        open_ &= ~first
        open_[pairs[first[pairs].any(axis=1)].ravel()] = False
    return Correspondence(face[kept], weights[kept])


def _one_sheet(faces: IntArray) -> IntArray:
    """Drop faces at vertices where two sheets of the border touch, until there is none."""
    from meshconv.mesh.connectivity import boundary_half_edges

    while True:
        starts, count = np.unique(boundary_half_edges(faces)[:, 0], return_counts=True)
        touching = np.isin(faces, starts[count > 1]).any(axis=1)
        if not touching.any():
            return faces
        faces = faces[~touching]
        faces = faces[face_components(faces) == 0]
