"""`surface_of_mask`: the closed surface of a binary volume, such as a segmented organ."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from meshconv._check import BoolArray, in_range
from meshconv.errors import (
    ArgumentError,
    ArrayTypeError,
    EmptyMeshError,
    MissingDependencyError,
    RepairWarning,
    TopologyError,
)
from meshconv.mesh.surface import Surface
from meshconv.mesh_repair.repair import repair

_LOST = 0.01  # share of the volume in pieces that are left out from which on one is told


def surface_of_mask(mask: ArrayLike, *, smoothing: float = 1.25, n_vertices: int = 700) -> Surface:
    """Return the closed genus-0 surface of the largest piece of a mask, in voxels.

    The mask is blurred and cut at the level that keeps its volume, contoured, and decimated by
    quadrics. Cavities are filled; handles are cut and capped.

    Parameters
    ----------
    mask : (I, J, K) array_like
        Bool, or numbers: inside where neither 0 nor NaN, nor masked.
    smoothing : float
        Standard deviation of the blur, voxels.
    n_vertices : int
        About how many vertices the surface has at most.

    Returns
    -------
    surface : Surface
        Vertices in index coordinates: voxel (i, j, k) has its centre there. Faces are
        counter-clockwise seen from outside.

    Raises
    ------
    ArrayTypeError, ArgumentError
        If the mask is not (I, J, K), or an option is out of range.
    EmptyMeshError
        If nothing is inside.
    MissingDependencyError
        If PyVista, whose contour and decimation are used, is not installed.

    Warns
    -----
    RepairWarning
        If more than 1 % of the volume lies in pieces that are left out, or a handle was cut.

    References
    ----------
    Garland, Heckbert, 1997, Surface simplification using quadric error metrics.
    doi:10.1145/258734.258849

    Examples
    --------
    >>> ball = np.linalg.norm(np.indices((20, 20, 20)).T - 9.5, axis=-1) < 7
    >>> surface = surface_of_mask(ball, n_vertices=300)
    >>> surface.euler_characteristic, bool(np.abs(surface.vertices.mean(axis=0) - 9.5).max() < 0.2)
    (2, True)
    """
    values = np.ma.filled(mask, 0)
    inside = (values != 0) & (values == values)  # noqa: PLR0124 - NaN, of any kind of number
    if inside.ndim != 3:
        raise ArrayTypeError(f"a mask must be (I, J, K), found {inside.shape}")
    if n_vertices < 4:
        raise ArgumentError(f"n_vertices must be at least 4, found {n_vertices}")
    if not inside.any():
        raise EmptyMeshError(f"the mask of shape {inside.shape} is empty")
    pad = 2 + int(4 * in_range(smoothing, 0.0, 100.0, "smoothing"))
    blurred = ndimage.gaussian_filter(np.pad(inside, pad).astype(np.float32), smoothing)
    count = int(inside.sum())
    low, high = np.partition(blurred.ravel(), [-count - 1, -count])[[-count - 1, -count]]
    level = (float(low) + float(high)) / 2
    contour = _contour(_one_piece(blurred, blurred > level), level, pad)
    try:
        return _mended(_decimated(contour, n_vertices))
    except TopologyError:  # decimation has pinched it
        whole = _mended(contour)
    for count in (n_vertices, 2 * n_vertices, 4 * n_vertices):
        try:
            return _mended(_decimated(whole.to_pyvista(), count))
        except TopologyError:
            continue
    return whole


def _decimated(mesh: Any, count: int) -> Any:
    return mesh.decimate(max(0.0, 1 - count / mesh.n_points))


def _mended(mesh: Any) -> Surface:
    return repair(Surface.from_pyvista(mesh), target="sphere", remove_handles=True).surface


def _one_piece(field: NDArray[np.float32], solid: BoolArray) -> NDArray[np.float32]:
    """Empty all pieces but the largest, fill cavities."""
    pieces, n = ndimage.label(solid)
    sizes = np.bincount(pieces.ravel())[1:]
    keep = pieces == sizes.argmax() + 1
    lost = 1 - sizes.max() / sizes.sum()
    if lost > _LOST:
        warnings.warn(
            f"{n - 1} small pieces of the mask, {lost:.1%} of its volume, are left out",
            RepairWarning,
            stacklevel=3,
        )
    filled = ndimage.binary_fill_holes(keep)
    return np.where(solid & ~filled, 0, np.where(filled & ~keep, field.max(), field)).astype(
        np.float32
    )


def _contour(field: NDArray[np.float32], level: float, pad: int) -> Any:
    """Return the PolyData where the field crosses the level."""
    try:
        import pyvista
    except ImportError as error:
        raise MissingDependencyError(
            "surface_of_mask needs PyVista's contour filter", hint="pip install 'meshconv[view]'"
        ) from error
    volume = pyvista.ImageData(dimensions=field.shape, origin=(-pad, -pad, -pad))
    volume["field"] = field.ravel(order="F")
    return volume.contour([level], scalars="field", method="flying_edges")
