import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from meshconv import Surface, mass_matrix, shape_measures
from meshconv.errors import ArgumentError, DegenerateError, TopologyError
from meshconv.mesh.shapes import cap, delaunay_sphere, icosphere, torus
from meshconv.stats.peaks import peak_heights
from meshconv.stats.shape_measures import MEASURES
from meshconv.stats.solid import solid_of
from meshconv.stats.sphere_harmonics import harmonic_energies, spherical_harmonics

Z = (0.0, 0.0, 1.0)


def _box(a, b, c, n=8):
    """A box with n x n squares on each side."""
    u = np.linspace(-0.5, 0.5, n + 1)
    points, faces = [], []
    for axis in range(3):
        for side in (-0.5, 0.5):
            p, q = np.meshgrid(u, u, indexing="ij")
            corner = np.empty((p.size, 3))
            corner[:, (axis + 1) % 3], corner[:, (axis + 2) % 3] = p.ravel(), q.ravel()
            corner[:, axis] = side
            start = sum(map(len, points))
            points.append(corner)
            cells = (np.arange(n)[:, None] * (n + 1) + np.arange(n)).ravel() + start
            v = [cells, cells + n + 1, cells + n + 2, cells + 1]
            quads = np.stack(v if side > 0 else v[::-1], axis=1)
            faces += [quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]
    whole = np.vstack(points)
    unique, back = np.unique(whole.round(9), axis=0, return_inverse=True)
    return Surface(unique * [a, b, c], back.ravel()[np.vstack(faces)])


def _spiky(level=4, height=0.5, count=3, width=0.03):
    """A ball with narrow spikes."""
    ball = icosphere(level)
    turns = np.outer(np.arange(count) * 2 * np.pi / count, Z)
    at = Rotation.from_rotvec(turns).apply([1.0, 0.2, 0.1])
    at /= np.linalg.norm(at, axis=1, keepdims=True)
    out = np.exp(-((1 - ball.vertices @ at.T) / width)).sum(axis=1)
    return Surface(ball.vertices * (1 + height * out)[:, None], ball.faces)


def test_a_ball_has_the_values_of_the_catalogue():
    found = shape_measures(icosphere(5, radius=3.0), axis=Z)
    assert found["volume"] == pytest.approx(36 * np.pi, rel=2e-3)
    assert found["area"] == pytest.approx(36 * np.pi, rel=2e-3)
    for name in ("length", "width", "height", "mean_thickness"):
        assert found[name] == pytest.approx(6.0, rel=6e-3)
    ones = [
        "sphericity",
        "convexity",
        "hull_area_ratio",
        "elongation",
        "flatness",
        "section_height",
    ]
    ones += ["ellipsoid_fill", "distance_min", "distance_max", "willmore_fine", "willmore_coarse"]
    ones += ["section_turning_fine_extreme", "section_bending_fine_mean"]
    ones += ["total_curvature_fine", "mean_curvature_fine_q50", "section_compactness_mean"]
    for name in ones:
        assert found[name] == pytest.approx(1.0, abs=4e-3), name
    zeros = ["distance_std", "relief_fine_std", "relief_coarse_std", "conformal_std"]
    zeros += ["concave_fine", "saddle_coarse", "conformal_peaks_10", "section_radius_std_extreme"]
    zeros += [f"conformal_harmonic_{d}" for d in range(2, 9)]
    zeros += ["relief_fine_bump_2", "relief_coarse_dent_sum", "section_closed_200_extreme"]
    zeros += ["section_concave_fine_extreme", "section_relief_high_coarse_extreme"]
    zeros += ["section_opened_65_extreme", "section_opened_depth_45_extreme"]
    for name in zeros:
        assert found[name] == pytest.approx(0.0, abs=2e-3), name
    assert found["thickness_q50"] == pytest.approx(2.0, rel=1e-2)
    assert max(found[f"position_harmonic_{d}"] for d in range(2, 9)) < -6


def test_a_box_has_its_closed_forms():
    a, b, c = 3.0, 2.0, 1.0
    found = shape_measures(_box(a, b, c), axis=Z)
    area, volume = 2 * (a * b + b * c + c * a), a * b * c
    assert found["volume"] == pytest.approx(volume) and found["area"] == pytest.approx(area)
    axes = [found[name] for name in ("length", "width", "height")]
    np.testing.assert_allclose(axes, 2 * np.sqrt(5 / 12) * np.array([a, b, c]))
    assert found["sphericity"] == pytest.approx(np.cbrt(36 * np.pi * volume**2) / area)
    assert found["convexity"] == pytest.approx(1) and found["hull_area_ratio"] == pytest.approx(1)
    assert found["ellipsoid_fill"] == pytest.approx(1 / (4 / 3 * np.pi * (5 / 12) ** 1.5))
    compact = 4 * np.pi * a * b / (2 * (a + b)) ** 2
    for how in ("mean", "largest", "extreme"):
        assert found[f"section_compactness_{how}"] == pytest.approx(compact)
        assert found[f"section_convexity_{how}"] == pytest.approx(1)
    assert found["section_height"] == pytest.approx(c / np.sqrt(4 * a * b / np.pi))


def test_an_ellipsoid_has_its_moments():
    ball = icosphere(5)
    solid = solid_of(Surface(ball.vertices * [1.0, 3.0, 2.0] + [5.0, 6.0, 7.0], ball.faces))
    np.testing.assert_allclose(solid.semiaxes, [3, 2, 1], rtol=2e-3)
    np.testing.assert_allclose(solid.centroid, [5, 6, 7], rtol=1e-12)
    assert solid.volume == pytest.approx(8 * np.pi, rel=3e-3)


def test_a_half_ball_is_closed_by_a_flat_lid():
    found = shape_measures(cap(24, radius=2.0))
    assert found["volume"] == pytest.approx(16 / 3 * np.pi, rel=3e-3)
    assert found["border_length"] == pytest.approx(4 * np.pi, rel=1e-3)
    assert found["area"] == pytest.approx(8 * np.pi, rel=3e-3)
    assert found["hull_area_ratio"] == pytest.approx(1.5, rel=2e-3)
    assert not {"thickness_q50", "position_harmonic_2", "mean_thickness"} & {*found}


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_pose_changes_nothing_and_scale_only_what_has_a_unit(scale):
    surface = _spiky()
    turn = Rotation.from_rotvec([0.3, -1.0, 0.7])
    moved = Surface(scale * surface.vertices @ turn.as_matrix().T + 4 * scale, surface.faces)
    axis = turn.apply(Z)
    before, after = shape_measures(surface, axis=Z), shape_measures(moved, axis=axis)
    assert list(before) == list(after) == [name for name in MEASURES if name in before]
    for name, value in before.items():
        tolerance = 0.03 if name.startswith("section_") else 1e-5  # angles start elsewhere
        if "thickness" in name:
            tolerance = 6e-3  # the search for balls is allowed half a percent
        expected = value * scale ** MEASURES[name].power
        assert after[name] == pytest.approx(expected, rel=tolerance, abs=tolerance), name


def test_other_triangles_change_little():
    found = [shape_measures(_spiky(level, width=0.1)) for level in (4, 5)]
    for name, value in found[1].items():
        if "peaks" in name or "peak_sum" in name:
            continue
        assert found[0][name] == pytest.approx(value, rel=0.12, abs=0.06), name
    uneven = shape_measures(delaunay_sphere(2000, seed=3))
    assert uneven["sphericity"] == pytest.approx(1, abs=5e-3)
    assert uneven["conformal_std"] < 0.01


def test_spikes_are_counted_and_stand_out():
    plain, spiky = shape_measures(icosphere(4)), shape_measures(_spiky(count=5))
    assert spiky["conformal_peaks_25"] == 5 and plain["conformal_peaks_25"] == 0
    assert spiky["conformal_q99"] > 0.3 and spiky["relief_coarse_q99"] > 0.05
    assert spiky["convexity"] < 0.95 and spiky["distance_skewness"] > 1


def test_sections_see_a_star_across_their_axis():
    ball = icosphere(5)
    angle = np.arctan2(ball.vertices[:, 1], ball.vertices[:, 0])
    star = Surface(ball.vertices * (1 + 0.2 * np.cos(7 * angle))[:, None], ball.faces)
    found = shape_measures(star, axis=Z)
    assert found["section_peaks_10_largest"] == 7
    assert found["section_waves_middle_largest"] == pytest.approx(0.1, rel=0.05)
    assert found["section_convexity_largest"] < 0.9


def test_peaks_are_measured_down_to_the_pass():
    field = np.array([0.0, 5.0, 3.0, 4.0, 1.0, 9.0, 8.0])
    edges = np.column_stack([np.arange(6), np.arange(1, 7)])
    assert peak_heights(edges, field).tolist() == [9.0, 4.0, 1.0]
    both = np.vstack([edges, edges + 7])  # two components, one with all of it 1 higher
    assert peak_heights(both, np.append(field, field + 1)).tolist() == [
        10.0,
        9.0,
        4.0,
        4.0,
        1.0,
        1.0,
    ]


def test_harmonics_are_orthonormal_and_their_energy_does_not_turn():
    ball = icosphere(5)
    weights = mass_matrix(ball).diagonal()
    values = spherical_harmonics(ball.vertices, 6)
    np.testing.assert_allclose(values.T * weights @ values, np.eye(49), atol=0.02)
    field = np.random.default_rng(0).normal(size=49) @ values.T
    turned = ball.vertices @ Rotation.from_rotvec([1.0, 2.0, -0.5]).as_matrix().T
    here = harmonic_energies(ball.vertices, field[:, None], weights, 6)
    there = harmonic_energies(turned, field[:, None], weights, 6)
    np.testing.assert_allclose(here, there, rtol=2e-3)
    assert here.sum() == pytest.approx(weights @ field**2, rel=0.01)


def test_refusals():
    with pytest.raises(TopologyError, match="genus 0 or a disk, found 0 boundary loops"):
        shape_measures(torus())
    ball, flat = icosphere(2), cap(4)
    with pytest.raises(TopologyError, match="inside out"):
        shape_measures(Surface(ball.vertices, ball.faces[:, ::-1]))
    with pytest.raises(TopologyError, match="sections need a closed surface"):
        shape_measures(cap(6), axis=Z)
    with pytest.raises(ArgumentError, match="axis must be a direction"):
        shape_measures(icosphere(2), axis=(0, 0, 0))
    with pytest.raises(DegenerateError, match="hull has no volume"):
        shape_measures(Surface(flat.vertices * [1, 1, 0], flat.faces))


def test_coarse_meshes_have_all_measures():
    found = shape_measures(icosphere(1), axis=Z)
    assert np.isfinite(list(found.values())).all() and len(found) == 208
    assert found["sphericity"] > 0.9 and found["conformal_harmonic_2"] < 0.05
