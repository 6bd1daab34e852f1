"""Images that show the surface, not its triangles: the same whatever mesh a scan has.

Linear interpolation in a face blurs: it averages corners, whose mean square distance along an axis,
averaged over the face, is a twenty-fourth of the sum of the squared edges. A mesh half as dense
blurs by twice that variance; normals of vertices, which average over the faces around them as well,
by three times as much again. What was learned on dense meshes then takes coarse ones for smoother
surfaces. Vertices themselves are samples that nothing blurred. So positions are read to second
order, by the slopes at the corners of a face; normals are those of the surface that the image then
shows, whose detail is brought to one length, that of the frame, by the heat equation on the grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d
from scipy.special import ive

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.resample.channels import DIFFERENCE, NORMAL, POSITION
from meshconv.resample.geometry_image import GeometryImage
from meshconv.resample.resampler import Resampler

_SMOOTH = (*POSITION, *DIFFERENCE)
_LEFT = 0.5  # of the variance of linear interpolation, where slopes are known; of waves of 4 edges
_LEVELS = 4  # blurs between which is interpolated, linear in the variance
_REACH = 4.0  # standard deviations of a kernel
_TINY = 1e-9
_EDGE_ON = 1e-6  # sides of a cell in one line
_ROUNDING = 1e-12  # sides of a cell, of the size of the surface
_NEXT = [1, 2, 0]  # corner


def needed(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the fields on vertices that images of these are made of: of normals, positions too."""
    more = (*POSITION, *NORMAL) if {*NORMAL} & {*names} else ()
    return tuple(dict.fromkeys((*names, *more)))


def image_at(
    resampler: Resampler, fields: Mapping[str, FloatArray], names: tuple[str, ...], detail: float
) -> GeometryImage:
    """Return named channels of one detail, from the fields on vertices that `needed` says.

    Parameters
    ----------
    resampler : Resampler
    fields : mapping of str to (V,) float64
    names : tuple of C str
        Positions and differences are read to second order, normals are of the surface in the
        image; all others are linear in each face.
    detail : float
        Of the normals: standard deviation along each axis, as a share of the side.
    """
    image = resampler.to_image(fields, fill=0.0)
    found, mask = dict(zip(image.names, image.channels, strict=True)), image.mask
    smooth = [name for name in fields if name in _SMOOTH]
    bend = second_order(resampler, [fields[name] for name in smooth])
    found |= {name: found[name] + more for name, more in zip(smooth, bend, strict=True)}
    if {*NORMAL} & {*names}:
        position, otherwise = (
            np.stack([found[k] for k in names_]) for names_ in (POSITION, NORMAL)
        )
        normals = _shown_normals(resampler, position, otherwise, detail)
        found |= dict(zip(NORMAL, normals, strict=True))
    channels = np.stack([found[name] for name in names])
    return GeometryImage(np.where(mask, channels, np.nan), names, mask, detail)


def _shown_normals(
    resampler: Resampler, position: FloatArray, otherwise: FloatArray, detail: float
) -> FloatArray:
    """Return the normals of a surface whose positions an image holds; across its seam, if there is
    one: there a neighbour outside the square lies inside, on the other half of that side.
    """
    variance, mask = (detail * (resampler.size - 1)) ** 2, resampler.mask
    present = _LEFT * mesh_variance(resampler)
    if resampler.parameterization.domain != "sphere":
        return normals_of(brought_to(position, mask, present, variance), mask, otherwise)
    width = min(int(np.ceil(2 * _REACH * np.sqrt(variance))) + 2, resampler.size - 1)
    known = glued(mask, width)
    wide = brought_to(glued(position, width), known, glued(present, width), variance)
    inner = (slice(None), slice(width, -width), slice(width, -width))
    return normals_of(wide, known, glued(otherwise, width))[inner]


def glued(image: NDArray[Any], width: int) -> NDArray[Any]:
    """Return an octahedral image (..., N, N) with so many nodes more on each side: those that lie
    across its seam. Each side is glued to itself, about its middle.
    """
    for axis in (-1, -2):
        x = np.moveaxis(image, axis, -1)
        before, after = x[..., width:0:-1], x[..., -2 : -width - 2 : -1]
        parts = (before[..., ::-1, :], x, after[..., ::-1, :])
        image = np.moveaxis(np.concatenate(parts, axis=-1), -1, axis)
    return image


def second_order(resampler: Resampler, fields: Sequence[FloatArray]) -> list[FloatArray]:
    """Return what linear interpolation of each field (V,) lacks at each node, (N, N); 0 outside.

    With weights w_i of the corners p_i and their slopes g_i, it is half the sum of
    w_i g_i . (x - p_i): a quadratic, whose error is half the sum of w_i (p_i - x)' H (p_i - x), has
    g_i = g + H (p_i - x). That is four times the sum of w_i w_j q over the sides of the face, where
    q = (g_i - g_j) . (p_j - p_i) / 8 is what the middle of a side lacks. A quadratic with its
    extremum at an end of the side rises by four times q to the other: q is at most a quarter of the
    range of the field around either end, lest slopes of faces without height, along a border or
    between vertices that nearly coincide, be carried far.
    """
    flat, weights = resampler.parameterization, resampler.vertex_to_pixel
    start = weights.indices.reshape(-1, 3)  # corners of the face over each node inside
    end, share = start[:, _NEXT], weights.data.reshape(-1, 3)
    side, shares = flat.coordinates[end] - flat.coordinates[start], share * share[:, _NEXT]
    used = np.zeros(flat.surface.n_vertices, dtype=bool)
    used[start] = True
    faces = flat.surface.faces[used[flat.surface.faces].any(axis=1)]  # few where it is dense
    found = []
    for field, slope in zip(fields, vertex_slopes(flat.coordinates, faces, fields), strict=True):
        around = _range_around(faces, field)
        most = np.minimum(around[start], around[end]) / 4
        bend = ((slope[start] - slope[end]) * side).sum(axis=2) / 8
        lacking = np.zeros(resampler.mask.shape)
        lacking[resampler.mask] = 4 * (shares * np.clip(bend, -most, most)).sum(axis=1)
        found.append(lacking)
    return found


def _range_around(faces: IntArray, field: FloatArray) -> FloatArray:
    """Return largest less smallest value (V,) of a field among each vertex and its neighbours."""
    corners, low, high = field[faces], field.copy(), field.copy()
    least, most = corners.min(axis=1), corners.max(axis=1)
    for corner in faces.T:
        np.minimum.at(low, corner, least)
        np.maximum.at(high, corner, most)
    return high - low


def vertex_slopes(
    coordinates: FloatArray, faces: IntArray, fields: Sequence[FloatArray]
) -> Iterator[FloatArray]:
    """Return the gradient in the map of each field (V,) at the vertices, (V, 2 or 3): the mean of
    that of the faces around them, by their area in the map.
    """
    n, axes = coordinates.shape
    corners = np.zeros((len(faces), 3, 3))
    corners[..., :axes] = coordinates[faces]
    sides = np.roll(corners, -2, axis=1) - np.roll(corners, -1, axis=1)  # opposite each corner
    normal = np.cross(sides[:, 0], sides[:, 1])
    twice = np.linalg.norm(normal, axis=1)
    upright = normal / np.where(twice > 0, twice, 1.0)[:, None]
    turned = np.cross(upright[:, None], sides)[..., :axes]
    around = sum(np.bincount(corner, twice, n) for corner in faces.T)
    area = np.where(around > 0, around, 1.0)
    for field in fields:
        summed = np.einsum("fk,fkd->df", field[faces], turned)  # gradient times twice the area
        slope = [sum(np.bincount(corner, one, n) for corner in faces.T) / area for one in summed]
        yield np.stack(slope, axis=1)


def mesh_variance(resampler: Resampler) -> FloatArray:
    """Return the variance along each axis by which linear interpolation blurs at each node, (N, N),
    in squared nodes; 0 outside the mask.
    """
    flat, mask = resampler.parameterization, resampler.mask
    faces = flat.surface.faces[resampler.face[mask]]
    edges = _squared_edges(resampler.coordinates, faces)
    if flat.domain == "sphere":  # a face across the folds is wide on the square alone
        edges = np.minimum(edges, _squared_edges(flat.coordinates, faces) / 2)
    variance = np.zeros(mask.shape)
    variance[mask] = edges.sum(axis=1) * (resampler.size - 1) ** 2 / 24
    return variance


def brought_to(
    channels: FloatArray, mask: BoolArray, present: FloatArray, variance: float
) -> FloatArray:
    """Return images blurred to a variance, where they are not blurred by more already.

    Parameters
    ----------
    channels : (C, N, N) float64
        Anything outside the mask.
    mask : (N, N) bool
        What lies outside has no weight.
    present : (N, N) float64
        The variance that they have, in squared nodes; its mean over what is to be blurred counts.
    variance : float

    Returns
    -------
    channels : (C, N, N) float64
        NaN outside the mask.

    References
    ----------
    Lindeberg 1990, "Scale-space for discrete signals", section III: kernels e^-t I_n(t), whose
    variance is t. https://doi.org/10.1109/34.49051
    """
    step = variance / _LEVELS
    if not step > 0:
        return np.where(mask, channels, np.nan)
    kernel, inside = _kernel(step), mask.astype(np.float64)
    mean, known = np.where(mask, present, 0.0), inside
    for _ in range(_LEVELS):
        mean, known = _blurred(mean, kernel), _blurred(known, kernel)
    lacking = np.clip(variance - mean / np.maximum(known, _TINY), 0.0, variance) / step
    total, weight = np.where(mask, channels, 0.0), inside
    out = np.zeros_like(total)
    for level in range(_LEVELS + 1):
        if level:
            total, weight = _blurred(total, kernel), _blurred(weight, kernel)
        share = np.maximum(1.0 - np.abs(lacking - level), 0.0)
        out += share * total / np.maximum(weight, _TINY)
    return np.where(mask, out, np.nan)


def normals_of(position: FloatArray, mask: BoolArray, otherwise: FloatArray) -> FloatArray:
    """Return the unit normals (3, N, N) of a surface whose position an image holds, by differences
    of neighbours inside the mask; where there are none, those given, brought to unit length; NaN
    outside the mask.
    """
    inside = np.where(mask, position, np.nan)
    along_v, along_u = (_slope(inside, axis) for axis in (1, 2))
    normal = np.cross(along_u, along_v, axis=0)
    length = np.linalg.norm(normal, axis=0)
    longest = np.maximum((along_u**2).sum(axis=0), (along_v**2).sum(axis=0))
    smallest = (_ROUNDING * np.abs(position).max(where=mask, initial=0.0)) ** 2
    flat = length <= np.maximum(_EDGE_ON * longest, smallest)  # as where a sphere's seam is folded
    size = np.linalg.norm(otherwise, axis=0)
    otherwise = otherwise / np.where(size > 0, size, 1.0)
    normal = np.where(flat, otherwise, normal / np.where(flat, 1.0, length))
    return np.where(mask, normal, np.nan)


def _squared_edges(points: FloatArray, faces: IntArray) -> FloatArray:
    corners = points[faces]
    return np.asarray(((corners - np.roll(corners, -1, axis=1)) ** 2).sum(axis=2))


def _kernel(variance: float) -> FloatArray:
    reach = int(np.ceil(_REACH * np.sqrt(variance))) + 1
    weights = ive(np.abs(np.arange(-reach, reach + 1)), variance)
    return np.asarray(weights / weights.sum())


def _blurred(x: FloatArray, kernel: FloatArray) -> FloatArray:
    along = correlate1d(x, kernel, axis=-1, mode="constant")
    return np.asarray(correlate1d(along, kernel, axis=-2, mode="constant"))


def _slope(x: FloatArray, axis: int) -> FloatArray:
    """Return central differences, one-sided where a neighbour is NaN, 0 where both are."""
    ahead = np.diff(x, axis=axis, append=np.nan)
    behind = np.diff(x, axis=axis, prepend=np.nan)
    both = np.where(np.isfinite(ahead), ahead, behind)
    other = np.where(np.isfinite(behind), behind, ahead)
    return np.nan_to_num((both + other) / 2)
