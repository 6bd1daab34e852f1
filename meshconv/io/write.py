"""Write a surface with its fields to any format that is read, through the atomic writer."""

from __future__ import annotations

import gzip
import os
import warnings
from collections.abc import Callable, Mapping
from os import PathLike

import numpy as np
from numpy.typing import ArrayLike

from meshconv._check import as_array
from meshconv.errors import (
    AccuracyWarning,
    ArgumentError,
    ArrayTypeError,
    MeshConvWarning,
    UnsupportedFormatError,
)
from meshconv.io.atomic import write_bytes_atomic
from meshconv.io.raw_mesh import Fields
from meshconv.io.write_binary import glb_bytes, gltf_bytes, ply_bytes, stl_bytes
from meshconv.io.write_text import obj_bytes, off_bytes
from meshconv.io.write_vtk import vtk_bytes, vtp_bytes
from meshconv.mesh.surface import Surface

_Writer = Callable[[Surface, Fields, Fields, bool], bytes]
_WRITERS: dict[str, _Writer] = {
    "obj": obj_bytes,
    "ply": ply_bytes,
    "stl": stl_bytes,
    "off": off_bytes,
    "vtp": vtp_bytes,
    "vtk": vtk_bytes,
    "glb": glb_bytes,
    "gltf": gltf_bytes,
}
_ALL = object()
_VERTEX_FIELDS: dict[str, object] = {
    "obj": {"colors", "normals"},
    "stl": set(),
    "off": {"colors", "normals"},
}
_FACE_FIELDS: dict[str, object] = {
    "obj": set(),
    "stl": set(),
    "off": {"colors"},
    "glb": set(),
    "gltf": set(),
}
_SINGLE = ("stl", "glb", "gltf")


def save(
    path: str | PathLike[str],
    surface: Surface,
    *,
    vertex_fields: Mapping[str, ArrayLike] | None = None,
    face_fields: Mapping[str, ArrayLike] | None = None,
    overwrite: bool = True,
    binary: bool = True,
) -> None:
    """Write a surface; the extension names the format, and .gz after it compresses.

    Vertex order is kept. PLY, VTP, VTK, OBJ and OFF keep every bit of the coordinates; STL, GLB and
    glTF store float32 (GLB and glTF around the centre, so that an offset costs nothing). An
    existing file is replaced at once or, after a failure, not at all.

    Parameters
    ----------
    path : str or PathLike
        Ends in .obj, .ply, .stl, .off, .vtp, .vtk, .glb or .gltf, or one of these and .gz.
    surface : Surface
    vertex_fields : mapping of str to (V,) or (V, k) array_like, optional
        ``colors`` (uint8, or float in 0..1), ``normals``, ``uv`` and any others.
    face_fields : mapping of str to (F,) or (F, k) array_like, optional
    overwrite : bool
        Whether an existing file may be replaced.
    binary : bool
        False writes text where the format has both.

    Warns
    -----
    MeshConvWarning
        If the format has no place for a field, which is then not written.
    AccuracyWarning
        If float32 rounds coordinates by more than 1e-5 of the surface's size.

    Raises
    ------
    UnsupportedFormatError, ArrayTypeError, ArgumentError
        If the extension is unknown, or a field has the wrong length or name.
    MeshIOError
        If the file cannot be written; see `atomic_write`.
    """
    name = os.fsdecode(path)
    form, packed = _form(name)
    if not isinstance(surface, Surface):
        raise ArrayTypeError(
            f"surface must be a Surface, found {type(surface).__name__}", hint="see as_surface"
        )
    points = _fields(
        vertex_fields, surface.n_vertices, "vertex", form, _VERTEX_FIELDS.get(form, _ALL)
    )
    faces = _fields(face_fields, surface.n_faces, "face", form, _FACE_FIELDS.get(form, _ALL))
    _warn_rounding(surface, form)
    data = _WRITERS[form](surface, points, faces, binary)
    write_bytes_atomic(
        name, gzip.compress(data, 6, mtime=0) if packed else data, overwrite=overwrite
    )


def _form(name: str) -> tuple[str, bool]:
    """Return the format that a name asks for, and whether to compress."""
    stem, extension = os.path.splitext(name)
    packed = extension.lower() == ".gz"
    form = (os.path.splitext(stem)[1] if packed else extension)[1:].lower()
    if form not in _WRITERS:
        raise UnsupportedFormatError(
            f"cannot write .{form}; can write .{', .'.join(_WRITERS)}, each also as .gz", path=name
        )
    return form, packed


def _fields(
    given: Mapping[str, ArrayLike] | None, n: int, per: str, form: str, allowed: object
) -> Fields:
    """Return the fields to write, checked; those that the format has no place for are named in a
    warning.
    """
    out: Fields = {}
    for name, value in (given or {}).items():
        array = np.ascontiguousarray(as_array(value, f"{per} field {name!r}"))
        if not name or len(name.split()) != 1 or not name.isprintable():
            raise ArgumentError(f"{per} field name {name!r} must be one printable word")
        if array.ndim not in (1, 2) or len(array) != n:
            raise ArrayTypeError(
                f"{per} field {name!r} must have one row per {per} ({n}), found shape {array.shape}"
            )
        if allowed is _ALL or (isinstance(allowed, set) and name in allowed):
            out[name] = array
    lost = sorted(set(given or {}) - set(out))
    if lost:
        text = f".{form} has no place for the {per} fields {', '.join(lost)}: not written; .ply and .vtp have"
        warnings.warn(text, MeshConvWarning, stacklevel=3)
    return out


def _warn_rounding(surface: Surface, form: str) -> None:
    if form not in _SINGLE:
        return
    vertices = surface.vertices
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    size = float((high - low).max())
    centre = (low + high) / 2 if form != "stl" else np.zeros(3)
    with np.errstate(over="ignore"):
        error = float(np.abs(vertices - centre - (vertices - centre).astype(np.float32)).max())
    if error > 1e-5 * size:
        text = f".{form} stores float32: coordinates move by up to {error:.3g} on a surface of size {size:.3g}"
        warnings.warn(f"{text}; save as .ply or .vtp to keep them", AccuracyWarning, stacklevel=3)
