"""Read any mesh file: recognise the content, call the reader, mend, and name the file in every
refusal.
"""

from __future__ import annotations

import os
import warnings as py_warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike

import numpy as np

from meshconv._check import FloatArray, one_of
from meshconv.errors import (
    ArrayTypeError,
    BadFormatError,
    LoadWarning,
    MeshConvError,
    MeshIOError,
    UnsupportedFormatError,
)
from meshconv.io.decompress import gunzip
from meshconv.io.gltf import read_glb, read_gltf
from meshconv.io.obj import looks_like_obj, read_obj
from meshconv.io.off import MAGIC as OFF_MAGIC
from meshconv.io.off import read_off
from meshconv.io.ply import read_ply
from meshconv.io.raw_mesh import Fields, RawMesh, mend
from meshconv.io.source import Source, read_file, refuse_foreign, to_utf8
from meshconv.io.stl import is_binary_stl, read_stl
from meshconv.io.vtk_legacy import read_vtk
from meshconv.io.vtp import read_vtp
from meshconv.mesh.surface import Surface

READERS: dict[str, Callable[[Source], RawMesh]] = {
    "obj": read_obj,
    "ply": read_ply,
    "stl": read_stl,
    "off": read_off,
    "vtp": read_vtp,
    "vtk": read_vtk,
    "glb": read_glb,
    "gltf": read_gltf,
}
FORMATS = tuple(READERS)
_LISTED = ", ".join("." + name for name in FORMATS) + ", each also as .gz"


@dataclass(frozen=True, eq=False)
class MeshFile:
    """A surface as read from a file, with everything the file says about it.

    Attributes
    ----------
    surface : Surface
        Vertices in file order (STL: exactly equal corners welded, in order of first appearance).
    vertex_fields : dict of str to (V,) or (V, k) array
        ``colors``, ``normals``, ``uv`` and scalars by their name in the file.
    face_fields : dict of str to (F,) or (F, k) array
    corner_uv : (F, 3, 2) float64 or None
        Texture coordinates per corner of a face, where the file has them so.
    path, format : str
        Where it was read, and as which format.
    warnings : tuple of str
        What was dropped, mended or doubtful, with counts.
    """

    surface: Surface
    vertex_fields: Fields
    face_fields: Fields
    corner_uv: FloatArray | None
    path: str
    format: str
    warnings: tuple[str, ...]


def load(path: str | PathLike[str]) -> Surface:
    """Return the surface in a mesh file.

    Reads OBJ, PLY, STL, OFF, VTP, legacy VTK and GLB/glTF, each also inside .gz. Vertices keep
    their order and number; polygons are split into triangles. `read` also returns colours and other
    fields.

    Parameters
    ----------
    path : str or PathLike

    Returns
    -------
    surface : Surface

    Warns
    -----
    LoadWarning
        If something in the file was dropped, mended or doubtful; with counts.

    Raises
    ------
    MeshIOError
        If the file is missing, empty, damaged, cut short, of another kind or unsafe; `path` and,
        for text, `line` say where.
    MeshDataError
        If the file is sound, but describes no usable surface: no faces, a NaN, an index out of
        range.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "triangle.obj"
    >>> _ = path.write_text("v 0 0 0\\nv 1 0 0\\nv 0 1 0\\nf 1 2 3\\n")
    >>> load(path)
    Surface(3 vertices, 1 faces)
    """
    found = read(path)
    for warning in found.warnings:
        py_warnings.warn(f"{os.path.basename(found.path)}: {warning}", LoadWarning, stacklevel=2)
    return found.surface


def read(
    path: str | PathLike[str],
    *,
    format: str | None = None,  # noqa: A002
    on_security: str = "refuse",
) -> MeshFile:
    """Return the surface in a mesh file with its fields; what was mended is in `warnings`.

    Parameters
    ----------
    path : str or PathLike
    format : {"obj", "ply", "stl", "off", "vtp", "vtk", "glb", "gltf"}, optional
        Read as this format, whatever the name and the content say.
    on_security : {"refuse", "allow"}
        Whether a glTF file may read buffers outside its folder. Remote addresses are never opened.

    Returns
    -------
    MeshFile

    Raises
    ------
    MeshIOError, MeshDataError
        See `load`.
    """
    if not isinstance(path, str | PathLike):
        raise ArrayTypeError(f"path must be a str or PathLike, found {type(path).__name__}")
    if format is not None:
        one_of(format, FORMATS, "format")
    one_of(on_security, ("refuse", "allow"), "on_security")
    name = os.fsdecode(path)
    source = Source(name, read_file(name), on_security == "allow")
    try:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return _read(source, format)
    except MeshConvError as error:
        raise error.at(name).with_traceback(error.__traceback__) from error.__cause__
    except MemoryError as error:
        raise MeshIOError(
            f"needs more memory than there is ({len(source.data)} bytes in file)", path=name
        ) from error
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
        zlib.error,
    ) as error:
        raise BadFormatError(
            f"damaged in a way no check names ({type(error).__name__})", path=name
        ) from error


def _read(source: Source, forced: str | None) -> MeshFile:
    stem, extension = _split_name(source.path)
    if extension == "gz":
        extension = _split_name(stem)[1]
        if source.data[:2] == b"\x1f\x8b":
            source.data = gunzip(source.data, source.warnings)
        else:
            source.warnings.append("is named .gz, but is not compressed")
    if not is_binary_stl(source.data):
        source.data = to_utf8(source.data, source.warnings)
    found = forced or _choose(source, extension)
    mended = mend(READERS[found](source))
    return MeshFile(
        Surface(mended.vertices, mended.faces),
        mended.vertex_fields,
        mended.face_fields,
        mended.corner_uv,
        source.path,
        found,
        (*source.warnings, *mended.warnings),
    )


def _split_name(name: str) -> tuple[str, str]:
    stem, extension = os.path.splitext(name)
    return stem, extension[1:].lower()


def _choose(source: Source, extension: str) -> str:
    """Return the format to read as: what the content is, else what the name says."""
    found = recognise(source.data)
    if found is None:
        refuse_foreign(source.data, extension.upper() if extension in READERS else "mesh")
    if extension not in READERS:
        named = f"unknown extension .{extension}" if extension else "no extension"
        hint = f"the content looks like {found.upper()}: pass format={found!r}" if found else ""
        raise UnsupportedFormatError(f"{named}; can read {_LISTED}", hint=hint)
    if found is not None and found != extension:
        source.warnings.append(
            f"is named .{extension}, but its content is {found.upper()}: read as {found.upper()}"
        )
    return found or extension


def recognise(data: bytes) -> str | None:
    """Return the format that the first bytes of a file show, or None."""
    if is_binary_stl(data):
        return "stl"
    head = data[:4096]
    text = head.lstrip()
    if head.startswith((b"ply\n", b"ply\r")):
        return "ply"
    if head.startswith(b"glTF"):
        return "glb"
    if head.startswith(b"# vtk DataFile"):
        return "vtk"
    if OFF_MAGIC.match(text):
        return "off"
    if b"<VTKFile" in head and text.startswith(b"<"):
        return "vtp"
    if text.startswith(b"{") and b'"asset"' in data[: 1 << 20]:
        return "gltf"
    if text[:5].lower() == b"solid" and (b"facet" in head.lower() or b"endsolid" in head.lower()):
        return "stl"
    return "obj" if looks_like_obj(head) else None
