"""What a format reader hands over, and the one place where it is checked and mended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.errors import EmptyMeshError, IndexOutOfRangeError, NoFacesError, NonFiniteError
from meshconv.io.tokens import Lines
from meshconv.io.triangulate import triangulate

Fields = dict[str, NDArray[Any]]


@dataclass
class RawMesh:
    """Polygons as they stand in a file: V vertices, P faces, C corners in all."""

    vertices: FloatArray  # (V, 3)
    corners: IntArray  # (C,) vertex of every corner, from 0
    counts: IntArray  # (P,) corners of every face
    vertex_fields: Fields = field(default_factory=dict)  # (V,) or (V, k)
    face_fields: Fields = field(default_factory=dict)  # (P,) or (P, k)
    corner_uv: FloatArray | None = None  # (C, 2)
    warnings: list[str] = field(default_factory=list)
    vertex_line: Lines | None = None  # of each vertex, in a text file
    face_line: Lines | None = None

    @classmethod
    def of_triangles(cls, vertices: FloatArray, faces: IntArray, **details: Any) -> RawMesh:
        """Return the mesh of triangles (F, 3)."""
        return cls(vertices, faces.reshape(-1), np.full(len(faces), 3), **details)


@dataclass(frozen=True)
class Mended:
    """Triangles that make a `Surface`, their fields, and what had to be dropped or changed."""

    vertices: FloatArray  # (V, 3)
    faces: IntArray  # (F, 3)
    vertex_fields: Fields
    face_fields: Fields
    corner_uv: FloatArray | None
    warnings: tuple[str, ...]


def mend(raw: RawMesh) -> Mended:
    """Check what a reader found, drop what is no triangle, and split polygons.

    Raises
    ------
    EmptyMeshError, NoFacesError, IndexOutOfRangeError, NonFiniteError
        If no vertex or face is there, an index does not exist, or a used vertex is not finite.
    """
    if not len(raw.vertices):
        raise EmptyMeshError("no vertices")
    if not len(raw.counts):
        raise NoFacesError(f"no faces: point cloud of {len(raw.vertices)} points")
    warnings = list(raw.warnings)
    _check_range(raw)
    _drop_small(raw, warnings)
    used = _drop_not_finite(raw, warnings)
    faces, uv, origin = _split(raw, warnings)
    vertex_fields = _sound_fields(raw.vertex_fields, "vertex", warnings)
    face_fields = _sound_fields(raw.face_fields, "face", warnings)
    if used is not None:
        vertex_fields = {name: value[used] for name, value in vertex_fields.items()}
    if origin is not None:
        face_fields = {name: value[origin] for name, value in face_fields.items()}
    vertices, faces = _frozen(raw.vertices), _frozen(faces)
    return Mended(vertices, faces, vertex_fields, face_fields, uv, tuple(warnings))


def _split(
    raw: RawMesh, warnings: list[str]
) -> tuple[IntArray, FloatArray | None, IntArray | None]:
    """Return triangles (F, 3), their texture coordinates, and the polygon each came from if not its
    own.
    """
    faces, uv, origin = _triangles(raw, warnings)
    a, b, c = faces.T
    repeated: BoolArray = (a == b) | (b == c) | (c == a)
    k = int(repeated.sum())
    if k == len(faces):
        raise NoFacesError(f"no faces: all {k} have a repeated index and so no area")
    if k:
        warnings.append(
            f"dropped {k} faces with a repeated index (the first is face {int(repeated.argmax())})"
        )
        origin = np.flatnonzero(~repeated) if origin is None else origin[~repeated]
        faces, uv = faces[~repeated], None if uv is None else uv[~repeated]
    return faces, uv, origin


def _triangles(
    raw: RawMesh, warnings: list[str]
) -> tuple[IntArray, FloatArray | None, IntArray | None]:
    """Return what `_split` does, triangles with a repeated index among them."""
    uv = raw.corner_uv
    if (raw.counts == 3).all():
        return raw.corners.reshape(-1, 3), None if uv is None else uv.reshape(-1, 3, 2), None
    triangles, origin, crossing = triangulate(raw.vertices, raw.corners, raw.counts)
    _note_polygons(raw.counts, crossing, warnings)
    return raw.corners[triangles], None if uv is None else uv[triangles], origin


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array that is ours alone as read-only, so that Surface need not copy it."""
    if isinstance(array.base, np.ndarray):
        array.base.setflags(write=False)
    array.setflags(write=False)
    return array


def _line(lines: Lines | None, index: int) -> int | None:
    return None if lines is None else lines[index]


def _check_range(raw: RawMesh) -> None:
    n = len(raw.vertices)
    if not len(raw.corners) or (raw.corners.min() >= 0 and raw.corners.max() < n):
        return
    bad = np.flatnonzero((raw.corners < 0) | (raw.corners >= n))
    face = int(np.searchsorted(np.cumsum(raw.counts), bad[0], side="right"))
    raise IndexOutOfRangeError(
        f"face {face} has the index {raw.corners[bad[0]]}, allowed are 0..{n - 1}"
        f" ({len(bad)} bad in all)",
        line=_line(raw.face_line, face),
        indices=[face],
        count=len(bad),
    )


def _drop_small(raw: RawMesh, warnings: list[str]) -> None:
    """Drop faces of fewer than three corners, in place."""
    small: BoolArray = raw.counts < 3
    if not small.any():
        return
    first, k = int(small.argmax()), int(small.sum())
    if k == len(raw.counts):
        raise NoFacesError(
            f"no faces: all {k} have fewer than 3 vertices", line=_line(raw.face_line, first)
        )
    where = f"face {first}" if raw.face_line is None else f"line {raw.face_line[first]}"
    warnings.append(
        f"dropped {k} faces of fewer than 3 vertices (the first has {raw.counts[first]} vertices,"
        f" {where})"
    )
    keep = np.repeat(~small, raw.counts)
    raw.corners, raw.counts = raw.corners[keep], raw.counts[~small]
    raw.corner_uv = None if raw.corner_uv is None else raw.corner_uv[keep]
    raw.face_fields = {name: value[~small] for name, value in raw.face_fields.items()}
    if raw.face_line is not None:
        raw.face_line = replace(raw.face_line, begin=raw.face_line.begin[~small])


def _drop_not_finite(raw: RawMesh, warnings: list[str]) -> IntArray | None:
    """Refuse a used vertex that is not finite; drop unused ones, in place, and return which are
    kept.
    """
    if np.isfinite(raw.vertices).all():
        return None
    finite: BoolArray = np.logical_and.reduce(np.isfinite(raw.vertices), axis=1)
    bad = np.unique(raw.corners[~finite[raw.corners]])
    if len(bad):
        raise NonFiniteError(
            f"vertex {bad[0]} is {raw.vertices[bad[0]].tolist()}, {len(bad)} used vertices are not"
            " finite",
            line=_line(raw.vertex_line, int(bad[0])),
            indices=bad[:10].tolist(),
            count=len(bad),
            hint="remove the vertices and their faces in the program that wrote the file",
        )
    kept = np.flatnonzero(finite)
    dropped = len(finite) - len(kept)
    warnings.append(
        f"dropped {dropped} unused vertices that are not finite"
        f" (the first is {int(finite.argmin())})"
    )
    raw.vertices, raw.corners = raw.vertices[kept], (np.cumsum(finite) - 1)[raw.corners]
    return kept


def _note_polygons(counts: IntArray, crossing: int, warnings: list[str]) -> None:
    quads, many = int((counts == 4).sum()), int((counts > 4).sum())
    if quads or many:
        what = [f"{quads} quads"] * bool(quads) + [
            f"{many} polygons of up to {counts.max()} corners"
        ] * bool(many)
        warnings.append(f"split {' and '.join(what)} into triangles")
    if crossing:
        warnings.append(f"{crossing} polygons cross themselves: their triangles may overlap")


def _sound_fields(fields: Fields, per: str, warnings: list[str]) -> Fields:
    """Drop colours, normals and texture coordinates that are not finite; note it for other
    fields.
    """
    out = {}
    for name, value in fields.items():
        bad = int((~np.isfinite(value)).sum()) if value.dtype.kind == "f" else 0
        dropped = bad > 0 and name in ("colors", "normals", "uv")
        if bad:
            note = ": dropped" if dropped else ""
            warnings.append(f"{per} field {name!r} has {bad} values that are not finite{note}")
        if not dropped:
            out[name] = value
    return out


def join_fields(parts: list[Fields]) -> Fields:
    """Return the fields that every part has in the same shape, one after the other."""
    names = [
        k
        for k in parts[0]
        if all(k in part and part[k].shape[1:] == parts[0][k].shape[1:] for part in parts)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}
