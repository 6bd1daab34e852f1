"""A cheek that swells on one side is found there, in millimetres; scans that are as probable as
their mirror images show nothing, on whatever triangles.
"""

from dataclasses import replace

import numpy as np
import pytest

from meshconv.datasets.procedural import ProceduralFaces
from meshconv.errors import MeshConvError
from meshconv.mesh.shapes import face, face_effect
from meshconv.mesh.surface import Surface
from meshconv.registration.template import Template
from meshconv.resample.resampler import Resampler
from meshconv.train.asymmetry import asymmetry_map
from meshconv.train.config import PrepareConfig

N = 33
CONFIG = PrepareConfig(size=N)


@pytest.fixture(scope="module")
def frame():
    return Template.from_surface(face(900))


def faces(count, millimetres, seed):
    """Every second has a larger left cheek; of the others nothing is asymmetric."""
    return ProceduralFaces(count, "cheek_left", millimetres, n_vertices=400, pose=False, seed=seed)


def test_the_larger_side_is_found(frame):
    some = [scan for scan in faces(16, 6.0, 3) if scan.label == 1]
    found = asymmetry_map(some, frame, config=CONFIG, permutations=200)
    assert found.contrast == "as it is - mirrored" and found.n == 2 * len(some)
    site = Resampler(frame.parameterization, N).to_image(face_effect("cheek_left", 900))
    inside = np.nan_to_num(site.channels[0]) > 0.5
    assert found.significant()[inside].mean() > 0.5
    assert np.nanmean(found.millimetres[inside]) > 1.5  # outwards
    other = inside[:, ::-1]
    assert np.nanmean(found.millimetres[other]) == pytest.approx(
        -np.nanmean(found.millimetres[inside]), rel=0.15
    )


def test_scans_as_probable_as_their_mirror_images_show_nothing(frame):
    """On 400 vertices, where mirroring images instead of scans saw 12 % and more of the area."""
    coin = np.random.default_rng(1)
    some = [
        replace(scan, surface=scan.surface.mirrored()) if coin.random() < 0.5 else scan
        for scan in faces(10, 0.0, 5)
    ]
    found = asymmetry_map(some, frame, config=CONFIG, permutations=200)
    assert np.nanmin(found.p) > 0.05 and not found.significant().any()


def test_it_is_the_scan_that_is_mirrored_back_if_it_is_said_to_be_mirrored(frame):
    """Mirror images that are said to be some are the same scans: the same map to the last bit."""
    some = [scan for scan in faces(8, 6.0, 7) if scan.label == 1]
    turned = [replace(scan, surface=scan.surface.mirrored(), mirrored=True) for scan in some]
    one, two = (
        asymmetry_map(scans, frame, config=CONFIG, permutations=20) for scans in (some, turned)
    )
    assert np.array_equal(one.difference, two.difference, equal_nan=True)


def test_a_scan_that_cannot_be_prepared_is_left_out_with_both_its_images(frame, tmp_path):
    good = [scan.surface for scan in faces(4, 6.0, 9)]
    bad = tmp_path / "nothing.ply"
    found = asymmetry_map(
        [*good, bad], frame, config=CONFIG, on_error="skip", permutations=20, progress=False
    )
    assert found.n == 8
    with pytest.raises(MeshConvError, match=r"nothing\.ply"):
        asymmetry_map([*good, bad], frame, config=CONFIG, permutations=20)
    with pytest.raises(MeshConvError):
        asymmetry_map([Surface(np.eye(3), [[0, 1, 2]])], frame, on_error="skip")
