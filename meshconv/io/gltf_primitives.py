"""The primitives of a glTF mesh as parts: vertices, triangles and fields, morphed by default
weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray, IntArray
from meshconv.errors import BadFormatError, BadHeaderError, TruncatedError
from meshconv.io.gltf_accessors import Document, number_of
from meshconv.io.raw_mesh import Fields
from meshconv.io.strips import strip_triangles, without_repeats

_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_UNSIGNED_INT, _FLOAT = 5125, 5126
_COST = 500  # bytes that a look at a primitive or target counts, each time a node asks for it
_FIELDS = {"COLOR_0": "colors", "TEXCOORD_0": "uv", "NORMAL": "normals"}

Part = tuple[FloatArray, IntArray, Fields]


def parts_of(
    document: Document, mesh: dict[str, Any], weights: list[float]
) -> tuple[list[Part], int]:
    """Return one part for all primitives of a mesh that share their vertices, and how many
    primitives are points or lines.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    others = 0
    for primitive in document.items(mesh, "primitives"):
        mode = number_of(primitive, "mode", _TRIANGLES)
        attributes = document.table(primitive, "attributes")
        if mode not in (_TRIANGLES, _STRIP, _FAN) or "POSITION" not in attributes:
            others += 1
            continue
        targets = document.items(primitive, "targets")
        document.source.spend(_COST * (1 + len(targets)), "the scene")
        key = f"{number_of(attributes, 'POSITION')} {targets if any(weights) else ''}"
        groups.setdefault(key, []).append(primitive)
    return [_part(document, members, weights) for members in groups.values()], others


def _part(document: Document, members: list[dict[str, Any]], weights: list[float]) -> Part:
    attributes = document.table(members[0], "attributes")
    position = number_of(attributes, "POSITION")
    vertices = _positions(document, position, "POSITION").astype(np.float64)
    faces = np.concatenate([_faces(document, member, len(vertices)) for member in members])
    fields = _fields(document, attributes, len(vertices))
    targets = document.items(members[0], "targets")
    if targets and any(weights):
        _morph(document, targets, weights, vertices, fields)
    return vertices, faces, fields


def _positions(document: Document, index: int, what: str) -> NDArray[Any]:
    """Return vectors; whole numbers mean lengths only where the file says that it is quantized."""
    out = document.array(index, "VEC3", what)
    component = document.pick("accessors", index)["componentType"]
    used = document.root.get("extensionsUsed", [])
    quantized = isinstance(used, list) and "KHR_mesh_quantization" in used
    if component != _FLOAT and (component == _UNSIGNED_INT or not quantized):
        raise BadHeaderError(f"{what}: accessor {index} holds whole numbers, expected floats")
    return out


def _morph(
    document: Document,
    targets: list[dict[str, Any]],
    weights: list[float],
    vertices: FloatArray,
    fields: Fields,
) -> None:
    """Add the weighted displacements, in place."""
    if len(weights) != len(targets):
        raise BadFormatError(f"{len(weights)} morph weights for {len(targets)} targets")
    for weight, target in zip(weights, targets, strict=True):
        for key, name in (("POSITION", ""), ("NORMAL", "normals")):
            if weight == 0 or key not in target or (name and name not in fields):
                continue
            moved = _positions(document, number_of(target, key), f"morph target {key}")
            if len(moved) != len(vertices):
                raise BadFormatError(f"a morph target of {len(moved)} for {len(vertices)} vertices")
            if name:
                fields[name] = fields[name] + weight * moved
            else:
                vertices += weight * moved


def _faces(document: Document, primitive: dict[str, Any], n: int) -> IntArray:
    """Return the triangles (F, 3) of one primitive."""
    mode = number_of(primitive, "mode", _TRIANGLES)
    if "indices" in primitive:
        index = document.array(number_of(primitive, "indices"), "SCALAR", "indices")
        if index.dtype.kind == "f":
            raise BadHeaderError("indices of a floating type")
        index = index.astype(np.int64)
    else:
        index = np.arange(n)
    if mode == _STRIP:
        return without_repeats(strip_triangles(index, np.array([0]), np.array([len(index)])))
    if mode == _FAN:
        rest = np.stack([index[1:-1], index[2:]], axis=1)
        return np.column_stack([np.broadcast_to(index[:1], len(rest)), rest])
    if len(index) % 3:
        raise TruncatedError(f"{len(index)} indices are no whole number of triangles")
    return index.reshape(-1, 3)


def _fields(document: Document, attributes: dict[str, Any], n: int) -> Fields:
    out: Fields = {}
    for name in attributes:
        if name not in _FIELDS and not name.startswith("_"):
            continue
        values = document.array(number_of(attributes, name), "", name)
        if len(values) == n:
            out[_FIELDS.get(name, name[1:])] = values
        else:
            document.source.warnings.append(
                f"{name} dropped: {len(values)} values for {n} vertices"
            )
    return out
