"""A surface at a coarser scale, and how far it stands out from that."""

from __future__ import annotations

import numpy as np

from meshconv._check import FloatArray
from meshconv.mesh.surface import Surface
from meshconv.operators.laplacian import mass_matrix, robust_laplacian
from meshconv.operators.solve import SPDSolver
from meshconv.stats.solid import solid_of

_STEPS = 2  # of implicit diffusion; one alone has long tails


class Smoother:
    """Diffusion on a surface, factored once.

    Parameters
    ----------
    surface : Surface
        V vertices.
    length : float
        Standard deviation of the diffused point on a plane, in the unit of length.
    """

    def __init__(self, surface: Surface, length: float) -> None:
        self.surface = surface
        area = mass_matrix(surface).diagonal()
        self._mass = np.maximum(area, 1e-12 * area.sum())[:, None]
        diffusion = robust_laplacian(surface) * (length**2 / 2 / _STEPS)
        diffusion.setdiag(diffusion.diagonal() + self._mass[:, 0])
        self._solver = SPDSolver(diffusion, coordinates=surface.vertices)

    def field(self, values: FloatArray) -> FloatArray:
        """Return diffused values (V, k), with the same integral."""
        for _ in range(_STEPS):
            values = self._solver.solve(self._mass * values)
        return values

    def smoothed(self) -> Surface:
        """Return the surface with diffused positions, scaled to enclose the volume it did."""
        here, before = self.surface, solid_of(self.surface)
        moved = Surface(self.field(here.vertices), here.faces)
        after = solid_of(moved)
        scale = before.radius / after.radius
        return Surface(before.centroid + scale * (moved.vertices - after.centroid), here.faces)


def relief(surface: Surface, smooth: Surface) -> FloatArray:
    """Return how far each vertex stands out from its smoothed place, (V,), outward positive."""
    gap = surface.vertices - smooth.vertices
    return np.asarray((gap * smooth.vertex_normals).sum(axis=1))
