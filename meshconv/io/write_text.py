"""Writers of text rows: OBJ and OFF, and the number formatting that all writers of text share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv.io.raw_mesh import Fields
from meshconv.mesh.surface import Surface


def rows_text(table: NDArray[Any], prefix: str = "") -> str:
    """Return one line for each row; floats with as many digits as tell them apart."""
    table = table.reshape(len(table), -1)
    one = prefix + " ".join(["%r" if table.dtype.kind == "f" else "%d"] * table.shape[1]) + "\n"
    return (one * len(table)) % tuple(table.ravel().tolist())


def unit_colors(colors: NDArray[Any]) -> NDArray[Any]:
    """Return colours as floats in 0..1; integers are taken as 0..255."""
    return colors / 255.0 if colors.dtype.kind in "iu" else colors.astype(np.float64)


def obj_bytes(
    surface: Surface,
    points: Fields,
    faces: Fields,
    binary: bool,
    corner_uv: NDArray[Any] | None = None,
) -> bytes:
    """Return an OBJ file; colours follow the coordinates, texture coordinates are of corners."""
    table = surface.vertices
    if "colors" in points:
        table = np.column_stack([table, unit_colors(points["colors"])[:, :3]])
    text = "# meshconv\n" + rows_text(table, "v ")
    index = (surface.faces + 1).ravel()
    columns, corner = [index], "%d"
    if corner_uv is not None:
        places, which = np.unique(corner_uv.reshape(-1, 2), axis=0, return_inverse=True)
        text += rows_text(places, "vt ")
        columns.append(which.ravel() + 1)
        corner += "/%d"
    if "normals" in points:
        text += rows_text(points["normals"].astype(np.float64), "vn ")
        columns.append(index)
        corner += "//%d" if corner_uv is None else "/%d"
    numbers = np.column_stack(columns).ravel().tolist()
    line = f"f {corner} {corner} {corner}\n"
    return (text + (line * surface.n_faces) % tuple(numbers)).encode()


def off_bytes(surface: Surface, points: Fields, faces: Fields, binary: bool) -> bytes:
    """Return an OFF file, with N and C in its keyword for normals and colours."""
    names = [name for name in ("normals", "colors") if name in points]
    keyword = "C" * ("colors" in points) + "N" * ("normals" in points) + "OFF"
    columns = [
        points[name].astype(np.float64) if name == "normals" else points[name] for name in names
    ]
    text = f"{keyword}\n{surface.n_vertices} {surface.n_faces} 0\n"
    text += mixed_rows([surface.vertices, *columns])
    threes = np.full((surface.n_faces, 1), 3)
    rows = [threes, surface.faces, *([faces["colors"]] if "colors" in faces else [])]
    return (text + mixed_rows(rows)).encode()


def mixed_rows(tables: list[NDArray[Any]]) -> str:
    """Return one line for each row of several tables side by side, each formatted by its own
    type.
    """
    form = " ".join(
        " ".join(
            ["%r" if table.dtype.kind == "f" else "%d"] * table.reshape(len(table), -1).shape[1]
        )
        for table in tables
    )
    columns = [column.tolist() for table in tables for column in table.reshape(len(table), -1).T]
    return "".join([(form + "\n") % row for row in zip(*columns, strict=True)])
