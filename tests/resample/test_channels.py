"""Shape channels: free of pose, right on known shapes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from meshconv.errors import ArgumentError
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.shapes import cap, face, face_coordinates, icosphere
from meshconv.mesh.surface import Surface
from meshconv.resample.channels import channels


def _face(identity: int, triangulation: int = 0) -> Parameterization:
    surface = face(1500, identity=identity, triangulation=triangulation)
    return Parameterization(surface, face_coordinates(1500, triangulation=triangulation), "disk")


def _moved(surface: Surface, seed: int) -> Surface:
    turn = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    return Surface(surface.vertices @ turn.T + [5.0, -3.0, 40.0], surface.faces)


@given(seed=st.integers(0, 1000))
@settings(max_examples=4)
def test_pose_does_not_matter(seed):
    flat, template = _face(1), _face(2, triangulation=5)
    moved = flat.surface.__class__(_moved(flat.surface, seed).vertices, flat.surface.faces)
    for target in (None, template):
        here = channels(flat.surface, flat, target)
        there = channels(moved, Parameterization(moved, flat.coordinates, "disk"), target)
        scale = np.abs(flat.surface.vertices).max()
        for name in (
            "x",
            "y",
            "z",
            "normal_x",
            "log_conformal_factor",
            *(["difference_z"] if target else []),
        ):
            np.testing.assert_allclose(there[name], here[name], atol=1e-9 * scale, err_msg=name)
        for name in ("mean_curvature", "gaussian_curvature", "shape_index"):
            np.testing.assert_allclose(
                there[name], here[name], atol=1e-5 * abs(here[name]).max(), err_msg=name
            )


def test_sphere():
    sphere = icosphere(4, radius=2.0)
    flat = Parameterization(sphere, sphere.vertices / 2.0, "sphere")
    fields = channels(_moved(sphere, 0), None)
    np.testing.assert_allclose(fields["mean_curvature"], 0.5, atol=0.005)
    np.testing.assert_allclose(fields["gaussian_curvature"], 0.25, atol=0.005)
    np.testing.assert_allclose(fields["shape_index"], 1.0, atol=0.1)
    fields = channels(sphere, flat)
    np.testing.assert_allclose(
        fields["log_conformal_factor"], 0.0, atol=1e-12
    )  # the map is a similarity
    position = np.column_stack([fields[axis] for axis in "xyz"])
    normal = np.column_stack([fields[f"normal_{axis}"] for axis in "xyz"])
    np.testing.assert_allclose(position, sphere.vertices, atol=1e-12)
    np.testing.assert_allclose(normal, position / 2, atol=0.01)


def test_log_conformal_factor_of_the_stereographic_map():
    """A cap of the unit sphere from the opposite pole: half the log of the area factor is -log(1 +
    r^2).
    """
    surface = cap(40)
    x, y, z = surface.vertices.T
    flat = Parameterization(surface, np.column_stack([x, y]) / (1 + z)[:, None], "disk")
    found = channels(surface, flat)["log_conformal_factor"]
    r2 = (flat.coordinates**2).sum(axis=1)
    exact = -np.log(1 + r2)
    inner = r2 < 0.9
    np.testing.assert_allclose((found - exact)[inner], np.mean((found - exact)[inner]), atol=0.02)


def test_difference_from_the_template_is_zero_for_itself_and_the_change_for_another():
    template = _face(1)
    size = np.ptp(template.surface.vertices[:, 0])
    same = channels(
        _moved(template.surface, 3),
        Parameterization(_moved(template.surface, 3), template.coordinates, "disk"),
        template,
    )
    own = np.column_stack([same[f"difference_{axis}"] for axis in "xyz"])
    assert np.abs(own).max() < 0.01 * size  # read through an image of 257 nodes
    bump = np.exp(-((template.coordinates - [0.2, 0.1]) ** 2).sum(axis=1) / 0.02)
    pushed = Surface(
        template.surface.vertices + 0.05 * size * bump[:, None] * [0, 0, 1], template.surface.faces
    )
    fields = channels(pushed, Parameterization(pushed, template.coordinates, "disk"), template)
    assert np.corrcoef(fields["difference_z"], bump)[0, 1] > 0.98


def test_where_the_template_has_nothing_the_difference_is_zero():
    scan, template = _face(1), _face(2)
    small = template.with_coordinates(0.7 * template.coordinates)
    fields = channels(scan.surface, scan, small)
    outside = np.linalg.norm(scan.coordinates, axis=1) > 0.75
    assert outside.sum() > 100 and not fields["difference_x"][outside].any()
    assert np.abs(fields["difference_x"][~outside]).max() > 0


def test_refusals():
    one, sphere = _face(1), icosphere(1)
    with pytest.raises(ArgumentError, match="a template needs the parameterization"):
        channels(one.surface, None, one)
    with pytest.raises(ArgumentError, match="the parameterization is of"):
        channels(sphere, one)
    with pytest.raises(ArgumentError, match="the template's domain is sphere, not disk"):
        channels(one.surface, one, Parameterization(sphere, sphere.vertices, "sphere"))
