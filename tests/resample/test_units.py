"""Scans in other units of length are converted and said so, or doubted; never in silence."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from meshconv.datasets.scan import Scan
from meshconv.errors import RegistrationWarning
from meshconv.mesh.shapes import face, face_landmarks, icosphere
from meshconv.mesh.surface import Surface
from meshconv.registration.template import Template
from meshconv.resample.placed import place
from meshconv.train.config import PrepareConfig
from meshconv.train.prepare import prepare

ONE = face(500, identity=4)


@pytest.fixture(scope="module")
def frame():
    return Template.from_surface(face(700))


def _scaled(factor):
    return Surface(ONE.vertices * factor, ONE.faces)


@pytest.mark.parametrize("factor", [0.001, 0.1, 1000.0])
def test_images_are_in_the_unit_of_the_frame(factor, frame):
    expected = place(ONE, frame, size=17)
    with pytest.warns(RegistrationWarning, match="another unit of length: converted to the frame"):
        found = place(_scaled(factor), frame, size=17)
    assert found.unit == pytest.approx(1 / factor) and found.given.area < 1e12
    gap = found.image().filled(0.0).channels - expected.image().filled(0.0).channels
    assert np.abs(gap).max() < 1e-6


@pytest.mark.parametrize("factor", [1 / 25.4, 4.0, 0.25])
def test_a_size_that_no_power_of_ten_explains_is_doubted(factor, frame):
    with pytest.warns(RegistrationWarning, match="times as large as the frame"):
        assert place(_scaled(factor), frame, size=17).unit == 1.0


@pytest.mark.parametrize("factor", [0.7, 0.85, 1.2, 1.4])
def test_small_and_large_people_keep_their_size(factor, frame):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RegistrationWarning)
        found = place(_scaled(factor), frame, size=17)
    assert found.unit == 1.0 and not found.doubts
    assert found.surface.area == pytest.approx(ONE.area * factor**2)


def test_landmarks_are_converted_too():
    marks = list(face_landmarks(700).values())
    frame = Template.from_surface(face(700), landmarks=marks)
    own = ONE.vertices[list(face_landmarks(500).values())]
    expected = place(ONE, frame, size=17, landmarks=own).parameterization.coordinates
    with pytest.warns(RegistrationWarning):
        found = place(_scaled(0.01), frame, size=17, landmarks=own * 0.01)
    np.testing.assert_allclose(found.parameterization.coordinates, expected, atol=1e-6)


@pytest.mark.parametrize("cached", [False, True])
def test_prepare_names_the_scans(cached, frame, tmp_path):
    scans = [Scan(_scaled(f), 0, f"p{k}", f"p{k}") for k, f in enumerate((1.0, 0.1, 1.0, 0.04))]
    how = {"config": PrepareConfig(size=17), "cache": tmp_path if cached else None}
    for _ in range(2):  # from the cache, it is said again
        with pytest.warns(RegistrationWarning) as said:
            ready = prepare(scans, frame, **how)
        (text,) = [str(one.message) for one in said]
        assert text.startswith("2 of 4 scans") and "p1: it is in another" in text and "p3:" in text
        assert "p0" not in text and "p2" not in text
    np.testing.assert_allclose(ready.images[1], ready.images[0], atol=1e-5)


@pytest.mark.parametrize(
    ("factor", "doubted"), [(0.2, False), (5.0, False), (0.1, True), (1e3, True)]
)
def test_closed_surfaces_keep_their_size(factor, doubted):
    ball = icosphere(3)
    frame = Template.from_surface(ball)
    bumpy = ball.vertices * (1.0 + 0.1 * ball.vertices[:, :1]) * [1.0, 0.9, 0.8]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", RegistrationWarning)
        found = place(Surface(bumpy * factor, ball.faces), frame, size=17)
    assert found.unit == 1.0
    assert any("times as large" in str(one.message) for one in said) == doubted


def test_scans_of_one_name_are_each_said(frame):
    scans = [Scan(_scaled(f), 0, "twin", "twin") for f in (0.1, 1.0)]
    with pytest.warns(RegistrationWarning, match="^1 of 2 scans should"):
        prepare(scans, frame, config=PrepareConfig(size=17))


def test_a_frame_of_another_population_does_not_take_its_doubts_from_the_cache(frame, tmp_path):
    """The images are alike; what is usual for the population, by which a fit is doubted, is not."""
    scans = [Scan(ONE, 0, "anna", "anna")]
    strict = replace(frame, population=np.tile([1.0, 1.0, 1e-6, 1.0, 0.0], (8, 1)))
    said = []
    for one in (frame, strict, frame):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always", RegistrationWarning)
            prepare(scans, one, config=PrepareConfig(size=17), cache=tmp_path)
        said.append([str(each.message) for each in found])
    assert said[0] == said[2] == [] and "unlike the scans" in said[1][0]
