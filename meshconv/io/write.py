"""Write a surface with its fields to any format that is read, through the atomic writer."""

from __future__ import annotations

import gzip
import os
import warnings
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshconv._check import FloatArray, as_array, require_kind
from meshconv.errors import (
    ArgumentError,
    ArrayTypeError,
    MeshConvWarning,
    NonFiniteError,
    UnsupportedFormatError,
)
from meshconv.io.atomic import write_bytes_atomic
from meshconv.io.ply_names import ESCAPED
from meshconv.io.raw_mesh import Fields
from meshconv.io.single_precision import centre_of, check_fields, check_vertices
from meshconv.io.write_gltf import glb_bytes, gltf_bytes
from meshconv.io.write_ply import escaped, ply_bytes, stl_bytes
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
_WIDTHS = {"colors": (3, 4), "normals": (3,), "uv": (2,)}


def save(
    path: str | PathLike[str],
    surface: Surface,
    *,
    vertex_fields: Mapping[str, ArrayLike] | None = None,
    face_fields: Mapping[str, ArrayLike] | None = None,
    corner_uv: ArrayLike | None = None,
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
        ``colors`` (uint8, or float in 0..1; (V, 3) or (V, 4)), ``normals`` (V, 3), ``uv`` (V, 2)
        and any others.
    face_fields : mapping of str to (F,) or (F, k) array_like, optional
    corner_uv : (F, 3, 2) array_like, optional
        Texture coordinates of the corners of each face, which may differ along a seam; OBJ has them
        (``vt``).
    overwrite : bool
        Whether an existing file may be replaced.
    binary : bool
        False writes text where the format has both.

    Warns
    -----
    MeshConvWarning
        If the format has no place for a field, which is then not written; or if PLY uses a field's
        name itself (``x``, ``red``), and the field gets another in the file.
    AccuracyWarning
        If float32 rounds coordinates by more than 1e-5 of the surface's size.

    Raises
    ------
    UnsupportedFormatError, ArrayTypeError, ArgumentError, NonFiniteError
        If the extension is unknown, a field has the wrong length, shape or name, or holds what the
        format cannot.
    MeshIOError
        If the file cannot be written; see `atomic_write`.
    """
    if isinstance(path, Surface):
        raise ArgumentError("the path comes first, then the surface", hint="save(path, surface)")
    require_kind(path, "path", str, PathLike)
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
    _check_format(surface, points, faces, form if binary or form != "stl" else "text")
    corners = _corner_uv(corner_uv, surface, form)
    data = (
        _WRITERS[form](surface, points, faces, binary)
        if corners is None
        else obj_bytes(surface, points, faces, binary, corners)
    )
    write_bytes_atomic(
        name, gzip.compress(data, 6, mtime=0) if packed else data, overwrite=overwrite
    )


def _corner_uv(given: ArrayLike | None, surface: Surface, form: str) -> FloatArray | None:
    if given is None:
        return None
    value = as_array(given, "corner_uv")
    if value.shape != (surface.n_faces, 3, 2):
        raise ArrayTypeError(
            f"corner_uv must be (F, 3, 2) = ({surface.n_faces}, 3, 2), found {value.shape}"
        )
    if not np.isfinite(value).all():
        raise NonFiniteError("corner_uv is not finite")
    if form != "obj":
        warnings.warn(
            f".{form} is written without texture coordinates of corners; .obj has them, and a"
            " vertex field uv where no seam parts them",
            MeshConvWarning,
            stacklevel=3,
        )
        return None
    return value.astype(np.float64)


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
        array = _checked(name, value, n, per)
        if allowed is _ALL or (isinstance(allowed, set) and name in allowed):
            out[name] = array
    lost = sorted(set(given or {}) - set(out))
    if lost:
        text = f".{form} has no place for the {per} fields {', '.join(lost)}: not written"
        warnings.warn(f"{text}; .ply and .vtp have", MeshConvWarning, stacklevel=3)
    return out


def _checked(name: str, value: ArrayLike, n: int, per: str) -> NDArray[Any]:
    """Return a field as an array of rows, or say why it is none."""
    what = f"{per} field {name!r}"
    if np.ma.is_masked(value):
        raise ArrayTypeError(f"{what} has masked values, which no format tells", hint="fill them")
    array = np.ascontiguousarray(as_array(value, what))
    array = array.astype(array.dtype.newbyteorder("="), copy=False)  # as all writers expect it
    if not name or not name.isprintable():
        raise ArgumentError(f"{per} field name {name!r} must be printable")
    if array.ndim not in (1, 2) or len(array) != n:
        raise ArrayTypeError(f"{what} must have one row per {per} ({n}), found shape {array.shape}")
    widths = _WIDTHS.get(name)
    width = array.shape[1] if array.ndim == 2 else 1
    if widths and width not in widths:
        wanted = " or ".join(map(str, widths))
        raise ArrayTypeError(f"{what} must have {wanted} columns, found shape {array.shape}")
    if array.ndim == 2 and width < 2:
        raise ArrayTypeError(
            f"{what} of shape {array.shape}: no format tells one column from a plain field",
            hint=f"pass it as ({n},)" if width else "leave it out",
        )
    if array.dtype.itemsize > 8:
        raise ArrayTypeError(f"{what} of {array.dtype}: no format stores it", hint="use float64")
    if widths and not np.isfinite(array).all():
        raise NonFiniteError(f"{what} has {int((~np.isfinite(array)).sum())} values not finite")
    if name == "colors" and array.dtype.kind in "iu" and not _is_byte(array):
        raise ArgumentError(f"{what}: whole numbers must lie in 0..255", hint="or floats in 0..1")
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _is_byte(array: NDArray[Any]) -> bool:
    return int(array.min()) >= 0 and int(array.max()) <= 255


def _check_format(surface: Surface, points: Fields, faces: Fields, form: str) -> None:
    """Say what the format cannot keep as it is; refuse what it cannot keep at all."""
    if form in _SINGLE:
        centre = np.zeros(3) if form == "stl" else centre_of(surface)
        check_vertices(surface, centre, form)
        check_fields(points, form)
    wide = [name for name, value in points.items() if value.ndim == 2 and value.shape[1] > 4]
    if form in ("glb", "gltf") and wide:
        raise ArrayTypeError(
            f".{form} holds up to 4 columns a field, {', '.join(wide)} has more",
            hint="save as .ply or .vtp",
        )
    if form == "obj" and points.get("colors", np.empty((0, 3))).shape[1] == 4:
        warnings.warn(".obj has no place for alpha: not written", MeshConvWarning, stacklevel=3)
    for fields in (points, faces) if form == "ply" else ():
        other = escaped(fields)
        if other:
            warnings.warn(
                f".ply uses the names {', '.join(other)} itself or cannot hold them: the columns"
                f" are called {ESCAPED}..., which meshconv reads back",
                MeshConvWarning,
                stacklevel=3,
            )
