"""Transforms of meshes for torch-geometric, made of scipy and of meshconv's own operators.

They go into ``torch_geometric.transforms.Compose`` like its own. None needs pyg-lib, torch-cluster
or torch-scatter. Take features before edges: `FarthestPoints` and `NearestNeighbours` leave the
mesh behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch_geometric.transforms import BaseTransform

from meshconv._check import FloatArray, one_of
from meshconv.errors import ArgumentError
from meshconv.mesh.surface import Surface
from meshconv.operators.curvature import gaussian_curvature, mean_curvature, shape_index
from meshconv.operators.spectral import heat_kernel_signature


class MeshEdges(BaseTransform):
    """``edge_index`` (2, 2E) from ``face``: every edge of the mesh, both ways."""

    def forward(self, data: Any) -> Any:
        edges = Surface.from_torch_geometric(data).edges
        data.edge_index = torch.from_numpy(np.concatenate([edges, edges[:, ::-1]]).T.copy())
        return data


class NearestNeighbours(BaseTransform):
    """``edge_index`` (2, V k) from the `k` nearest other vertices in space (row 0) to each vertex
    (row 1).

    Parameters
    ----------
    k : int
        Where there are fewer other vertices, all of them.
    """

    def __init__(self, k: int = 16) -> None:
        if k < 1:
            raise ArgumentError(f"k must be at least 1, found {k}")
        self.k = k

    def forward(self, data: Any) -> Any:
        points = _points(data)
        n, k = len(points), min(self.k, len(points) - 1)
        _, near = cKDTree(points).query(points, k=list(range(1, k + 2)))
        others = np.argsort(near == np.arange(n)[:, None], axis=1, kind="stable")[
            :, :k
        ]  # oneself comes last
        source = np.take_along_axis(near, others, axis=1).astype(np.int64)
        data.edge_index = torch.from_numpy(np.stack([source.ravel(), np.repeat(np.arange(n), k)]))
        return data

    def __repr__(self) -> str:
        return f"NearestNeighbours(k={self.k})"


class VertexNormals(BaseTransform):
    """``normal`` (V, 3): the unit area-weighted normal of each vertex."""

    def forward(self, data: Any) -> Any:
        data.normal = torch.from_numpy(
            Surface.from_torch_geometric(data).vertex_normals.astype(np.float32)
        )
        return data


class NormalizedPose(BaseTransform):
    """Bring ``pos`` into its own axes: centroid at 0, main axes along x, y, z (widest first), total
    area 1.

    Moments are those of the surface, not of its vertices, so a denser mesh gives the same pose.
    Axes point to where the surface reaches farther, on the two axes on which this is clearer; the
    third makes them right-handed, so mirror images stay mirror images. Ill defined where two
    extents are equal.

    Parameters
    ----------
    scale : bool
        Whether to bring the area to 1.
    """

    def __init__(self, scale: bool = True) -> None:
        self.scale = scale

    def forward(self, data: Any) -> Any:
        surface = Surface.from_torch_geometric(data)
        weight = surface.face_areas / surface.area
        corners = surface.vertices[surface.faces]
        points = surface.vertices - weight @ corners.mean(axis=1)
        corners = points[surface.faces]
        middle = corners.mean(axis=1)
        spread = (
            np.einsum("f,fki,fkj->ij", weight, corners, corners) + 9 * (middle.T * weight) @ middle
        ) / 12
        variance, axes = (part[..., ::-1] for part in np.linalg.eigh(spread))
        skew = weight @ _mean_cube(corners @ axes) / np.maximum(variance, 1e-300) ** 1.5
        axes = axes * np.where(skew < 0, -1.0, 1.0)
        axes[:, abs(skew).argmin()] *= np.linalg.det(axes)
        turned = points @ axes
        data.pos = torch.from_numpy(
            (turned / np.sqrt(surface.area) if self.scale else turned).astype(np.float32)
        )
        return data

    def __repr__(self) -> str:
        return f"NormalizedPose(scale={self.scale})"


class VertexFeatures(BaseTransform):
    """``x`` (V, C): geometric features of every vertex, side by side, after those that are there.

    Parameters
    ----------
    names : sequence of str
        ``position`` and ``normal`` (3 columns each; they turn with the surface);
        ``mean_curvature``, ``gaussian_curvature`` and ``shape_index`` (1 each) and
        ``heat_kernel_signature`` (16), which do not. The scale does not matter: curvatures are in
        units of the square root of the area, and of the signature it is the logarithm of its
        product with the area.
    """

    def __init__(self, names: Sequence[str] = ("mean_curvature", "shape_index")) -> None:
        if isinstance(names, str) or not names:
            raise ArgumentError(f"names must be a list of features, found {names!r}")
        self.names = tuple(one_of(name, tuple(_FEATURES), "feature") for name in names)

    def forward(self, data: Any) -> Any:
        surface = Surface.from_torch_geometric(data)
        columns = [_FEATURES[name](surface).reshape(surface.n_vertices, -1) for name in self.names]
        made = torch.from_numpy(np.hstack(columns).astype(np.float32))
        before = getattr(data, "x", None)
        data.x = made if before is None else torch.cat([before, made], dim=1)
        return data

    def __repr__(self) -> str:
        return f"VertexFeatures({', '.join(self.names)})"


class FarthestPoints(BaseTransform):
    """Keep `n` vertices spread evenly, each the farthest from those before it; always the same.

    All that is one row for each vertex is thinned alike; ``face`` and ``edge_index`` go. ``vertex``
    (n,) says which vertices these are.

    Parameters
    ----------
    n : int
        Where there are fewer, all stay.
    """

    def __init__(self, n: int = 512) -> None:
        if n < 1:
            raise ArgumentError(f"n must be at least 1, found {n}")
        self.n = n

    def forward(self, data: Any) -> Any:
        points = _points(data)
        kept = torch.from_numpy(_farthest_first(points, min(self.n, len(points))))
        data.face = data.edge_index = None
        for name in [
            name for name in data.to_dict() if data.is_node_attr(name)
        ]:  # before the number changes
            data[name] = data[name][kept]
        data.vertex = kept
        return data

    def __repr__(self) -> str:
        return f"FarthestPoints(n={self.n})"


def _points(data: Any) -> FloatArray:
    return np.asarray(data.pos.detach().cpu().numpy(), dtype=np.float64)


def _mean_cube(corners: FloatArray) -> FloatArray:
    """Return the mean of x^3 over triangles, (F, d), of the values (F, 3, d) at their corners;
    exact.
    """
    once, twice, thrice = (np.sum(corners**k, axis=1) for k in (1, 2, 3))
    return np.asarray((once**3 + 3 * once * twice + 2 * thrice) / 60)


def _farthest_first(points: FloatArray, n: int) -> NDArray[np.int64]:
    chosen = np.empty(n, dtype=np.int64)
    distance = np.linalg.norm(points - points.mean(axis=0), axis=1)
    for k in range(n):
        chosen[k] = distance.argmax()
        if k == 0:
            distance = np.full(len(points), np.inf)
        distance = np.minimum(distance, ((points - points[chosen[k]]) ** 2).sum(axis=1))
        distance[chosen[: k + 1]] = -1  # also where points coincide
    return chosen


def _log_heat(surface: Surface) -> FloatArray:
    heat = heat_kernel_signature(surface)
    return np.asarray(np.log(np.maximum(heat * surface.area, 1e-12)))


_FEATURES: dict[str, Callable[[Surface], FloatArray]] = {
    "position": lambda surface: surface.vertices,
    "normal": lambda surface: surface.vertex_normals,
    "mean_curvature": lambda surface: mean_curvature(surface) * np.sqrt(surface.area),
    "gaussian_curvature": lambda surface: gaussian_curvature(surface) * surface.area,
    "shape_index": shape_index,
    "heat_kernel_signature": _log_heat,
}
