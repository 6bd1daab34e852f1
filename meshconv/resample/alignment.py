"""How a scan stands in its frame: the rigid motion that takes the pose out, found once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from meshconv._check import BoolArray, FloatArray
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.rigid import Pose, fit_similarity
from meshconv.mesh.surface import Surface
from meshconv.operators.laplacian import mass_matrix
from meshconv.resample.domain import square_coordinates
from meshconv.resample.geometry_image import GeometryImage
from meshconv.resample.resampler import Resampler, pixel_to_point

_TEMPLATE_SIZE = 257  # nodes per side of the image through which the template is read


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where a scan's vertices lie once its pose is taken out, and where the template has them.

    Attributes
    ----------
    position : (V, 3) float64
        The surface about its area centroid, in its own unit, as it came.
    pose : Pose
        The rigid motion that brings `position` nearest to `target`, by area.
    target : (V, 3) float64
        The template about its centroid, at the same place of the domain; without a template, the
        place itself.
    covered : (V,) bool
        Where the template has something; everywhere if it has nothing anywhere.
    """

    position: FloatArray
    pose: Pose
    target: FloatArray
    covered: BoolArray

    @property
    def difference(self) -> FloatArray:
        """Position minus the template's, (V, 3), in the unit of length; 0 off the template."""
        gap = self.pose.points(self.position) - self.target
        return np.where(self.covered[:, None], gap, 0.0)


def align(parameterization: Parameterization, template: Parameterization | None) -> Alignment:
    """Return how a scan stands on a template in the same frame, or on its own map."""
    surface = parameterization.surface
    position, areas = surface.vertices - centroid(surface), vertex_areas(surface)
    if template is None:
        xy = parameterization.coordinates
        target = np.column_stack([xy, np.zeros((len(xy), 3 - xy.shape[1]))])
        covered = np.ones(len(xy), dtype=bool)
    else:
        target, covered = _on_template(parameterization, template)
    weights = areas * covered if covered.any() else areas
    pose = fit_similarity(position, target, weights, with_scale=False)
    return Alignment(position, pose, target, weights > 0)


def vertex_areas(surface: Surface) -> FloatArray:
    """Return the area that each vertex stands for, (V,)."""
    return np.asarray(mass_matrix(surface).diagonal())


def centroid(surface: Surface) -> FloatArray:
    """Return the centre of area, (3,)."""
    centres = surface.vertices[surface.faces].mean(axis=1)
    return np.asarray(surface.face_areas @ centres / surface.area)


def _on_template(
    parameterization: Parameterization, template: Parameterization
) -> tuple[FloatArray, BoolArray]:
    """Return the template's position (V, 3) at each vertex's place, and whether it has one."""
    grid, image = _template_image(template)
    places = square_coordinates(parameterization.coordinates, parameterization.domain)
    target = pixel_to_point(places, grid.mask) @ image.channels.reshape(3, -1).T
    nearest = np.rint(np.clip(places, 0, 1) * (grid.size - 1)).astype(np.int64)
    return np.asarray(target), grid.mask[nearest[:, 1], nearest[:, 0]]


@lru_cache(maxsize=4)
def _template_image(template: Parameterization) -> tuple[Resampler, GeometryImage]:
    """Return the template's resampler and its centred positions as an image; once for all scans."""
    grid = Resampler(template, _TEMPLATE_SIZE)
    return grid, grid.to_image(template.surface.vertices - centroid(template.surface), fill=0.0)
