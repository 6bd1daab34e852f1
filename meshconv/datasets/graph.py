"""A scan, or its image in a frame, as a graph of torch-geometric."""

from __future__ import annotations

import numpy as np
import torch
from torch_geometric.data import Data

from meshconv.datasets.scan import Scan
from meshconv.mesh.connectivity import edges as face_edges
from meshconv.mesh.surface import Surface
from meshconv.resample.geometry_image import GeometryImage
from meshconv.resample.grid import grid_nodes


def scan_graph(scan: Scan | Surface, label: int | None = None) -> Data:
    """Return a mesh as a graph: ``pos`` (V, 3) float32, ``face`` (3, F), ``edge_index`` (2, 2E),
    ``y`` (1,).

    Of a `Scan` also ``name``, ``subject`` and, if known, ``truth`` (V,). A mirror image that is
    said to be one is mirrored back, so that all scans are of one hand. Vertices keep their order.
    """
    if isinstance(scan, Surface):
        return _labelled(scan.to_torch_geometric(), label)
    surface = scan.surface.mirrored() if scan.mirrored else scan.surface
    graph = _labelled(surface.to_torch_geometric(), scan.label if label is None else label)
    graph.name, graph.subject = scan.name, scan.subject
    if scan.truth is not None:
        graph.truth = torch.from_numpy(scan.truth.astype(np.float32))
    return graph


def image_graph(image: GeometryImage, label: int | None = None) -> Data:
    """Return a registered image as a graph of the nodes inside its mask.

    ``x`` (V, C) float32 are the channels, ``pos`` (V, 3) the place (u, v, 0) in the frame,
    ``pixel`` (V,) the flat index into the image; ``face`` and ``edge_index`` are the triangles and
    edges of the grid.
    """
    size, inside = image.size, image.mask.ravel()
    number = np.cumsum(inside) - 1
    corner = np.arange(size * size).reshape(size, size)
    a, b, c, d = (
        part.ravel()
        for part in (corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:], corner[1:, :-1])
    )
    faces = np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    faces = number[faces[inside[faces].all(axis=1)]]
    edges = face_edges(faces)
    pos = np.column_stack([grid_nodes(size).reshape(-1, 2)[inside], np.zeros(inside.sum())])
    graph = Data(
        x=torch.from_numpy(
            image.channels.reshape(len(image.channels), -1)[:, inside].T.astype(np.float32)
        ),
        pos=torch.from_numpy(pos.astype(np.float32)),
        face=torch.from_numpy(faces.T.copy()),
        edge_index=torch.from_numpy(np.concatenate([edges, edges[:, ::-1]]).T.copy()),
        pixel=torch.from_numpy(np.flatnonzero(inside)),
    )
    return _labelled(graph, label)


def _labelled(graph: Data, label: int | None) -> Data:
    if label is not None:
        graph.y = torch.tensor([label])
    return graph
