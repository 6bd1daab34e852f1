"""The intrinsic Delaunay triangulation: the same surface and vertices, better triangles to compute
on.

Edges may run straight across several faces, so only lengths are kept, no positions. Its cotangent
Laplacian has no negative weight on an edge with two faces, whatever the triangles of the input look
like.
"""

from __future__ import annotations

from scipy import sparse

from meshconv.mesh.surface import Surface
from meshconv.operators.intrinsic_triangulation import (
    IntrinsicTriangulation,
    delaunay_triangulation,
    unit_length,
)


def intrinsic_delaunay(surface: Surface, *, mollify: float = 1e-6) -> IntrinsicTriangulation:
    """Flip edges, without moving the surface, until every edge is Delaunay.

    Parameters
    ----------
    surface : Surface
        V vertices; needles, faces without area and faces wound against others are welcome. Edges
        on the border or with three or more faces stay where they are, and on one-sided parts those
        between faces of opposite winding.
    mollify : float
        The least excess of two sides over the third, in mean edge lengths; all sides grow by the
        same amount to reach it.

    Raises
    ------
    DegenerateError
        If the whole surface has no area.

    Warns
    -----
    AccuracyWarning
        If rounding keeps some edges from becoming Delaunay.

    References
    ----------
    Sharp, Crane, 2020, A Laplacian for nonmanifold triangle meshes, section 4.5.
    doi:10.1111/cgf.14069 Bobenko, Springborn, 2007, A discrete Laplace-Beltrami operator.
    doi:10.1007/s00454-007-9006-1
    """
    return delaunay_triangulation(surface.vertices, surface.faces, mollify=mollify)


def cotangent_laplacian_intrinsic(surface: Surface, *, mollify: float = 1e-6) -> sparse.csr_array:
    """Return the cotangent Laplacian of the intrinsic Delaunay triangulation of a surface.

    Symmetric, positive semidefinite, rows summing to zero, finite on every surface with an area;
    the weight of an edge with two faces is not negative, so that harmonic functions keep the
    maximum principle away from the border. Equal to `cotangent_laplacian` where the surface is
    Delaunay already.

    Parameters
    ----------
    surface : Surface
        V vertices.
    mollify : float
        See `intrinsic_delaunay`.

    Returns
    -------
    L : (V, V) scipy.sparse.csr_array of float64
        Dimensionless.

    Examples
    --------
    >>> import numpy as np
    >>> points = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0.5, 0, 0]]
    >>> needle = Surface(points, [[0, 3, 2], [3, 1, 2], [0, 1, 3]])
    >>> bool(np.isfinite(cotangent_laplacian_intrinsic(needle).data).all())
    True
    """
    return intrinsic_delaunay(surface, mollify=mollify).cotangent_laplacian()


def unit_scale(surface: Surface) -> tuple[Surface, float]:
    """Return the surface in a unit of length in which no square overflows or vanishes, and that
    unit: see `unit_length`.
    """
    scale = unit_length(surface.vertices)
    if scale == 1.0:
        return surface, 1.0
    return Surface(surface.vertices / scale, surface.faces), scale
