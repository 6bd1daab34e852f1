"""Images in files read as the array they are, some at a time."""

from io import FileIO
from pathlib import Path

import numpy as np
import pytest

from meshconv.errors import CheckpointError, MissingFileError
from meshconv.resample import image_stack
from meshconv.resample.image_stack import ImageStack, in_files, some_of


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(12, 2, 5, 5)).astype(np.float32)


@pytest.fixture
def mapped(array: np.ndarray, tmp_path: Path) -> np.memmap:
    np.save(tmp_path / "images.npy", array)
    return np.load(tmp_path / "images.npy", mmap_mode="r")


def test_whatever_is_read_of_it_is_what_the_array_gives(array, mapped):
    stack = in_files(mapped)
    assert isinstance(stack, ImageStack)
    assert (stack.shape, stack.ndim, stack.dtype) == (array.shape, 4, array.dtype)
    assert len(stack) == 12 and stack.nbytes == array.nbytes
    every_third = np.arange(12) % 3 == 0
    keys = [3, -1, slice(2, 9, 3), slice(None, None, -1), [5, 5, 0], every_third, slice(4, 4)]
    keys += [(slice(None), 1), (slice(2, 4), slice(None), slice(1, 3)), (7, 0), np.array([1, 2])]
    for key in keys:
        np.testing.assert_array_equal(stack[key], array[key])
    np.testing.assert_array_equal(np.asarray(stack), array)
    np.testing.assert_array_equal(np.stack([*stack]), array)
    assert np.asarray(stack, dtype=np.float64).dtype == np.float64
    with pytest.raises(IndexError):
        stack[12]


def test_parts_of_maps_and_of_parts_lie_where_they_lie(array, mapped):
    rows = [3, 1, 1, 2]
    for part, expected in (
        (mapped[2:], array[2:]),
        (mapped[1:11:3], array[1:11:3]),
        (mapped[3:][::-2], array[3:][::-2]),
        (mapped[2:].view(), array[2:]),
    ):
        stack = in_files(part)
        assert isinstance(stack, ImageStack)
        np.testing.assert_array_equal(stack[:], expected)
        np.testing.assert_array_equal(stack.take(rows)[:], expected[rows])
    twice = in_files(mapped).take(np.arange(12)[::-1]).take([0, 5])
    np.testing.assert_array_equal(twice[:], array[[11, 6]])


def test_what_lies_in_no_file_as_it_is_stays_an_array(array, mapped, tmp_path):
    private = np.load(tmp_path / "images.npy", mmap_mode="c")
    private[0] = 7  # which the file does not know
    pieces = mapped[:, :, ::2]
    for other in (array, private, pieces, mapped.swapaxes(2, 3), mapped[:, ::-1]):
        assert in_files(other) is other
        np.testing.assert_array_equal(some_of(other, [3, 0]), other[[3, 0]])


def test_a_file_that_was_opened_at_a_place_is_read_from_there(array, tmp_path):
    (tmp_path / "raw").write_bytes(b"head" * 3 + array.tobytes())
    raw = np.memmap(tmp_path / "raw", np.float32, "r", offset=12, shape=array.shape)
    np.testing.assert_array_equal(in_files(raw[5:])[:], array[5:])


def test_files_that_are_gone_or_cut_are_named(mapped, tmp_path):
    stack = in_files(mapped)
    with open(tmp_path / "images.npy", "r+b") as file:
        file.truncate(600)
    with pytest.raises(CheckpointError, match=r"images\.npy.*image 11 is cut short"):
        stack[11]
    (tmp_path / "images.npy").unlink()
    with pytest.raises(MissingFileError, match=r"images\.npy"):
        stack[0]


class _InPieces(FileIO):
    """As a network's file may be: no read gives more than seven bytes."""

    def readinto(self, into):
        return super().readinto(memoryview(into)[:7])


def test_what_comes_in_pieces_is_put_together(array, mapped, monkeypatch):
    monkeypatch.setattr(image_stack, "_opened", _InPieces)
    stack = in_files(mapped)
    assert isinstance(stack, ImageStack)
    np.testing.assert_array_equal(stack[1:3], array[1:3])
