"""A norm from scans: a changed cheek is found on the scan's own vertices."""

from dataclasses import replace

import numpy as np
import pytest

from meshconv.datasets.procedural import ProceduralFaces
from meshconv.errors import ArgumentError
from meshconv.estimators.norm import NormativeModel
from meshconv.mesh.shapes import face
from meshconv.registration.template import Template
from meshconv.saliency.evaluate import agreement
from meshconv.train.config import CHANNELS, PrepareConfig
from meshconv.train.prepare import prepare
from meshconv.viz.explained import as_explained

SIZE = 33


@pytest.fixture(scope="module")
def norm():
    scans = ProceduralFaces(26, amplitude=0.0, n_vertices=400, seed=1)
    frame = Template.from_surface(face(600))
    return NormativeModel.fit(scans, np.arange(26) % 2, template=frame, size=SIZE)


def test_one_changed_place_is_found_on_the_scan(norm):
    changed = ProceduralFaces(8, "cheek_left", 8.0, n_vertices=400, seed=2)
    areas = []
    for k in (1, 3, 5):
        found = norm.score(changed[k], [0])
        assert found.saliency.shape == found.vertex_z.shape == (changed[k].surface.n_vertices,)
        areas.append(agreement(found.saliency, changed[k].truth).auc)
        assert np.nanmax(found.z) > 3 and "distance from the norm" in str(found)
    assert np.mean(areas) > 0.9
    drawn = as_explained(found)
    assert drawn.name == found.name and drawn.parameterization is not None


def test_scans_and_their_images_are_one_norm(norm):
    scan = ProceduralFaces(1, amplitude=0.0, n_vertices=400, seed=9)[0]
    found = norm.score(scan, [1])
    assert np.nanstd(found.z) < 2 and found.p > 0.02
    images = np.random.default_rng(0).normal(size=(24, 6, 9, 9))
    plain = NormativeModel.fit(images, channels=CHANNELS)
    assert np.isfinite(plain.score(images[0]).z).all()
    with pytest.raises(ArgumentError, match="there is no frame"):
        plain.score(scan)
    with pytest.raises(ArgumentError, match="names of an array"):
        NormativeModel.fit(images)
    with pytest.raises(ArgumentError, match="the norm has 1 covariates"):
        norm.score(scan)


def test_a_scan_is_judged_at_the_detail_of_the_images():
    scans = ProceduralFaces(2, amplitude=0.0, n_vertices=300, seed=4)
    frame = Template.from_surface(face(400))
    rough = prepare(scans, frame, config=PrepareConfig(size=17, detail=0.0))
    many = rough.take([0, 1] * 11)
    noise = np.random.default_rng(0).normal(size=many.images.shape).astype(np.float32)
    many = replace(many, images=many.images + 0.1 * noise, subjects=("",) * 22)
    assert rough.detail == rough[0].detail == many.detail == 0.0
    norm = NormativeModel.fit(many, template=frame)
    assert norm.config.detail == 0.0
    np.testing.assert_allclose(norm.score(scans[1]).z, norm.score(rough.images[1]).z, atol=1e-3)
