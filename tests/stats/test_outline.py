"""Outlines of plane sections against closed forms."""

import numpy as np
import pytest

from meshconv import shape_measures
from meshconv.mesh.shapes import icosphere
from meshconv.mesh.surface import Surface
from meshconv.stats.outline import OUTLINE, Outline, outline_values, touching_disks
from meshconv.stats.sections import _sections

Z = (0.0, 0.0, 1.0)


def _polar(radius, n=4000):
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    r = np.broadcast_to(radius(angle), n)
    return np.column_stack([r * np.cos(angle), r * np.sin(angle)])


def _values(corners):
    return dict(zip(OUTLINE, outline_values(Outline.of(corners)), strict=True))


def _rectangle(a, b):
    return np.array([[0, 0], [a, 0], [a, b], [0, b]], dtype=float)


def _ball_with_cones(count, height, width=0.25, level=6):
    """A unit ball with cones around its equator; `width` is the half angle at its centre."""
    points = icosphere(level).vertices
    angle = np.arange(count) * 2 * np.pi / count + 0.1
    at = np.column_stack([np.cos(angle), np.sin(angle), 0 * angle])
    away = np.arccos(np.clip(points @ at.T, -1, 1))
    out = np.maximum(0, 1 - away / width).sum(axis=1)
    return Surface(points * (1 + height * out)[:, None], icosphere(level).faces)


@pytest.mark.parametrize("radius", [1e-3, 1.0, 1e4])
def test_a_disk_has_the_values_of_the_catalogue(radius):
    found = _values(_polar(lambda t: radius + 0 * t))
    for name, value in found.items():
        one = name.startswith(("turning", "bending"))
        assert value == pytest.approx(float(one), abs=0.08 if "bending_coarse" in name else 0.02)
    assert found["bending_coarse"] == pytest.approx(np.exp(0.25**2), rel=2e-3)  # its own shrinking


def test_an_ellipse_bends_as_it_should():
    a, b = 2.0, 1.0
    outline = Outline.of(_polar(lambda t: a * b / np.hypot(b * np.cos(t), a * np.sin(t)), 20000))
    t = np.linspace(0, 2 * np.pi, 100001)
    speed = np.hypot(a * np.sin(t), b * np.cos(t))
    curvature = a * b / speed**3
    assert outline.length == pytest.approx(np.trapezoid(speed, t), rel=1e-4)
    assert outline.radius == pytest.approx(np.sqrt(a * b), rel=1e-5)
    bending = np.trapezoid(curvature**2 * speed, t) / np.trapezoid(speed, t) * a * b
    found = dict(zip(OUTLINE, outline_values(outline), strict=True))
    assert found["turning_fine"] == pytest.approx(1, abs=1e-6)
    assert found["bending_fine"] == pytest.approx(bending, rel=0.02)
    # the disk at the end of the long axis is that of the curvature there, b^2 / a
    curve, first, _ = outline.smoothed(0.0)
    inside, outside = touching_disks(curve, -1j * first / np.abs(first))
    assert inside.min() == pytest.approx(b**2 / a, rel=5e-3)
    assert inside.max() == pytest.approx(b, rel=1e-3) and np.isinf(outside).all()


def test_the_opening_of_a_rectangle_takes_its_corners():
    """An opening with a disk of radius d takes d from both sides of each corner."""
    a, b = 3.0, 2.0
    outline = Outline.of(_rectangle(a, b))
    normal = np.repeat([-1j, 1, 1j, -1], 64)
    side = np.searchsorted([a, a + b, 2 * a + b], np.arange(256) / 256 * 2 * (a + b), side="right")
    inside, outside = touching_disks(outline.points, normal[64 * side])
    for d in (0.2, 0.5, 0.9):
        assert (inside < d).mean() == pytest.approx(8 * d / (2 * (a + b)), abs=0.03)
    assert np.isinf(outside).all()
    found = _values(_rectangle(a, b))
    d = 0.45 * np.sqrt(a * b / np.pi)
    assert found["opened_45"] == pytest.approx(8 * d / (2 * (a + b)), abs=0.05)
    assert found["closed_200"] < 0.02 and found["concave_middle"] < 0.02


def test_a_wave_turns_to_and_fro():
    k, height = 9, 0.15
    found = _values(_polar(lambda t: 1 + height * np.cos(k * t)))
    t = np.linspace(0, 2 * np.pi, 20001)
    r, d, dd = (height * k**n * f(k * t) for n, f in enumerate((np.cos, np.sin, np.cos)))
    r, d, dd = 1 + r, -d, -dd
    speed = np.hypot(r, d)
    curvature = (r**2 + 2 * d**2 - r * dd) / speed**3
    turning = np.trapezoid(np.abs(curvature) * speed, t) / (2 * np.pi)
    assert found["turning_fine"] == pytest.approx(turning, rel=0.2)
    assert found["turning_fine"] > found["turning_middle"] > found["turning_coarse"] >= 0.999
    concave = np.trapezoid((curvature < 0) * speed, t) / np.trapezoid(speed, t)
    assert found["concave_fine"] == pytest.approx(concave, abs=0.05)
    assert found["closed_45"] > 0.2 and found["opened_30"] > 0.2
    assert found["relief_std_coarse"] > 0.5 * height / np.sqrt(2)


def test_nothing_depends_on_where_an_outline_begins_or_which_way_it_is_given():
    corners = _polar(lambda t: 1 + 0.2 * np.cos(3 * t) + 0.1 * np.sin(7 * t), 500)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    first = _values(corners)
    for other in (np.roll(corners, 123, axis=0), corners[::-1], 7 * corners @ turn.T + 3):
        for name, value in _values(other).items():
            assert value == pytest.approx(first[name], abs=0.02), name


def test_the_outline_around_the_largest_area_is_found_among_several():
    """Two balls hang together by a bar below: a plane through both cuts two disks."""
    ball = icosphere(4)
    small = Surface(0.4 * ball.vertices + [3.0, 0, 0], ball.faces)
    both = Surface(
        np.vstack([ball.vertices, small.vertices]),
        np.vstack([ball.faces, small.faces + ball.n_vertices]),
    )
    for cut in _sections(both.vertices, both):
        outline = cut.outline()
        away = np.hypot(*outline.T)
        np.testing.assert_allclose(away, away[0], rtol=0.02)
        assert (outline[:, 0] < 1.1).all()
        around = np.unwrap(np.arctan2(outline[:, 1], outline[:, 0]))
        assert abs(around[-1] - around[0]) > 6 and (np.diff(around) > -1e-9).all()  # in order


@pytest.mark.parametrize("count", [3, 6])
def test_cones_are_opened_bumps_and_stand_out(count):
    width, height = 0.25, 0.6
    plain, spiky = shape_measures(icosphere(4), axis=Z), None
    spiky = shape_measures(_ball_with_cones(count, height, width, level=5), axis=Z)
    # in the plane of the cones their sides are all that no large disk inside touches
    sides = count * 2 * np.hypot(height, width)
    share = sides / (sides + 2 * np.pi - count * 2 * width)
    assert spiky["section_opened_65_extreme"] == pytest.approx(share, abs=0.08)
    assert plain["section_opened_65_extreme"] == 0
    assert spiky["section_relief_high_coarse_extreme"] > 0.1
    bumps = [spiky[f"relief_coarse_bump_{k}"] for k in (2, 3, 4)]
    expected = [k <= count for k in (2, 3, 4)]
    assert [bump > 0.1 for bump in bumps] == expected
    assert spiky["relief_coarse_bump_sum"] == pytest.approx((count - 1) * bumps[0], rel=0.3)
