import numpy as np
import pytest
import torch

from meshconv import Surface
from meshconv.errors import ArgumentError
from meshconv.maps.template import Template
from meshconv.mesh.shapes import face
from meshconv.train.config import CHANNELS, PrepareConfig
from meshconv.train.dataset import Standardizer
from meshconv.train.mirror import FrameMirror
from meshconv.train.prepare import place

CONFIG = PrepareConfig(size=33)


def _mirrored(surface):
    return Surface(surface.vertices * [-1, 1, 1], surface.faces[:, ::-1])


@pytest.mark.parametrize("identity", [None, 5], ids=["symmetric template", "asymmetric template"])
def test_mirrored_image_is_the_image_of_the_mirrored_scan(identity):
    template = Template.from_surface(face(900, identity=identity))
    scan = face(900, identity=11, effect="cheek_left", size=8.0, triangulation=1)
    images = np.stack([place(s, template, CONFIG).image.channels for s in (scan, _mirrored(scan))])
    standardizer = Standardizer(np.zeros((6, 33, 33), np.float32), np.ones(6, np.float32))
    mirror = FrameMirror.of(template, CHANNELS, standardizer)
    both = np.isfinite(images).all(axis=(0, 1))
    made = mirror.mirrored(standardizer(images))[0].numpy()
    found, wanted, unmoved = (np.nan_to_num(a)[:, both] for a in (made, images[1], images[0]))
    error = np.median(np.abs(found - wanted), axis=1) / np.median(np.abs(unmoved - wanted), axis=1)
    assert (error < 0.35).all()  # of the difference that mirroring makes


def test_twice_is_once_and_a_toss_decides():
    template = Template.from_surface(face(900))
    names = ("mean_curvature",)
    standardizer = Standardizer(np.full((1, 33, 33), 2.0, np.float32), np.full(1, 3.0, np.float32))
    mirror = FrameMirror.of(template, names, standardizer)
    v, u = torch.meshgrid(torch.linspace(0, 1, 33), torch.linspace(0, 1, 33), indexing="ij")
    x = (torch.sin(5 * u) + v)[None, None]
    middle = (..., slice(8, 25), slice(8, 25))
    assert (mirror.mirrored(x) - x)[middle].abs().max() > 0.5
    torch.testing.assert_close(mirror.mirrored(mirror.mirrored(x))[middle], x[middle], atol=0.05, rtol=0)
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
