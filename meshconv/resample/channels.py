"""`channels`: what a network may see of a surface, one field per vertex."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from meshconv._check import FloatArray, require_kind
from meshconv.errors import ArgumentError
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.surface import Surface
from meshconv.operators.curvature import principal_curvatures
from meshconv.operators.thickness import local_thickness
from meshconv.registration.frame import Frame
from meshconv.resample.alignment import Alignment, align, centroid, vertex_areas

POSITION, NORMAL = ("x", "y", "z"), ("normal_x", "normal_y", "normal_z")
DIFFERENCE = ("difference_x", "difference_y", "difference_z")
_CURVATURE = ("mean_curvature", "gaussian_curvature", "shape_index")


def channels(
    surface: Surface,
    parameterization: Parameterization | None = None,
    template: Frame | Parameterization | None = None,
    *,
    names: Sequence[str] | None = None,
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
    names : sequence of str, optional
        Which fields, in which order; all there are if None. Only those are computed.
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
        If the parameterization is of another surface, a template comes without a parameterization
        or with another domain, or there is no field of a name.

    Examples
    --------
    >>> from meshconv.mesh.shapes import icosphere
    >>> sorted(channels(icosphere(2)))[:3]
    ['gaussian_curvature', 'mean_curvature', 'normal_x']
    """
    require_kind(surface, "surface", Surface)
    template = template.parameterization if isinstance(template, Frame) else template
    _check(surface, parameterization, template)
    alignment = None if parameterization is None else align(parameterization, template)
    there = field_names(surface, mapped=parameterization is not None, framed=template is not None)
    return fields_of(surface, parameterization, alignment, chosen(names, there), rings)


def field_names(surface: Surface, *, mapped: bool, framed: bool) -> tuple[str, ...]:
    """Return which fields there are of a surface with or without a map and a template."""
    return (
        *POSITION,
        *NORMAL,
        *(("log_conformal_factor",) if mapped else ()),
        *(DIFFERENCE if framed else ()),
        *_CURVATURE,
        *(() if surface.boundary_loops else ("thickness",)),
    )


def chosen(names: Sequence[str] | None, there: tuple[str, ...]) -> tuple[str, ...]:
    """Return the fields that are asked for; raise `ArgumentError` if there is none of a name."""
    unknown = [name for name in names or () if name not in there]
    if unknown:
        raise ArgumentError(f"no channel {unknown[0]!r}; there are {', '.join(there)}")
    return there if names is None else tuple(names)


def fields_of(
    surface: Surface,
    parameterization: Parameterization | None,
    alignment: Alignment | None,
    names: tuple[str, ...],
    rings: int = 2,
) -> dict[str, FloatArray]:
    """Return the named fields of a surface whose alignment is known; see `channels`."""
    asked, fields = set(names), dict[str, FloatArray]()
    position, normal = surface.vertices - centroid(surface), surface.vertex_normals
    if alignment is not None:
        position, normal = (alignment.pose.directions(x) for x in (position, normal))
        if asked & set(DIFFERENCE):
            fields |= dict(zip(DIFFERENCE, alignment.difference.T, strict=True))
    fields |= dict(zip(POSITION, position.T, strict=True))
    fields |= dict(zip(NORMAL, normal.T, strict=True))
    if parameterization is not None and "log_conformal_factor" in asked:
        fields["log_conformal_factor"] = _log_conformal_factor(parameterization)
    if asked & set(_CURVATURE):
        k1, k2 = principal_curvatures(surface, rings=rings)  # once for all three
        index = 2 / np.pi * np.arctan2(k1 + k2, k1 - k2)
        fields |= dict(zip(_CURVATURE, ((k1 + k2) / 2, k1 * k2, index), strict=True))
    if "thickness" in asked:
        fields["thickness"] = local_thickness(surface)
    return {name: fields[name] for name in names}


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


def _log_conformal_factor(parameterization: Parameterization) -> FloatArray:
    surface = parameterization.surface
    corner = np.repeat(np.maximum(parameterization.face_areas, 0.0) / 3, 3)
    there = np.bincount(surface.faces.ravel(), corner, surface.n_vertices)
    here = vertex_areas(surface)
    tiny = 1e-12
    factor = 0.5 * np.log(
        np.maximum(here / here.sum(), tiny) / np.maximum(there / there.sum(), tiny)
    )
    return np.asarray(factor - np.average(factor, weights=here))
