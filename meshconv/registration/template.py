"""`Template`: the frame of a population: a mean surface, where its vertices lie in the flat domain,
its landmarks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike

import numpy as np
from scipy import sparse

from meshconv._check import FloatArray, IntArray, as_array, in_range, one_of, require_kind
from meshconv.errors import ArgumentError, IndexOutOfRangeError
from meshconv.maps.files import load_arrays, save_arrays
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.surface import Surface
from meshconv.operators.intrinsic import cotangent_laplacian_intrinsic
from meshconv.operators.laplacian import mass_matrix
from meshconv.operators.solve import SPDSolver
from meshconv.operators.spectral import laplacian_eigenpairs
from meshconv.registration.orientation import turned, upright

N_MODES = (
    100  # smooth displacement fields a template can take; more follow noise, fewer miss the nose
)
_BLUR = 0.02  # smoothing length of the curvature that is matched, in template sizes


@dataclass(frozen=True, eq=False)
class Template:
    """The frame into which `register` brings every scan of a population.

    Parameters
    ----------
    parameterization : Parameterization
        The mean surface and the frame coordinates of its vertices, domain ``disk`` or ``sphere``.
    landmarks : (K,) int array_like, optional
        Vertices of the mean surface that `register` can match exactly; in the same order on every
        scan.
    orientation : {'any', 'kept'}
        How the scans are turned in space: anyhow, or about as the template is, as organs are that
        were cut out of scanner images. Then only what is left of the turn, some 40 degrees, is
        sought and taken away. Closed surfaces only.

    See Also
    --------
    Template.from_surface : a frame from one surface.
    Template.from_population : the mean shape of many, in the frame of the first.
    """

    parameterization: Parameterization
    landmarks: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    orientation: str = "any"

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
                f"landmarks {marks.min()}..{marks.max()}, the template has vertices 0..{self.surface.n_vertices - 1}"
            )
        if len(np.unique(marks)) != len(marks):
            raise ArgumentError("two landmarks are the same vertex of the template")
        marks.setflags(write=False)
        object.__setattr__(self, "landmarks", marks)

    # --- making one ----------------------------------------------------------------------------

    @classmethod
    def from_surface(
        cls,
        surface: Surface,
        *,
        domain: str = "disk",
        landmarks: IntArray | None = None,
        margin: float = 0.1,
        orientation: str = "any",
    ) -> Template:
        """Return the frame given by the map of one clean surface, turned upright.

        On the disk the map is conformal, and the surface's y axis points up. On the sphere it keeps
        areas (conformal maps of closed surfaces squeeze what is long and thin), and the directions
        are those in space. A face whose plane of symmetry is x = 0 is then symmetric about the
        vertical middle of its images.

        Parameters
        ----------
        surface : Surface
            A disk (one border, no handle), or a closed surface of genus 0 for ``domain='sphere'``.
            It should cover what the scans cover: what lies outside is squeezed into the margin.
        domain : {'disk', 'sphere'}
            The flat domain.
        landmarks : (K,) int array_like, optional
            Vertices of `surface`.
        margin : float
            Width of the ring of the unit disk that is kept free around the template, for scans that
            reach further. In [0, 0.5]; not for the sphere.
        orientation : {'any', 'kept'}
            See `Template`.

        Raises
        ------
        TopologyError
            If the surface is neither of the two.
        """
        from meshconv.maps.conformal.conformal_map import conformal_map
        from meshconv.maps.equalize.density_map import density_equalizing_map

        one_of(domain, ("disk", "sphere"), "domain")
        flat = upright(conformal_map(surface, domain=domain))
        if domain == "disk":
            flat = flat.with_coordinates(
                (1.0 - in_range(margin, 0.0, 0.5, "margin")) * flat.coordinates
            )
        else:
            even = density_equalizing_map(flat)
            flat = upright(Parameterization(surface, even.coordinates, "sphere"))
        marks = np.zeros(0, dtype=np.int64) if landmarks is None else np.asarray(landmarks)
        return cls(flat, marks, orientation)

    @classmethod
    def from_population(
        cls,
        surfaces: Sequence[Surface],
        *,
        domain: str = "disk",
        rounds: int = 2,
        landmarks: Sequence[IntArray] | None = None,
        orientation: str = "any",
        pose: str = "first",
    ) -> Template:
        """Return the mean shape of a population as a frame.

        The first surface is fitted to all others, its vertices are replaced by the mean of the fits
        (pose and position removed, size kept), and so again. Its triangles stay.

        Parameters
        ----------
        surfaces : sequence of Surface
            At least one; scans of one kind, in any pose. The first should be clean and complete.
        domain : {'disk', 'sphere'}
        orientation : {'any', 'kept'}
            As in `from_surface`.
        rounds : int
            How often the mean is renewed.
        landmarks : sequence of (K,) int array_like, optional
            Vertices of each surface, in one order.
        pose : {'first', 'standard', 'auto'}
            How the frame stands in space. As the first surface does; in a standard pose
            (`standing`: facing +z, symmetric about x = 0, up as faces are); or in that only if the
            surfaces came turned anyhow, by more than 45 degrees. Where scans share a pose, the
            scanner knew better what is up. One surface alone, or no round, does not tell: the
            first.
        """
        from meshconv.registration.fit import fit_template
        from meshconv.registration.standing import share_a_pose

        _check_population(surfaces, rounds)
        marks = None if landmarks is None else [as_array(m, "landmarks") for m in landmarks]
        if marks is not None and len(marks) != len(surfaces):
            raise ArgumentError(
                f"landmarks must be given for each of {len(surfaces)} surfaces, found {len(marks)}"
            )
        if (
            one_of(pose, ("first", "standard", "auto"), "pose") == "standard"
            and orientation == "kept"
        ):
            raise ArgumentError(
                "orientation='kept' keeps the pose of the surfaces: it goes with pose='first' or 'auto'"
            )
        first = None if marks is None else marks[0]
        template = cls.from_surface(
            surfaces[0], domain=domain, landmarks=first, orientation=orientation
        )
        turns: list[FloatArray] = []
        for _ in range(rounds):
            turns, total = [], np.zeros_like(template.surface.vertices)
            for k, surface in enumerate(surfaces):
                fit = fit_template(surface, template, landmarks=None if marks is None else marks[k])
                total += fit.fitted / fit.pose.scale
                turns.append(fit.pose.rotation)
            mean = Surface(total / len(surfaces), template.surface.faces)
            template = cls.from_surface(
                mean, domain=domain, landmarks=template.landmarks, orientation=orientation
            )
        stays = pose == "first" or orientation == "kept" or (pose == "auto" and share_a_pose(turns))
        return template if stays else template.standing()

    def standing(self) -> Template:
        """Return the same frame in a standard pose, whichever it was in; `turned` corrects what
        came out wrong.

        Where the surface faces somewhere, its best plane of mirror symmetry is x = 0, its mean
        normal points to +z (so how far it nods depends on where it was cut), and that way is up
        which is nearer to an upright human face: arbitrary for what is no face. Where it faces
        nowhere (closed, or nearly so), the longest principal axis points up and the shortest to +z;
        which of their ends is in front or up is arbitrary.
        """
        from meshconv.registration.standing import standing

        flat = self.parameterization
        stood = Parameterization(standing(flat.surface), flat.coordinates, flat.domain)
        return replace(self, parameterization=upright(stood))

    def turned(self, degrees: float) -> Template:
        """Return the frame turned counter-clockwise in its picture: by 180 where it came out upside
        down.

        Surface and map turn together, about the direction in which the surface faces (z, if it is
        closed).

        Examples
        --------
        >>> from meshconv.mesh.shapes import face
        >>> frame = Template.from_surface(face(300))
        >>> bool(np.allclose(frame.turned(180).parameterization.coordinates, -frame.parameterization.coordinates))
        True
        """
        return replace(
            self,
            parameterization=turned(self.parameterization, in_range(degrees, -360, 360, "degrees")),
        )

    # --- what registration needs, computed once ------------------------------------------------

    @property
    def surface(self) -> Surface:
        """The mean surface."""
        return self.parameterization.surface

    @cached_property
    def size(self) -> float:
        """Square root of the area: the unit in which every length of the matching is measured."""
        return float(np.sqrt(self.surface.area))

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
    def on_border(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which vertices lie on the border, (V,)."""
        mask = np.zeros(self.surface.n_vertices, dtype=bool)
        for loop in self.surface.boundary_loops:
            mask[loop] = True
        return mask

    # --- files ---------------------------------------------------------------------------------

    def save(self, path: str | PathLike[str]) -> None:
        """Write surface, frame and landmarks to one checksummed .npz file, whole or not at all."""
        arrays = {
            "vertices": self.surface.vertices,
            "faces": self.surface.faces,
            "coordinates": self.parameterization.coordinates,
            "landmarks": self.landmarks,
        }
        head = {"domain": self.parameterization.domain, "orientation": self.orientation}
        save_arrays(path, "template", head, arrays)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Template:
        """Read a template; raise `CheckpointError` if the file is damaged or something else."""
        head, arrays = load_arrays(path, "template")
        surface = Surface(arrays["vertices"], arrays["faces"])
        flat = Parameterization(surface, arrays["coordinates"], head["domain"])
        return cls(flat, arrays["landmarks"], head.get("orientation", "any"))


def _check_population(surfaces: Sequence[Surface], rounds: int) -> None:
    require_kind(surfaces, "surfaces", Sequence)
    for k, surface in enumerate(surfaces):
        require_kind(surface, f"surfaces[{k}]", Surface)
    if not surfaces:
        raise ArgumentError("a population needs at least one surface")
    if isinstance(rounds, bool) or not isinstance(rounds, (int, np.integer)) or rounds < 0:
        raise ArgumentError(f"rounds must be a whole number, 0 or more, found {rounds!r}")


def blurred_curvature(surface: Surface, size: float) -> FloatArray:
    """Return `size` times the mean curvature (V,), after heat flow over a fixed share of `size`.

    (M + t L) h = (L x) . n / 2 needs no division by vertex areas, so that bad triangles do no harm.
    """
    laplacian = cotangent_laplacian_intrinsic(surface)
    mass = mass_matrix(surface).tocsr()
    flow = sparse.csr_array(mass + (_BLUR * size) ** 2 * laplacian)
    integrated = ((laplacian @ surface.vertices) * surface.vertex_normals).sum(axis=1) / 2
    return size * SPDSolver(flow, coordinates=surface.vertices).solve(integrated)
