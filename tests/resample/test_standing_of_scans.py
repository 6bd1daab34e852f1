"""`Standing`: a scan as it came lands where its registration put it, without being registered."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from meshconv import Scan, Surface, Template
from meshconv.mesh.shapes import face
from meshconv.resample.placed import Placed, quietly_placed
from meshconv.resample.standing import Standing
from meshconv.train.config import PrepareConfig
from meshconv.train.prepare import prepare

TURN = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
TURN *= np.sign(np.linalg.det(TURN))


@pytest.fixture(scope="module")
def frame() -> Template:
    return Template.from_surface(face(500))


def _placed(frame: Template, case: str) -> Placed:
    scan = face(400, identity=3)
    points = scan.vertices @ TURN.T + [5.0, -2.0, 9.0]
    if case == "of another unit":
        points = points / 1000
    if case == "mirror image":
        return quietly_placed(
            Surface(points * [-1, 1, 1], scan.faces[:, ::-1]),
            frame,
            size=17,
            mend=True,
            mirror=True,
        )
    given = Surface(points, scan.faces[:, ::-1] if case == "inside out" else scan.faces)
    return quietly_placed(given, frame, size=17, mend=case != "not mended")


@pytest.mark.parametrize(
    "case", ["moved", "of another unit", "mirror image", "inside out", "not mended"]
)
def test_the_scan_as_it_came_lands_where_it_was_placed(frame: Template, case: str) -> None:
    placed = _placed(frame, case)
    told = json.loads(json.dumps(placed.standing.as_dict()))
    stood = Standing.from_dict(told).surface(placed.given)
    expected = placed.fit.pose.points(placed.fit.upright.vertices)
    np.testing.assert_allclose(stood.vertices, expected, atol=1e-9 * frame.size)
    assert (np.sort(stood.faces, 1) == np.sort(placed.fit.upright.faces, 1)).all()
    # on the template, and its normals with those of the template
    nearest = np.linalg.norm(stood.vertices[:, None] - frame.surface.vertices, axis=2).argmin(1)
    along = (stood.vertex_normals * frame.surface.vertex_normals[nearest]).sum(1)
    assert np.median(along) > 0.9
    assert placed.standing.doubts == placed.doubts


@pytest.mark.parametrize("bad", [np.zeros((3, 3)), np.full((3, 4), np.nan)])
def test_a_transform_that_is_none_is_refused(bad: np.ndarray) -> None:
    good = Standing(np.eye(3, 4), False, 1.0, ())
    with pytest.raises(ValueError, match="transform"):
        Standing.from_dict(replace(good, transform=bad).as_dict())


def test_a_cache_keeps_it(frame: Template, tmp_path) -> None:
    no = np.False_  # as a table's column gives it
    scans = [Scan(face(400, identity=k), 0, str(k), "", mirrored=no) for k in range(3)]
    fresh, found = (
        prepare(scans, frame, config=PrepareConfig(size=17), cache=tmp_path) for _ in range(2)
    )
    for one, two in zip(fresh.standings, found.standings, strict=True):
        assert one.as_dict() == two.as_dict()
    taken = found.take([2, 0])
    assert [one.as_dict() for one in taken.standings] == [
        found.standings[k].as_dict() for k in (2, 0)
    ]
