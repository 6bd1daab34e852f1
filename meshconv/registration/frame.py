"""`Frame`: what registration needs to know of a template, as data: a mean surface, where its
vertices lie in the flat domain, its landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import sparse

from meshconv._check import BoolArray, FloatArray, IntArray, as_array, one_of, require_kind
from meshconv.errors import ArgumentError, IndexOutOfRangeError
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.rigid import Pose
from meshconv.mesh.surface import Surface
from meshconv.operators.intrinsic import cotangent_laplacian_intrinsic
from meshconv.operators.laplacian import mass_matrix
from meshconv.operators.solve import SPDSolver
from meshconv.operators.spectral import laplacian_eigenpairs

N_MODES = (
    100  # smooth displacement fields a template can take; more follow noise, fewer miss the nose
)
_BLUR = 0.02  # smoothing length of the curvature that is matched, in template sizes
_LEAST_FACING = (
    0.25  # length of the mean normal: a face has .5 to .65, a half sphere .5, a closed surface 0
)
EVEN = 1.06  # another pose that is only so many times as far off leaves the pose open
LEAST_POPULATION = 4  # scans that tell a median and a spread
_MATCHED = 2500  # vertices of an open template that are matched, at most


@dataclass(frozen=True, eq=False)
class Frame:
    """A `meshconv.Template` without its doors: the data that poses, bends and maps are found from.

    Parameters
    ----------
    parameterization, landmarks, orientation, population, rivals
        As of `meshconv.Template`.
    """

    parameterization: Parameterization
    landmarks: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    orientation: str = "any"
    population: FloatArray = field(default_factory=lambda: np.zeros((0, 5)))
    rivals: FloatArray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        require_kind(self.parameterization, "parameterization", Parameterization)
        domain = one_of(self.parameterization.domain, ("disk", "sphere"), "the template's domain")
        if one_of(self.orientation, ("any", "kept"), "orientation") == "kept" and domain == "disk":
            raise ArgumentError(
                "orientation='kept' is for closed surfaces; disks are found in any pose"
            )
        given = as_array(self.landmarks, "landmarks")
        if given.size and (given.ndim != 1 or given.dtype.kind not in "iu"):
            raise ArgumentError(
                f"landmarks must be (K,) vertex indices, found {given.dtype} of shape {given.shape}"
            )
        marks = np.array(given, dtype=np.int64)
        if len(marks) and not (marks.min() >= 0 and marks.max() < self.surface.n_vertices):
            raise IndexOutOfRangeError(
                f"landmarks {marks.min()}..{marks.max()}, "
                f"the template has vertices 0..{self.surface.n_vertices - 1}"
            )
        if len(np.unique(marks)) != len(marks):
            raise ArgumentError("two landmarks are the same vertex of the template")
        marks.setflags(write=False)
        object.__setattr__(self, "landmarks", marks)

    @property
    def surface(self) -> Surface:
        """The mean surface."""
        return self.parameterization.surface

    @cached_property
    def size(self) -> float:
        """Square root of the area: the unit in which every length of the matching is measured."""
        return float(np.sqrt(self.surface.area))

    @cached_property
    def is_deep(self) -> bool:
        """Whether it is a deep bowl or closed, see `facing`."""
        return facing(self.surface) is None

    @property
    def open_turn(self) -> str:
        """In words that the turn of most scans of the population is not determined by their shape;
        empty if it is, or nothing is known.
        """
        usual = float(np.median(self.rivals)) if len(self.rivals) >= LEAST_POPULATION else np.inf
        if usual >= EVEN:
            return ""
        return (
            "the turn of these surfaces is not determined by their shape (in the median another "
            f"pose is only {max(usual, 1.0):.2f} times as far off): as far as it is, "
            "each lies as it came"
        )

    @cached_property
    def modes(self) -> tuple[FloatArray, FloatArray]:
        """Dimensionless eigenvalues (M,) and eigenfunctions (V, M) of the Laplacian, mean square
        1.
        """
        count = min(N_MODES, self.surface.n_vertices - 2)
        values, functions = laplacian_eigenpairs(self.surface, count)
        return values * self.size**2, functions * self.size

    @cached_property
    def curvature(self) -> FloatArray:
        """Blurred mean curvature (V,), times the template's size."""
        return blurred_curvature(self.surface, self.size)

    @cached_property
    def on_border(self) -> BoolArray:
        """Which vertices lie on the border, (V,)."""
        mask = np.zeros(self.surface.n_vertices, dtype=bool)
        for loop in self.surface.boundary_loops:
            mask[loop] = True
        return mask

    @cached_property
    def matched(self) -> IntArray:
        """The vertices that partners are sought among: all, or a fixed random subset away from the
        border.
        """
        inner = np.flatnonzero(~self.on_border)
        if len(inner) <= _MATCHED:
            return inner if len(inner) else np.arange(self.surface.n_vertices)
        return np.sort(np.random.default_rng(0).choice(inner, _MATCHED, replace=False))


@dataclass(frozen=True, eq=False)
class Bent:
    """The template on the scan: its vertices (V, 3) in its own frame, the scan's pose there, and
    how far off.
    """

    vertices: FloatArray
    pose: Pose
    residual: float  # distance between the two surfaces, in the template's unit


def facing(surface: Surface) -> FloatArray | None:
    """Return the direction (3,) that a surface faces on the whole; None if it faces nowhere, as a
    deep bowl or a closed surface.
    """
    mean = surface.face_area_vectors.sum(axis=0) / surface.area
    length = np.linalg.norm(mean)
    return None if length < _LEAST_FACING else np.asarray(mean / length)


def blurred_curvature(surface: Surface, size: float) -> FloatArray:
    """Return `size` times the mean curvature (V,), after heat flow over a fixed share of `size`.

    (M + t L) h = (L x) . n / 2 needs no division by vertex areas, so that bad triangles do no harm.
    """
    laplacian = cotangent_laplacian_intrinsic(surface)
    mass = mass_matrix(surface).tocsr()
    flow = sparse.csr_array(mass + (_BLUR * size) ** 2 * laplacian)
    integrated = ((laplacian @ surface.vertices) * surface.vertex_normals).sum(axis=1) / 2
    return size * SPDSolver(flow, coordinates=surface.vertices).solve(integrated)
