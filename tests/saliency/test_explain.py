"""What a trained network says of a scan, whatever way round it was given."""

from dataclasses import replace

import numpy as np
import pytest

from meshconv import Surface
from meshconv.datasets.procedural import ProceduralFaces
from meshconv.errors import ArgumentError
from meshconv.io import save
from meshconv.mesh.shapes import face
from meshconv.registration.template import Template
from meshconv.saliency.explain import explain, template_saliency
from meshconv.train.config import Settings
from meshconv.train.fit import fit
from meshconv.train.fitted import predict
from meshconv.train.fitted_file import load_fitted, save_fitted
from meshconv.train.inputs import as_prepared
from meshconv.train.prepare import prepare

SETTINGS = Settings.of({"size": 33, "network_size": 9, "epochs": 6})


@pytest.fixture(scope="module")
def fitted():
    frame = Template.from_surface(face(500))
    faces = ProceduralFaces(12, "cheek_left", 12.0, n_vertices=300, seed=1)
    prepared = prepare(faces, frame, config=SETTINGS.prepare, progress=False)
    return fit(prepared, prepared.labels, SETTINGS, template=frame)


@pytest.fixture(scope="module")
def scan():
    return ProceduralFaces(2, "cheek_left", 12.0, n_vertices=300, seed=2)[1]


def _in_a_mirror(scan):
    points, faces = scan.surface.vertices * [-1, 1, 1], scan.surface.faces[:, ::-1]
    return replace(scan, surface=Surface(points, faces))


def test_a_scan_that_is_said_to_be_mirrored_is_explained_as_what_it_is(fitted, scan):
    straight, turned = explain(fitted, scan), _in_a_mirror(scan)
    said = explain(fitted, replace(turned, mirrored=True))
    unsaid = explain(fitted, turned)
    assert np.nanmedian(np.abs(said.image.channels - straight.image.channels)) < 1e-3
    assert said.probabilities[1] == pytest.approx(straight.probabilities[1], abs=0.01)
    np.testing.assert_allclose(said.saliency, straight.saliency, atol=0.02)  # on its own vertices
    assert np.nanmedian(np.abs(unsaid.image.channels - straight.image.channels)) > 0.1
    assert abs(unsaid.probabilities[1] - straight.probabilities[1]) > 0.05


def test_it_says_what_prediction_says_in_whatever_form_the_scan_comes(fitted, scan, tmp_path):
    save(tmp_path / "scan.ply", scan.surface)
    shares = predict(fitted, prepare([scan.surface], **fitted.preparation))[0]
    for given, name in (
        (scan, scan.name),
        (scan.surface, "scan"),
        (tmp_path / "scan.ply", str(tmp_path / "scan.ply")),
        ((scan.surface.vertices, scan.surface.faces), "scan"),
    ):
        found = explain(fitted, given)
        assert found.name == name
        np.testing.assert_allclose(list(found.probabilities.values()), shares, atol=1e-4)


def test_without_a_frame_nothing_can_be_explained():
    images = np.random.default_rng(0).random((4, 1, 9, 9))
    settings = Settings.of({"network_size": 5, "epochs": 1})
    bare = fit(as_prepared(images), [0, 1, 0, 1], settings)
    for refused in (lambda: explain(bare, face(120)), lambda: template_saliency(bare)):
        with pytest.raises(ArgumentError, match="fitted on images"):
            refused()


@pytest.mark.parametrize(
    ("backbone", "method"),
    [("dynamic_stride", "landing"), ("adaptive", "levels"), ("recalibration", "attention")],
)
def test_what_layers_did_comes_back_to_the_vertices_from_a_file_too(
    backbone, method, scan, tmp_path
):
    frame = Template.from_surface(face(500))
    faces = ProceduralFaces(8, "cheek_left", 12.0, n_vertices=300, seed=1)
    settings = Settings.of({**SETTINGS.options(), "backbone": backbone, "verdict": 0})
    prepared = prepare(faces, frame, config=settings.prepare, progress=False)
    fitted = fit(prepared, prepared.labels, settings, template=frame)
    save_fitted(fitted, tmp_path / "model.npz")
    found = explain(fitted, scan, method=method)
    assert found.saliency.shape == (scan.surface.n_vertices,) and np.isfinite(found.saliency).all()
    assert np.ptp(found.saliency) == pytest.approx(1.0, abs=0.3)
    again = explain(load_fitted(tmp_path / "model.npz"), scan, method=method)
    np.testing.assert_allclose(again.saliency, found.saliency, atol=1e-6)
    assert again.probabilities == pytest.approx(found.probabilities)
