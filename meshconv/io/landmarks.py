"""Landmark files: Slicer's ``.fcsv`` and ``.mrk.json``, MeshLab's ``.pp``."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike, fsdecode
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshconv._check import FloatArray, as_array
from meshconv.errors import (
    ArgumentError,
    ArrayTypeError,
    BadFormatError,
    BadHeaderError,
    BadNumberError,
    MeshConvError,
    UnsupportedFormatError,
)
from meshconv.io.atomic import write_bytes_atomic
from meshconv.io.json_text import parse_json
from meshconv.io.source import read_file, to_utf8
from meshconv.io.tokens import clip
from meshconv.io.xml_tree import parse_xml

_FORMATS = (".fcsv", ".mrk.json", ".pp")
_SYSTEMS = {"0": "RAS", "1": "LPS", "RAS": "RAS", "LPS": "LPS"}  # numbers before Slicer 4.11
_COLUMNS = "id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID"
_DOCTYPE = re.compile(rb"<!DOCTYPE\s+PickedPoints\s*>")


@dataclass(frozen=True, eq=False)
class NamedPoints:
    """Points with names, in the order of a file; an array of (K, 3) to whoever wants one.

    Attributes
    ----------
    names : tuple of str
    points : (K, 3) float64
        NaN for a point that was not placed.
    """

    names: tuple[str, ...]
    points: FloatArray

    def __len__(self) -> int:
        return len(self.points)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.points, dtype)


def load_landmarks(path: str | PathLike[str], *, system: str = "LPS") -> NamedPoints:
    """Return the landmarks in a file of Slicer (``.fcsv``, ``.mrk.json``) or MeshLab (``.pp``).

    Parameters
    ----------
    path : str or PathLike
    system : {"LPS", "RAS"}
        In which coordinates the scan is: Slicer saves surfaces in LPS (x to the left, y to the
        back) unless told otherwise, as scanners do; older versions in RAS. A file of landmarks says
        which it has, and x and y change sign where it is the other. MeshLab has one system only.

    Returns
    -------
    landmarks : NamedPoints
        Goes where ``landmarks=`` is asked for; a point that was not placed is NaN.

    Raises
    ------
    MissingFileError, FolderError, AccessError, EmptyFileError
        If it cannot be read.
    UnsupportedFormatError
        If its name ends in none of the three.
    BadFormatError, BadHeaderError, BadNumberError
        If it is damaged, or says nothing of its coordinates; names the line where it has lines.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "face.fcsv"
    >>> save_landmarks(path, [[1.0, 2.0, 3.0]], names=["nose tip"])
    >>> load_landmarks(path).points.tolist(), load_landmarks(path, system="RAS").points.tolist()
    ([[1.0, 2.0, 3.0]], [[-1.0, -2.0, 3.0]])
    """
    name = fsdecode(path)
    _check_system(system)
    readers: dict[str, Callable[[bytes], tuple[str, list[tuple[str, list[float]]]]]] = {
        ".fcsv": _read_fcsv,
        ".mrk.json": _read_markups,
        ".pp": _read_picked,
    }
    read = readers[_form(name)]
    try:
        found, rows = read(to_utf8(read_file(name), []))
    except MeshConvError as error:
        raise error.at(name).with_traceback(error.__traceback__) from error.__cause__
    points = np.array([point for _, point in rows], np.float64).reshape(-1, 3)
    if found not in ("", system):
        points[:, :2] *= -1.0
    return NamedPoints(tuple(label for label, _ in rows), points + 0.0)


def save_landmarks(
    path: str | PathLike[str],
    points: ArrayLike,
    *,
    names: Sequence[str] | None = None,
    system: str = "LPS",
) -> None:
    """Write landmarks as Slicer (``.fcsv``, ``.mrk.json``) or MeshLab (``.pp``) read them.

    Parameters
    ----------
    path : str or PathLike
        Replaced if it exists, whole or not at all.
    points : (K, 3) array_like
        NaN for one that is missing.
    names : sequence of str, optional
        By default 1, 2, ...
    system : {"LPS", "RAS"}
        In which coordinates they are; Slicer's files say so.

    Raises
    ------
    ArgumentError, ArrayTypeError
        If there are not as many names as points, or the points are not (K, 3).
    UnsupportedFormatError
        If the name ends in none of the three.
    """
    form = _form(fsdecode(path))
    _check_system(system)
    given = as_array(points, "points").astype(np.float64)
    if given.ndim != 2 or given.shape[1] != 3:
        raise ArrayTypeError(f"points must be (K, 3), found {given.shape}")
    labels = [str(k + 1) for k in range(len(given))] if names is None else list(names)
    if len(labels) != len(given):
        raise ArgumentError(f"{len(labels)} names for {len(given)} points")
    write = {".fcsv": _fcsv, ".mrk.json": _markups, ".pp": _picked}[form]
    text = write(list(zip(labels, given.tolist(), strict=True)), system)
    write_bytes_atomic(path, text.encode("utf-8", "replace"))


def is_landmark_file(path: str | PathLike[str]) -> bool:
    """Tell whether a name ends as the three kinds do."""
    return fsdecode(path).lower().endswith(_FORMATS)


def _form(name: str) -> str:
    form = next((one for one in _FORMATS if name.lower().endswith(one)), None)
    if form is None:
        listed = ", ".join(_FORMATS)
        raise UnsupportedFormatError(f"landmarks are read from {listed}", path=name)
    return form


def _check_system(system: str) -> None:
    if system not in ("LPS", "RAS"):
        raise ArgumentError(f"system must be 'LPS' or 'RAS', found {system!r}")


def _system(given: object) -> str:
    found = _SYSTEMS.get(str(given).strip().upper())
    if found is None:
        raise BadHeaderError(f"coordinate system {clip(str(given))} is neither LPS nor RAS")
    return found


def _numbers(given: Sequence[object], line: int | None = None) -> list[float]:
    """Return three numbers, or NaN for all of them if one is none at all."""
    try:
        if any(isinstance(one, bool) for one in given):
            raise TypeError
        out = [float(one) for one in given]  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError) as error:
        found = " ".join(map(str, given))
        raise BadNumberError(f"{clip(found)} is no point", line=line) from error
    if len(out) != 3:
        raise BadNumberError(f"a point of {len(out)} numbers", line=line)
    return out if np.isfinite(out).all() else [np.nan] * 3


def _read_fcsv(data: bytes) -> tuple[str, list[tuple[str, list[float]]]]:
    system, columns = "", _COLUMNS.split(",")
    rows: list[tuple[str, list[float]]] = []
    for line, cells in _lines(data):
        if cells[0].startswith("#"):
            key, _, value = ",".join(cells)[1:].partition("=")
            if key.strip() == "CoordinateSystem":
                system = _system(value)
            elif key.strip() == "columns":
                columns = [one.strip() for one in value.split(",")]
            continue
        row = dict(zip(columns, cells, strict=False))
        if not {"x", "y", "z"} <= row.keys():
            raise BadFormatError(f"a row of {len(cells)} cells, x, y and z missing", line=line)
        rows.append((row.get("label", ""), _numbers([row[axis] for axis in "xyz"], line)))
    if not system:
        raise BadHeaderError("no line '# CoordinateSystem = LPS' (or RAS)")
    return system, rows


def _lines(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines that are not empty as cells; a label in quotes may hold commas."""
    text = data.decode("utf-8", "replace")
    if "\0" in text:
        raise BadFormatError("NUL byte in a text file", hint="the file is damaged or binary")
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise BadFormatError(f"damaged table ({error})", line=reader.line_num) from error


def _fcsv(rows: list[tuple[str, list[float]]], system: str) -> str:
    out = io.StringIO()
    out.write("# Markups fiducial file version = 4.11\n")
    out.write(f"# CoordinateSystem = {system}\n# columns = {_COLUMNS}\n")
    write = csv.writer(out, lineterminator="\n").writerow
    for k, (label, point) in enumerate(rows, start=1):
        visible = int(bool(np.isfinite(point).all()))
        write([k, *map(repr, point), 0, 0, 0, 1, visible, 1, 0, label, "", ""])
    return out.getvalue()


def _read_markups(data: bytes) -> tuple[str, list[tuple[str, list[float]]]]:
    lists = _objects(parse_json(data), "markups")
    if not lists:
        raise BadFormatError("JSON without 'markups'")
    rows: list[tuple[str, list[float]]] = []
    systems = {_system(one.get("coordinateSystem", "LPS")) for one in lists}
    if len(systems) > 1:
        raise BadHeaderError("its lists are in different coordinate systems")
    for one in lists:
        for point in _objects(one, "controlPoints"):
            placed = point.get("positionStatus", "defined") == "defined"
            where = point.get("position") if placed else [np.nan] * 3
            if not isinstance(where, list):
                raise BadNumberError(f"point {len(rows) + 1} has no position")
            rows.append((str(point.get("label", "")), _numbers(where)))
    return systems.pop(), rows


def _objects(parent: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = parent.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise BadFormatError(f"{key!r} is not a list of objects")
    return found


def _markups(rows: list[tuple[str, list[float]]], system: str) -> str:
    points = []
    for k, (label, point) in enumerate(rows, start=1):
        placed = bool(np.isfinite(point).all())
        status = {"positionStatus": "defined" if placed else "undefined"}
        where = point if placed else [0.0, 0.0, 0.0]
        points.append({"id": str(k), "label": label, "position": where, **status})
    schema = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
    schema += "Resources/Schema/markups-schema-v1.0.3.json#"
    markup = {"type": "Fiducial", "coordinateSystem": system, "controlPoints": points}
    return json.dumps({"@schema": schema, "markups": [markup]}, indent=1)


def _read_picked(data: bytes) -> tuple[str, list[tuple[str, list[float]]]]:
    root = parse_xml(_DOCTYPE.sub(b"", data, count=1))  # names a type, and declares nothing
    if root.tag != "PickedPoints":
        raise BadFormatError(f"XML of the kind {clip(root.tag)}, not PickedPoints")
    rows = []
    for node in root.all("point"):
        point = _numbers([node.attributes.get(axis) for axis in "xyz"])
        active = node.attributes.get("active", "1") == "1"
        rows.append((node.attributes.get("name", ""), point if active else [np.nan] * 3))
    return "", rows


def _picked(rows: list[tuple[str, list[float]]], _: str) -> str:
    lines = ["<!DOCTYPE PickedPoints>", "<PickedPoints>"]
    for label, point in rows:
        active = bool(np.isfinite(point).all())
        x, y, z = point if active else (0.0, 0.0, 0.0)
        name = quoteattr(label)
        lines.append(f' <point x="{x!r}" y="{y!r}" z="{z!r}" active="{active:d}" name={name}/>')
    return "\n".join([*lines, "</PickedPoints>", ""])
