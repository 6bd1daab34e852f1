"""`Placed` gives what the separate calls give, finds nothing twice, and comes back to the scan."""

import numpy as np
import pytest

from meshconv import Resampler, Surface, channels, fit_template, place, repair
from meshconv.errors import ArgumentError
from meshconv.mesh.shapes import face
from meshconv.registration.template import Template
from meshconv.resample import alignment
from meshconv.resample import channels as channels_module


@pytest.fixture(scope="module")
def template() -> Template:
    return Template.from_surface(face(700))


@pytest.fixture(scope="module")
def scan() -> Surface:
    """With a vertex in no face, so that mending moves the numbers."""
    one = face(500, identity=3, triangulation=1)
    return Surface(np.vstack([[[9.0, 9.0, 9.0]], one.vertices]), one.faces + 1)


def test_it_equals_the_separate_calls(template, scan):
    placed = place(scan, template, size=33)
    flat = fit_template(repair(scan).surface, template).parameterization()
    np.testing.assert_array_equal(placed.parameterization.coordinates, flat.coordinates)
    fields = channels(flat.surface, flat, template)
    image = Resampler(flat, 33).to_image(fields)
    mine = placed.image()
    assert mine.names == image.names == tuple(fields)
    np.testing.assert_array_equal(mine.channels, image.channels)


def test_the_way_back_is_known(template, scan):
    placed = place(scan, template, size=17)
    assert placed.given is scan
    np.testing.assert_array_equal(scan.vertices[placed.vertex_origin], placed.surface.vertices)
    bare = place(repair(scan).surface, template, size=17, mend=False)
    assert bare.vertex_origin is None and bare.repaired is None


def test_the_alignment_is_a_rigid_motion_found_once(template, scan, monkeypatch):
    placed = place(scan, template, size=17)
    first = placed.alignment
    monkeypatch.setattr(alignment, "align", None)
    assert placed.alignment is first
    fields = placed.channels(["difference_x", "difference_y", "difference_z"])
    moved = first.pose.points(first.position)
    gap = np.where(first.covered[:, None], moved - first.target, 0)
    np.testing.assert_array_equal(np.column_stack(list(fields.values())), gap)
    # no small turn or shift brings the scan nearer: the residual is orthogonal to all of them
    weight = alignment.vertex_areas(placed.surface) * first.covered
    assert np.abs(weight @ gap).max() < 1e-9 * weight.sum() * template.size
    spin = weight @ np.cross(moved - weight @ moved / weight.sum(), gap)
    assert np.abs(spin).max() < 1e-9 * weight.sum() * template.size**2


def test_only_what_is_asked_for_is_computed(template, scan, monkeypatch):
    placed = place(scan, template, size=17)
    every = placed.channels()
    monkeypatch.setattr(channels_module, "principal_curvatures", None)
    asked = ("normal_z", "difference_x", "log_conformal_factor")
    some = placed.channels(asked)
    assert tuple(some) == asked
    for name in asked:
        np.testing.assert_array_equal(some[name], every[name])
    flat = placed.parameterization
    np.testing.assert_array_equal(
        channels(flat.surface, flat, template, names=asked)["normal_z"], every["normal_z"]
    )


def test_a_channel_that_is_not_there_is_refused_by_name(template, scan):
    placed = place(scan, template, size=17)
    with pytest.raises(ArgumentError, match="no channel 'thickness'; there are x, y, z, normal_x"):
        placed.image(["x", "thickness"])
    with pytest.raises(ArgumentError, match="no channel 'difference_x'"):
        channels(placed.surface, placed.parameterization, names=["difference_x"])
