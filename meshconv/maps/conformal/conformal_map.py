"""`conformal_map`: flatten a surface so that angles are kept, and no face is folded."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike

from meshconv._check import FloatArray, IntArray, as_array, one_of, require_kind
from meshconv.errors import (
    AccuracyWarning,
    ArgumentError,
    FoldError,
    MeshConvError,
    OrientationError,
    RepairWarning,
    SolverError,
    TopologyError,
)
from meshconv.maps.conformal.disk import disk_coordinates, length_coordinates
from meshconv.maps.conformal.free import free_coordinates
from meshconv.maps.conformal.holes import circular_holes, filled
from meshconv.maps.conformal.preparation import (
    for_all_vertices,
    in_faces,
    in_memory_order,
    normalised,
)
from meshconv.maps.conformal.quality import warn_if_poor
from meshconv.maps.conformal.rectangle import rectangle_coordinates
from meshconv.maps.conformal.requirements import require_disk, require_sphere, wound_alike
from meshconv.maps.conformal.sphere import sphere_coordinates
from meshconv.maps.folds import folded
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.areas import thirds_of_area
from meshconv.mesh.surface import Surface
from meshconv.operators.kept_memory import kept_for_large

DOMAINS = ("disk", "rectangle", "free", "sphere")
_IMAGE = {"disk": "disk", "rectangle": "rectangle", "free": "plane", "sphere": "sphere"}


def conformal_map(
    surface: Surface,
    *,
    domain: str = "disk",
    corners: ArrayLike | None = None,
    holes: str = "refuse",
    method: str | None = None,
    polish: int | None = None,
) -> Parameterization:
    """Map a surface to the plane or the sphere without changing its angles.

    Parameters
    ----------
    surface : Surface
        One connected, oriented, manifold piece: a disk (or, with `holes`, a disk with holes) for
        the planar domains, closed of genus 0 for the sphere. Bad triangles are welcome.
    domain : {'disk', 'rectangle', 'free', 'sphere'}
        ``disk``: the unit disk, |z| = 1 on the border, area-weighted mean at 0 (conformal
        barycentre). ``rectangle``: [0, 1] x [0, h]; h is the conformal modulus of the surface with
        its four corners. ``free``: any border; least squares; the area of the surface is kept.
        ``sphere``: the unit sphere, area-weighted mean at 0.
    corners : (4,) int array_like, optional
        Rectangle only: border vertices that become the corners, counter-clockwise seen from
        outside; the first goes to the origin. By default they are found where the border turns
        most.
    holes : {'refuse', 'fill', 'circles'}
        What to do with all boundary loops but the longest. ``refuse``: TopologyError. ``fill``: map
        as if they were closed; their faces are not part of the result (disk and rectangle).
        ``circles``: disk only, every hole becomes round (Koebe), but for faces that hang on its
        border by one side: they lie inside the circle.
    method : {'spectral', 'lscm'}, optional
        Free only: no pins (lowest conformal eigenvector, the default), or two pinned border
        vertices.
    polish : int, optional
        Disk only: at most so many quasi-Newton steps on the border angles after the first solve. By
        default only on coarse borders (below 64 vertices): on finer ones it gains less than 0.005
        degrees.

    Returns
    -------
    Parameterization
        Coordinates (V, 2), or (V, 3) on the sphere, for the vertices as given; `flipped_faces()` is
        empty. The result does not depend on scale, pose or numbering; directions are principal ones
        of the shape.

    Raises
    ------
    TopologyError, NonManifoldError, DegenerateError
        If the surface is not of the kind the domain needs: the reason, the count and the next step.
    ArgumentError
        If an option does not fit the domain.
    FoldError
        If the image would fall below the resolution of floating point, or a free border folds.

    Warns
    -----
    RepairWarning
        If vertices belong to no face; they take no part and are placed at the centre. If faces are
        wound against their neighbours; the result carries a surface with these turned over.
    AccuracyWarning
        If the mean angle error is above 8 degrees and twice what the triangles allow: the error of
        the free map, as on long strips, or on the sphere that of each vertex's fan laid flat, as of
        long thin parts; both figures, and the better way. If the conformal disk cannot be
        represented at all: delivered is a map without folds that is not conformal.

    References
    ----------
    Disk: harmonic measure by Green's function. Sphere: Haker et al., 2000, doi:10.1109/2945.856998,
    then alternating caps. Free: Levy et al., 2002, doi:10.1145/566654.566590; Mullen et al., 2008,
    doi:10.1111/j.1467-8659.2008.01289.x. Rectangle: Meng, Choi, Lui, 2016, doi:10.1137/15M1031953.

    Examples
    --------
    >>> square = Surface([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]])
    >>> disk = conformal_map(square)
    >>> bool(np.allclose(abs(disk.z), 1)), len(disk.flipped_faces())
    (True, 0)
    >>> flat = conformal_map(square, domain="rectangle", corners=[0, 1, 2, 3])
    >>> flat.coordinates.round(12).tolist()
    [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    """
    require_kind(surface, "surface", Surface)
    one_of(domain, DOMAINS, "domain")
    _check_options(domain, corners, holes, method, polish)
    with kept_for_large(surface.n_vertices):
        return _mapped(surface, domain, corners, holes, method, polish)


def _mapped(
    surface: Surface,
    domain: str,
    corners: ArrayLike | None,
    holes: str,
    method: str | None,
    polish: int | None,
) -> Parameterization:
    used, kept = _referenced(surface)
    unit, kept = in_memory_order(normalised(used), kept)
    unit = surface._moved(unit.vertices) if unit.faces is surface.faces else unit
    try:
        if domain == "sphere":
            require_sphere(unit, kept)
        else:
            require_disk(unit, kept, holes_allowed=domain == "free" or holes != "refuse")
    except OrientationError:
        alike = _wound_alike(surface)
        return _mapped(alike, domain, corners, holes, method, polish)
    if domain == "sphere":
        coordinates = sphere_coordinates(unit)
    else:
        _require_four_sides(unit, domain)
        chosen = (
            None if corners is None else _corner_positions(corners, unit.boundary_loops[0], kept)
        )
        if domain == "free":
            coordinates = free_coordinates(unit, method or "spectral") * _size(used, unit)
        elif holes == "circles":
            coordinates = circular_holes(
                unit, lambda whole, areas: disk_coordinates(whole, areas=areas, polish=polish)
            )
        else:
            coordinates = _closed(unit, domain, chosen, polish)
    if domain != "free":
        warn_if_poor(unit, coordinates, domain, lambda: free_coordinates(unit, "spectral"))
    return _checked(
        Parameterization(surface, for_all_vertices(coordinates, kept, surface), _IMAGE[domain])
    )


def _check_options(
    domain: str, corners: ArrayLike | None, holes: str, method: str | None, polish: int | None
) -> None:
    one_of(holes, ("refuse", "fill", "circles"), "holes")
    one_of(method or "spectral", ("spectral", "lscm"), "method")
    flat = ("disk", "rectangle")
    for given, name, domains in (
        (corners is not None, "corners", ("rectangle",)),
        (holes == "fill", "holes='fill'", flat),
        (holes == "circles", "holes='circles'", ("disk",)),
        (method is not None, "method", ("free",)),
        (polish is not None, "polish", ("disk",)),
    ):
        if given and domain not in domains:
            raise ArgumentError(
                f"option {name} is for domain={' or '.join(map(repr, domains))}, not {domain!r}"
            )
    if polish is not None and (
        isinstance(polish, bool) or not isinstance(polish, (int, np.integer)) or polish < 0
    ):
        raise ArgumentError(f"polish must be a whole number of steps, 0 or more, found {polish!r}")


def _require_four_sides(surface: Surface, domain: str) -> None:
    count = len(surface.boundary_loops[0])
    if domain == "rectangle" and count < 4:
        raise TopologyError(
            f"a rectangle needs 4 border vertices, found {count}",
            count=count,
            hint="use domain='disk'",
        )


def _closed(
    surface: Surface, domain: str, corners: IntArray | None, polish: int | None
) -> FloatArray:
    """Map with holes, if any, filled; only the surface's own vertices and areas count."""
    whole = filled(surface)
    areas = np.zeros(whole.n_vertices)
    areas[: surface.n_vertices] = thirds_of_area(surface.vertices, surface.faces)
    if domain == "rectangle":
        return rectangle_coordinates(whole, corners, areas=areas)[: surface.n_vertices]
    return _onto_disk(whole, areas, polish)[: surface.n_vertices]


def _onto_disk(surface: Surface, areas: FloatArray, polish: int | None) -> FloatArray:
    """The conformal disk; where it would shrink parts to nothing, another disk and a warning."""
    try:
        uv = disk_coordinates(surface, areas=areas, polish=polish)
        if len(folded(uv, surface.faces)) == 0:
            return uv
        failure: MeshConvError = FoldError(f"{len(folded(uv, surface.faces))} faces are folded")
    except (FoldError, SolverError) as error:
        failure = error
    uv = length_coordinates(surface)
    warnings.warn(
        "the conformal disk would shrink the ends of this long or deep surface below the "
        f"resolution of floating point ({failure.message}); delivered is a map without folds "
        "that is not conformal: its border goes to the circle by its length",
        AccuracyWarning,
        stacklevel=5,
    )
    return uv


def _referenced(surface: Surface) -> tuple[Surface, IntArray]:
    used, kept = in_faces(surface)
    if len(kept) < surface.n_vertices:
        missing = np.setdiff1d(np.arange(surface.n_vertices), kept)
        warnings.warn(
            f"{len(missing)} vertices belong to no face (first {missing[0]}): they take no part "
            "in the "
            "map and are placed at its centre; meshconv.repair drops them",
            RepairWarning,
            stacklevel=4,
        )
    return used, kept


def _wound_alike(surface: Surface) -> Surface:
    alike, count = wound_alike(surface)
    warnings.warn(
        f"{count} of {surface.n_faces} faces were wound against their neighbours and have been "
        "turned over",
        RepairWarning,
        stacklevel=4,
    )
    return alike


def _corner_positions(corners: ArrayLike, loop: IntArray, kept: IntArray) -> IntArray:
    """Positions of the corner vertices along the loop, checked."""
    given = as_array(corners, "corners")
    if given.shape != (4,) or given.dtype.kind not in "iu":
        raise ArgumentError(
            f"corners must be 4 vertex indices, found {given.dtype} of shape {given.shape}"
        )
    position = {int(kept[v]): k for k, v in enumerate(loop)}
    inner = [int(v) for v in given if int(v) not in position]
    if inner:
        raise ArgumentError(
            f"corner {inner[0]} is no vertex of the longest border ({len(loop)} vertices)"
        )
    at = np.array([position[int(v)] for v in given])
    if ((np.roll(at, -1) - at) % len(loop)).sum() != len(loop) or len(set(at.tolist())) < 4:
        raise ArgumentError(
            f"corners {given.tolist()} must be distinct and counter-clockwise along the border",
            hint="reverse their order, or mind the sense of the faces",
        )
    return at


def _size(surface: Surface, unit: Surface) -> float:
    """Length on the surface of one unit of its normalised copy."""
    return float(np.ptp(surface.vertices, axis=0).max() / np.ptp(unit.vertices, axis=0).max())


def _checked(parameterization: Parameterization) -> Parameterization:
    """The last word: what is delivered has no folded face, or is not delivered."""
    bad = parameterization.flipped_faces()
    if len(bad):
        raise FoldError(
            f"{len(bad)} faces are folded, first face {bad[0]}",
            indices=bad[:10].tolist(),
            count=len(bad),
            hint="mend the surface with meshconv.repair first",
        )
    return parameterization
