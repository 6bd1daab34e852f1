"""`channels`: what a network may see of a surface, one field per vertex."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from meshconv._check import FloatArray
from meshconv.errors import ArgumentError
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.surface import Surface
from meshconv.operators.curvature import principal_curvatures
from meshconv.operators.laplacian import mass_matrix
from meshconv.operators.thickness import local_thickness
from meshconv.registration.template import Template
from meshconv.resample.domain import square_coordinates
from meshconv.resample.geometry_image import GeometryImage
from meshconv.resample.resampler import Resampler, pixel_to_point

_TEMPLATE_SIZE = 257  # nodes per side of the image through which the template is read


def channels(
    surface: Surface,
    parameterization: Parameterization | None = None,
    template: Template | Parameterization | None = None,
    *,
    rings: int = 2,
) -> dict[str, FloatArray]:
    """Return named fields on the vertices of a surface, ready for `Resampler.to_image`.

    The pose is taken out: positions and normals stand in a frame that moves with the surface. With
    a template it is the rigid motion that brings the surface nearest to it, vertex by corresponding
    place; with a parameterization alone the one that brings it nearest to its own map (x along u, y
    along v, z outward).

    Parameters
    ----------
    surface : Surface
        V vertices.
    parameterization : Parameterization, optional
        Of this surface. Without it positions are only centred, and the conformal factor is left
        out.
    template : Template or Parameterization, optional
        The mean surface in the same frame, of the same domain: adds the difference from it.
    rings : int
        Neighbourhood of the curvatures, see `meshconv.operators.curvature.principal_curvatures`.

    Returns
    -------
    fields : dict of str to (V,) float64
        ``x, y, z``: position about the area centroid, in the unit of length. ``normal_x, normal_y,
        normal_z``. ``mean_curvature`` (1 / length, positive on a sphere seen from outside),
        ``gaussian_curvature`` (1 / length^2), ``shape_index`` in [-1, 1]. ``log_conformal_factor``:
        half the logarithm of area on the surface / area in the map, less its mean over the surface.
        ``difference_x, _y, _z``: position minus the template's at the same place of the domain, in
        the unit of length; 0 where the template has nothing. ``thickness``: `local_thickness`, of
        closed surfaces only.

    Raises
    ------
    ArgumentError
        If the parameterization is of another surface, or a template comes without a
        parameterization or with another domain.

    Examples
    --------
    >>> from meshconv.mesh.shapes import icosphere
    >>> sorted(channels(icosphere(2)))[:3]
    ['gaussian_curvature', 'mean_curvature', 'normal_x']
    """
    template = template.parameterization if isinstance(template, Template) else template
    _check(surface, parameterization, template)
    position, normal = surface.vertices - _centroid(surface), surface.vertex_normals
    fields: dict[str, FloatArray] = {}
    if parameterization is not None:
        target, weights = _target(parameterization, template)
        turn, shift = _rigid(position, target, weights)
        position, normal = position @ turn, normal @ turn
        fields["log_conformal_factor"] = _log_conformal_factor(parameterization)
    if template is not None:
        difference = np.where(weights[:, None] > 0, position + shift - target, 0.0)
        fields |= {f"difference_{axis}": difference[:, k] for k, axis in enumerate("xyz")}
    k1, k2 = principal_curvatures(surface, rings=rings)  # once for all three
    fields |= {"mean_curvature": (k1 + k2) / 2, "gaussian_curvature": k1 * k2}
    fields["shape_index"] = 2 / np.pi * np.arctan2(k1 + k2, k1 - k2)
    if not surface.boundary_loops:
        fields["thickness"] = local_thickness(surface)
    return {
        **dict(zip("xyz", position.T, strict=True)),
        **{f"normal_{axis}": normal[:, k] for k, axis in enumerate("xyz")},
        **fields,
    }


def _check(
    surface: Surface, parameterization: Parameterization | None, template: Parameterization | None
) -> None:
    if template is not None and parameterization is None:
        raise ArgumentError(
            "channels: a template needs the parameterization that leads to its frame"
        )
    if parameterization is not None and parameterization.surface != surface:
        raise ArgumentError(
            f"channels: the parameterization is of {parameterization.surface}, not of {surface}",
            hint="pass parameterization.surface",
        )
    if (
        parameterization is not None
        and template is not None
        and parameterization.domain != template.domain
    ):
        raise ArgumentError(
            f"channels: the template's domain is {template.domain}, not {parameterization.domain}"
        )


def _vertex_areas(surface: Surface) -> FloatArray:
    return np.asarray(mass_matrix(surface).diagonal())


def _centroid(surface: Surface) -> FloatArray:
    centres = surface.vertices[surface.faces].mean(axis=1)
    return np.asarray(surface.face_areas @ centres / surface.area)


def _target(
    parameterization: Parameterization, template: Parameterization | None
) -> tuple[FloatArray, FloatArray]:
    """Return where each vertex is wanted, (V, 3), and its weight: its area, but 0 off the
    template.
    """
    weights = _vertex_areas(parameterization.surface)
    if template is None:
        xy = parameterization.coordinates
        flat = np.zeros((len(xy), 3 - xy.shape[1]))
        return np.column_stack([xy, flat]), weights
    grid, image = _template_image(template)
    places = square_coordinates(parameterization)
    target = pixel_to_point(places, grid.mask) @ image.channels.reshape(3, -1).T
    nearest = np.rint(np.clip(places, 0, 1) * (grid.size - 1)).astype(np.int64)
    covered = grid.mask[nearest[:, 1], nearest[:, 0]]
    return np.asarray(target), weights * covered if covered.any() else weights


@lru_cache(maxsize=4)
def _template_image(template: Parameterization) -> tuple[Resampler, GeometryImage]:
    """Return the template's resampler and its centred positions as an image; once for all scans."""
    grid = Resampler(template, _TEMPLATE_SIZE)
    return grid, grid.to_image(template.surface.vertices - _centroid(template.surface), fill=0.0)


def _rigid(
    source: FloatArray, target: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return R (3, 3) and t (3,) that make source @ R + t nearest to target, R a rotation (Kabsch
    1976).
    """
    here, there = (np.average(points, axis=0, weights=weights) for points in (source, target))
    u, _, vt = np.linalg.svd(((source - here) * weights[:, None]).T @ (target - there))
    turn = (u * [1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
    return turn, there - here @ turn


def _log_conformal_factor(parameterization: Parameterization) -> FloatArray:
    surface = parameterization.surface
    corner = np.repeat(np.maximum(parameterization.face_areas, 0.0) / 3, 3)
    there = np.bincount(surface.faces.ravel(), corner, surface.n_vertices)
    here = _vertex_areas(surface)
    tiny = 1e-12
    factor = 0.5 * np.log(
        np.maximum(here / here.sum(), tiny) / np.maximum(there / there.sum(), tiny)
    )
    return np.asarray(factor - np.average(factor, weights=here))
