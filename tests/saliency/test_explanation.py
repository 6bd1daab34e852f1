"""What an explanation shows in a notebook: the verdict, and a map only where there is one."""

from __future__ import annotations

import io
import re
from base64 import b64decode
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import meshconv as mc
from meshconv.mesh.shapes import face, face_effect
from meshconv.saliency.explain import Explanation


def explanation(quality: Any) -> Explanation:
    """Of a face whose nose decides."""
    still = face(600)
    turned = mc.Surface(still.vertices[:, [1, 2, 0]] * 3 + 500, still.faces)
    placed = mc.place(turned, mc.Template.from_surface(face(400)), size=17)
    image = placed.image(["difference_z"])
    field = np.zeros((17, 17))
    return Explanation(
        "<anna>",
        "case",
        {"control": 0.2, "case": 0.8},
        face_effect("nose_tip", 600),
        placed,
        image,
        field,
        np.zeros((5, 5, 2)),
        quality=quality,
    )


def reddish(html: str) -> int:
    """Pixels that are no grey."""
    (png,) = re.findall("base64,([^']*)'", html)
    seen = np.asarray(Image.open(io.BytesIO(b64decode(png))).convert("RGB"), dtype=int)
    return int((seen[..., 0] - seen[..., 2] > 60).sum())


def test_the_scan_stands_upright_whatever_its_pose() -> None:
    """The nose, which decides, is in the middle; the face is higher than wide."""
    (png,) = re.findall("base64,([^']*)'", explanation(None)._repr_html_())
    seen = np.asarray(Image.open(io.BytesIO(b64decode(png))).convert("RGB"), dtype=int)
    rows, columns = np.nonzero((seen != 255).any(axis=2))
    assert np.ptp(rows) > 1.2 * np.ptp(columns)
    red = np.argwhere(seen[..., 0] - seen[..., 2] > 60).mean(axis=0) / len(seen)
    assert abs(red[1] - 0.5) < 0.1 and 0.35 < red[0] < 0.65


@pytest.mark.parametrize("better", [True, False])
def test_a_map_is_shown_only_of_what_is_better_than_chance(better: bool) -> None:
    words = "better than chance (AUC .9)" if better else "not better than chance (AUC .5)"
    quality = SimpleNamespace(better_than_chance=better, verdict=words)
    html = explanation(quality)._repr_html_()
    assert words in html and "&lt;anna&gt;" in html and "<anna>" not in html
    assert (reddish(html) > 100) == better and ("case: 80.0%" in html) == better


def test_without_a_measured_quality_the_map_is_shown() -> None:
    assert reddish(explanation(None)._repr_html_()) > 100
