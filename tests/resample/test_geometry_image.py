"""What a geometry image accepts."""

from __future__ import annotations

import numpy as np
import pytest

from meshconv.errors import ArgumentError, ArrayTypeError, NonFiniteError
from meshconv.resample.files import load_image, save_image
from meshconv.resample.geometry_image import GeometryImage

MASK = np.array([[True, True], [True, False]])
GOOD = np.array([[[1.0, 2.0], [3.0, np.nan]], [[4.0, 5.0], [6.0, 7.0]]])


def test_channels_by_name_selection_and_fill():
    image = GeometryImage(GOOD, ["a", "b"], MASK)
    assert image.size == 2 and image["b"].tolist() == [[4, 5], [6, 7]]
    assert image.select(["b", "a"]).names == ("b", "a")
    assert image.filled(0.0).channels[:, 1, 1].tolist() == [0, 0]
    with pytest.raises(ArgumentError, match="no channel 'c'; there are a, b"):
        image["c"]


def test_is_frozen_and_does_not_follow_the_callers_array():
    mine = GOOD.copy()
    image = GeometryImage(mine, ["a", "b"], MASK)
    mine[0, 0, 0] = 99
    assert image["a"][0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        image.channels[0, 0, 0] = 5


def test_refusals():
    with pytest.raises(
        NonFiniteError, match="channel 'a' is nan at row 1, column 1, inside the mask"
    ):
        GeometryImage(GOOD, ["a", "b"], np.ones((2, 2), bool))
    with pytest.raises(ArrayTypeError, match=r"channels must be \(C, N, N\)"):
        GeometryImage(np.zeros((2, 3)), ["a"], MASK)
    with pytest.raises(ArrayTypeError, match="mask must be bool"):
        GeometryImage(GOOD, ["a", "b"], MASK.astype(float))
    with pytest.raises(ArgumentError, match="different names"):
        GeometryImage(GOOD, ["a", "a"], MASK)
    with pytest.raises(ArgumentError, match="N must lie in 2"):
        GeometryImage(np.zeros((1, 1, 1)), ["a"], np.ones((1, 1), bool))


def test_it_prints_in_a_line():
    image = GeometryImage(np.zeros((2, 9, 9)), ["a", "b"], np.ones((9, 9), dtype=bool))
    assert str(image) == "GeometryImage(2 channels of 9 x 9: a, b; 81 nodes on the surface)"


def test_an_image_says_its_detail_wherever_it_goes(tmp_path):
    image = GeometryImage(GOOD, ["a", "b"], MASK, 0.02)
    save_image(tmp_path / "image.npz", image)
    known = load_image(tmp_path / "image.npz")
    assert {one.detail for one in (image.select(["b"]), image.filled(), known)} == {0.02}
    save_image(tmp_path / "image.npz", GeometryImage(GOOD, ["a", "b"], MASK))
    assert load_image(tmp_path / "image.npz").detail is None
