"""A cheek that swells on one side is found there, in millimetres; symmetric scans are symmetric."""

import numpy as np
import pytest

from meshconv.datasets.procedural import ProceduralFaces
from meshconv.mesh.shapes import face, face_effect
from meshconv.registration.template import Template
from meshconv.resample.resampler import Resampler
from meshconv.train.asymmetry import asymmetry_map, mirrored_images
from meshconv.train.config import CHANNELS, PrepareConfig
from meshconv.train.prepare import prepare

N = 33


@pytest.fixture(scope="module")
def frame():
    return Template.from_surface(face(900))


@pytest.fixture(scope="module")
def ready(frame):
    """Every second face has a larger left cheek; of the others nothing is asymmetric."""
    faces = ProceduralFaces(20, "cheek_left", 6.0, n_vertices=400, pose=False, seed=3)
    return prepare(faces, frame, config=PrepareConfig(size=N))


def test_the_larger_side_is_found(ready, frame):
    found = asymmetry_map(ready.take(np.arange(1, 20, 2)), frame, permutations=200)
    assert found.contrast == "as it is - mirrored" and found.n == 20
    site = Resampler(frame.parameterization, N).to_image(face_effect("cheek_left", 900))
    inside = np.nan_to_num(site.channels[0]) > 0.5
    assert found.significant()[inside].mean() > 0.5
    assert np.nanmean(found.millimetres[inside]) > 1.5  # outwards
    other = inside[:, ::-1]
    assert np.nanmean(found.millimetres[other]) == pytest.approx(
        -np.nanmean(found.millimetres[inside]), rel=0.15
    )


def test_symmetric_faces_show_nothing(ready, frame):
    found = asymmetry_map(ready.take(np.arange(0, 20, 2)), frame, permutations=100)
    sure = found.significant()
    assert sure.mean() < 0.1 and "as it is - mirrored" in str(found)
    assert np.abs(found.millimetres[sure]).max(initial=0.0) < 0.7


def test_a_mirror_image_of_a_mirror_image_is_the_image(ready, frame):
    once = mirrored_images(ready.images, frame, CHANNELS)
    twice = mirrored_images(once, frame, CHANNELS)
    both = np.isfinite(twice)
    error = (twice - ready.images)[both]
    assert both.mean() > 0.4 and np.sqrt((error**2).mean()) < 0.2 * np.nanstd(ready.images)
