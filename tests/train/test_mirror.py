import numpy as np
import pytest
import torch

from meshconv import Surface
from meshconv.errors import ArgumentError
from meshconv.mesh.shapes import FACE_MODES, face
from meshconv.registration.template import Template
from meshconv.train.config import CHANNELS, PrepareConfig
from meshconv.train.dataset import Standardizer
from meshconv.train.mirror import FrameMirror
from meshconv.train.prepare import image_of, place_scan
from meshconv.train.scans import as_scan

CONFIG = PrepareConfig(size=33)


def _mirrored(surface):
    return Surface(surface.vertices * [-1, 1, 1], surface.faces[:, ::-1])


def _channels(surface, template):
    return image_of(place_scan(as_scan(surface), template, CONFIG), CONFIG).channels


def _neutral(n=6):
    return Standardizer(np.zeros((n, 33, 33), np.float32), np.ones(n, np.float32))


def _rms(a):
    return np.sqrt((a**2).mean(axis=1))


def test_mirrored_image_is_the_image_of_the_mirrored_scan():
    template = Template.from_surface(face(900))
    scan = face(900, identity=11, effect="cheek_left", size=8.0, triangulation=1)
    images = np.stack([_channels(s, template) for s in (scan, _mirrored(scan))])
    both = np.isfinite(images).all(axis=(0, 1))
    made = FrameMirror.of(template, CHANNELS, _neutral()).mirrored(_neutral()(images))[0].numpy()
    assert (_rms((made - images[1])[:, both]) < 0.03 * _rms((images[0] - images[1])[:, both])).all()


def test_an_asymmetric_template_seen_in_a_mirror_differs_from_itself():
    identity = 0.5 * np.random.default_rng(5).standard_normal(FACE_MODES)
    template = Template.from_surface(face(900, identity=identity))
    seen = image_of(place_scan(as_scan(_mirrored(template.surface)), template, CONFIG), CONFIG)
    mirror = FrameMirror.of(template, CHANNELS[:3], _neutral(3))
    made = mirror.mirrored(torch.zeros(1, 3, 33, 33))[0].numpy()  # the template's own image is zero
    size, error = _rms(seen.channels[:3, seen.mask]), _rms((made - seen.channels[:3])[:, seen.mask])
    assert (size > 0.2).all() and (error < 0.3 * size).all()  # mm
    assert torch.linalg.det(mirror.matrix) == pytest.approx(-1, abs=1e-5)


def test_twice_is_once_and_a_toss_decides():
    template = Template.from_surface(face(900))
    names = ("mean_curvature",)
    standardizer = Standardizer(np.full((1, 33, 33), 2.0, np.float32), np.full(1, 3.0, np.float32))
    mirror = FrameMirror.of(template, names, standardizer)
    v, u = torch.meshgrid(torch.linspace(0, 1, 33), torch.linspace(0, 1, 33), indexing="ij")
    x = (torch.sin(5 * u) + v)[None, None]
    middle = (..., slice(8, 25), slice(8, 25))
    assert (mirror.mirrored(x) - x)[middle].abs().max() > 0.5
    torch.testing.assert_close(
        mirror.mirrored(mirror.mirrored(x))[middle], x[middle], atol=0.05, rtol=0
    )
    many = mirror(x.expand(200, -1, -1, -1), torch.Generator().manual_seed(0))
    turned = (many - x).abs().amax(dim=(1, 2, 3)) > 0.1
    assert 70 < int(turned.sum()) < 130


def test_positions_and_half_vectors_are_refused():
    template = Template.from_surface(face(400))
    one = Standardizer(np.zeros((1, 17, 17), np.float32), np.ones(1, np.float32))
    with pytest.raises(ArgumentError, match="positions cannot be mirrored"):
        FrameMirror.of(template, ("x",), one)
    with pytest.raises(ArgumentError, match="needs all of normal_x"):
        FrameMirror.of(template, ("normal_z",), one)
