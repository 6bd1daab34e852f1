"""Scans that are asked about become such images as were learned from, whatever was asked for."""

import numpy as np
import pytest

from meshconv.datasets.procedural import ProceduralFaces
from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.estimators.classifier import SurfaceClassifier
from meshconv.mesh.shapes import face
from meshconv.registration.template import Template
from meshconv.resample.placed import place
from meshconv.train.config import PrepareConfig
from meshconv.train.prepare import prepare

NAMES = ("difference_z", "normal_x", "normal_z")
OPTIONS = {"network_size": 9, "epochs": 2, "verdict": 0}


@pytest.fixture(scope="module")
def frame():
    return Template.from_surface(face(400))


@pytest.fixture(scope="module")
def scans():
    return ProceduralFaces(6, "cheek_left", 6.0, n_vertices=300)


@pytest.fixture(scope="module")
def fitted(frame, scans):
    """From images of no detail, by a classifier that was told nothing of them."""
    rough = prepare(scans, frame, config=PrepareConfig(size=17, channels=NAMES, detail=0.0))
    return rough, SurfaceClassifier(template=frame, **OPTIONS).fit(rough)


def test_scans_become_such_images_as_were_learned_from(fitted, scans):
    rough, model = fitted
    np.testing.assert_array_equal(model.prepared(scans).images, rough.images)
    np.testing.assert_array_equal(model.predict_proba(scans), model.predict_proba(rough))
    assert model.explain(scans[0]).image.names == NAMES


def test_single_images_say_how_they_were_made_as_well(frame, scans):
    images = [place(scan.surface, frame, size=17).image(NAMES, detail=0.02) for scan in scans]
    model = SurfaceClassifier(template=frame, **OPTIONS).fit(images, [0, 1] * 3)
    found = model.prepared(scans)
    assert (found.channel_names, found.detail, found.images.shape[-1]) == (NAMES, 0.02, 17)
    np.testing.assert_allclose(found.images, [one.channels for one in images], atol=1e-4)
    mixed = [images[0], place(scans[1].surface, frame, size=17).image(NAMES)]
    with pytest.raises(ArrayTypeError, match=r"image 1 has .* detail 0.0, image 0 .* 0.02"):
        model.predict(mixed)


@pytest.mark.parametrize("other", [{"detail": 0.006}, {"channels": NAMES[::-1]}])
def test_images_made_otherwise_are_refused(fitted, frame, scans, other):
    config = PrepareConfig(**{"size": 17, "channels": NAMES, "detail": 0.0, **other})
    images = prepare(scans[:2], frame, config=config)
    with pytest.raises(ArgumentError, match=r"at detail .*, learned from difference_z"):
        fitted[1].predict(images)


def test_what_says_nothing_is_taken_as_it_is(fitted):
    rough, model = fitted
    bare = np.nan_to_num(rough.images)
    assert model.predict_proba(bare).shape == (6, 2)
