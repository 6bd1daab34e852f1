"""STL corners become shared vertices, and polygons triangles, without moving anything."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from small_files import (
    FACET,
    SQUARE,
    put,
)

from meshconv import errors as e
from meshconv.io import load


def test_stl_corners_are_welded_in_order(tmp_path: Path) -> None:
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, -0.0, 0], [1, 1, 0], [0, 1, 0]], "<f4")
    records = b"".join(
        struct.pack("<3f", 0, 0, 1) + c.tobytes() + b"\0\0" for c in corners.reshape(2, 3, 3)
    )
    header = b"solid it looks like text".ljust(80) + struct.pack("<I", 2)
    surface = load(put(tmp_path, "a.stl", header + records))
    assert surface.vertices.tolist() == SQUARE and surface.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    with pytest.warns(e.LoadWarning, match="3 bytes"):
        assert load(put(tmp_path, "a.stl", header + records + b"abc")) == surface
    text = f"SOLID\n{FACET}ENDSOLID\nsolid facet two\n{FACET.upper()}endsolid facet two\n"
    assert load(put(tmp_path, "b.stl", text)).n_faces == 2


def test_concave_polygons_keep_their_area(tmp_path: Path) -> None:
    arrow = [[0, 0], [4, 0], [4, 4], [3, 1]]  # reflex at the last corner
    comb = [
        [0, 0],
        [7, 0],
        [7, 3],
        [6, 3],
        [6, 1],
        [5, 1],
        [5, 3],
        [4, 3],
        [4, 1],
        [3, 1],
        [3, 3],
        [0, 3],
    ]
    for corners in (arrow, comb):
        for k in range(len(corners)):
            polygon = np.roll(np.array(corners, float), k, axis=0)
            x, y = polygon.T
            area = 0.5 * np.abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
            text = "".join(f"v {a} {b} {a}\n" for a, b in polygon)
            text += "f " + " ".join(str(i + 1) for i in range(len(corners))) + "\n"
            with pytest.warns(e.LoadWarning, match="split"):
                surface = load(put(tmp_path, "a.obj", text))
            assert surface.n_faces == len(corners) - 2
            assert surface.area == pytest.approx(area * 2**0.5, rel=1e-12)  # tilted by 45 degrees
            assert (surface.face_normals @ surface.face_normals[0] > 0.999).all()


def test_polygons_of_any_size_are_split(tmp_path: Path) -> None:
    for size in ("1e308", "1e-308", "1"):
        text = "".join(f"v {x}{size} {y}{size} 0\n" for x, y in ("  ", "- ", "--", " -"))
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            warnings.simplefilter("ignore", e.LoadWarning)
            assert load(put(tmp_path, "a.obj", text + "f 1 2 3 4\n")).faces.tolist() == [
                [0, 1, 2],
                [0, 2, 3],
            ]


def test_big_concave_polygon_is_refused_not_waited_for(tmp_path: Path) -> None:
    n = 60_000
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    radius = 1 + 0.5 * (np.arange(n) % 2)
    rows = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), 0 * angle])
    text = (
        "".join(f"v {x} {y} {z}\n" for x, y, z in rows.tolist())
        + "f "
        + " ".join(map(str, range(1, n + 1)))
    )
    with pytest.raises(e.BadFormatError, match="60000 corners"):
        load(put(tmp_path, "a.obj", text))


def test_tangled_polygon_is_refused_not_waited_for(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).random((3000, 2))
    text = "".join(f"v {x} {y} 0\n" for x, y in rows.tolist())
    text += 4 * ("f " + " ".join(map(str, range(1, 3001))) + "\n")
    with pytest.raises(e.BadFormatError, match="intricate"):
        load(put(tmp_path, "a.obj", text))
