"""What a notebook shows: pictures that are right pixel by pixel, text that is escaped."""

from __future__ import annotations

import io
import re
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image

import meshconv as mc
from meshconv.mesh.shapes import annulus, disk, face, icosphere
from meshconv.mesh.sketch import DARK, LIGHT, SIDE, card, drawing, heat


def pixels(png: bytes) -> np.ndarray:
    """An image as any reader of PNG sees it."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=int)


def pictures(html: str) -> list[np.ndarray]:
    return [pixels(b64decode(one)) for one in re.findall("base64,([^']*)'", html)]


def test_a_disk_is_drawn_as_a_disk() -> None:
    flat = disk(20)
    seen = pixels(drawing(flat.vertices, flat.faces, flat=True))
    assert seen.shape == (SIDE, SIDE, 3)
    row, column = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    radius = np.hypot(row, column) / (0.48 * SIDE)
    assert (seen[radius > 1.03] == 255).all()
    assert (seen[radius < 0.97] == LIGHT).all(axis=1).mean() > 0.995


def test_what_is_nearer_hides_what_is_behind() -> None:
    flat = disk(12)
    n = flat.n_vertices
    far = flat.vertices * [1, 1, 0]
    near = far * 0.5 + [0, 0, 1]
    red, blue = np.tile([255.0, 0, 0], (n, 1)), np.tile([0, 0, 255.0], (n, 1))
    both = np.vstack([flat.faces, flat.faces + n])
    seen = pixels(drawing(np.vstack([far, near]), both, np.vstack([red, blue]), flat=True))
    middle = SIDE // 2
    assert tuple(seen[middle, middle]) == (0, 0, 255)
    assert tuple(seen[middle, middle + int(0.36 * SIDE)]) == (255, 0, 0)


def test_the_checkerboard_has_sixteen_squares_a_unit() -> None:
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    seen = pixels(drawing(square, np.array([[0, 1, 2], [0, 2, 3]]), square[:, :2], flat=True))
    line = (seen[SIDE // 2 + 2, :, 0] == DARK[0]).astype(int)
    inside = line[int(0.03 * SIDE) : int(0.97 * SIDE)]
    assert (np.diff(inside) != 0).sum() == 15


@pytest.mark.parametrize("scale", [1e-120, 1.0, 1e120])
def test_a_picture_does_not_depend_on_the_unit(scale: float) -> None:
    ball = icosphere(2)
    html = mc.Surface(ball.vertices * scale, ball.faces)._repr_html_()
    assert np.array_equal(pictures(html)[0], pictures(ball._repr_html_())[0])


def test_heat_runs_from_nothing_to_all() -> None:
    assert heat(np.array([0.0, 0.25, 1.0])).tolist() == [
        [232, 228, 223],
        [246, 213, 92],
        [107, 15, 26],
    ]


def test_text_is_escaped() -> None:
    html = card("<script>", [("a & b", "<b>")])
    assert "<script>" not in html and "a &amp; b" in html and "&lt;b&gt;" in html


def test_a_surface_shows_its_counts_and_faults() -> None:
    clean, ring = face(300), annulus(4, 20)
    assert "none at a glance" in clean._repr_html_() and "331, 600" in clean._repr_html_()
    assert "1, 2" in ring._repr_html_()
    two = mc.Surface(
        np.vstack([ring.vertices, ring.vertices + 9, [[0, 0, 0]]]),
        np.vstack([ring.faces, ring.faces[:, ::-1] + ring.n_vertices]),
    )
    html = two._repr_html_()
    assert "several components, vertices in no face: meshconv.check says more" in html


def test_a_map_shows_the_checkerboard_twice() -> None:
    flat = mc.conformal_map(face(600))
    html = flat._repr_html_()
    on_surface, in_disk = pictures(html)
    assert (on_surface != 255).any() and ((in_disk == DARK).all(axis=2)).mean() > 0.25
    assert "0 folds" in html and len(html) < 40_000
    assert len(pictures(mc.conformal_map(icosphere(2), domain="sphere")._repr_html_())) == 2


def test_a_report_shows_every_fault() -> None:
    report = mc.check(annulus(4, 20))
    html = report._repr_html_()
    assert "2 boundary loops" in html and "fault" in html
    assert "<td style='text-align:left'>none</td>" in mc.check(face(300))._repr_html_()
