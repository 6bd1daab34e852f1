"""The node tree of a glTF scene: which mesh stands where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from meshconv._check import FloatArray
from meshconv.errors import BadFormatError, SecurityError
from meshconv.io.gltf_accessors import Document, number_of

MAX_NODES = 10_000


class PlacedMesh(NamedTuple):
    """A mesh of the scene, the 4x4 matrix that places it, and its morph weights."""

    mesh: dict[str, Any]
    matrix: FloatArray
    weights: list[float]


def placed_meshes(document: Document) -> Iterator[PlacedMesh]:
    """Yield each mesh of the default scene; without scenes, every mesh as it stands.

    A skinned mesh stands where its skeleton does: the transform of its own node is not applied.

    Raises
    ------
    BadFormatError
        If a node is reached twice: the nodes of a scene are a tree.
    """
    scenes = document.items(document.root, "scenes")
    if not scenes:
        for mesh in document.items(document.root, "meshes"):
            yield PlacedMesh(mesh, np.eye(4), _weights(mesh))
        return
    scene = document.pick("scenes", number_of(document.root, "scene", 0))
    waiting = [(node, np.eye(4)) for node in reversed(_children(scene, "nodes"))]
    seen: set[int] = set()
    while waiting:
        index, parent = waiting.pop()
        if index in seen:
            raise BadFormatError(f"node {index} is reached twice: the nodes are no tree")
        seen.add(index)
        if len(seen) > MAX_NODES:
            raise SecurityError(f"the scene has more than {MAX_NODES} nodes")
        node = document.pick("nodes", index)
        matrix = parent @ _matrix(node, index)
        if "mesh" in node:
            mesh = document.pick("meshes", number_of(node, "mesh"))
            weights = _weights(node if "weights" in node else mesh)
            yield PlacedMesh(mesh, np.eye(4) if "skin" in node else matrix, weights)
        waiting += [(child, matrix) for child in reversed(_children(node, "children"))]


def _children(parent: dict[str, Any], key: str) -> list[int]:
    value = parent.get(key, [])
    if not isinstance(value, list) or not all(type(child) is int for child in value):
        raise BadFormatError(f"glTF: {key!r} is not a list of node numbers")
    return value


def _weights(parent: dict[str, Any]) -> list[float]:
    value = parent.get("weights", [])
    if not isinstance(value, list) or not all(_is_number(x) for x in value):
        raise BadFormatError("glTF: 'weights' is not a list of numbers")
    return value


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300


def _matrix(node: dict[str, Any], index: int) -> FloatArray:
    """Return a node's own transform: a column-major matrix, or translation * rotation * scale."""
    if "matrix" in node:
        return _vector(node, "matrix", np.eye(4).ravel(), index).reshape(4, 4).T
    out = np.eye(4)
    x, y, z, w = _vector(node, "rotation", np.array([0.0, 0.0, 0.0, 1.0]), index)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    out[:3, :3] = rotation * _vector(node, "scale", np.ones(3), index)
    out[:3, 3] = _vector(node, "translation", np.zeros(3), index)
    return out


def _vector(node: dict[str, Any], key: str, default: FloatArray, index: int) -> FloatArray:
    value = node.get(key)
    if value is None:
        return default
    numeric = isinstance(value, list) and all(_is_number(x) for x in value)
    if not numeric or len(value) != len(default):
        raise BadFormatError(f"node {index}: {key} is not {len(default)} numbers")
    return np.array(value, np.float64)
