"""Plain image sets, for the same networks: MNIST, PneumoniaMNIST, and digits lost in clutter with a
known place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meshconv._check import IntArray, one_of
from meshconv.datasets.files import find_data
from meshconv.errors import ArgumentError

_CLUTTER, _PIECE = 8, 9  # pieces of other digits, and their side, in pixels


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images with classes.

    Attributes
    ----------
    images : (n, C, N, N) float32
        0 (black) to 1; one channel, or red, green, blue.
    labels : (n,) int64
    classes : tuple of str
    boxes : (n, 4) int64, optional
        Where the object is: first row, first column, row and column behind the last.
    """

    images: NDArray[np.float32]
    labels: IntArray
    classes: tuple[str, ...]
    boxes: IntArray | None = None

    def __len__(self) -> int:
        return len(self.images)


def mnist(split: str = "train") -> LabelledImages:
    """Return MNIST, 60,000 (train) or 10,000 (test) digits of 28 x 28, in the original order.

    Raises
    ------
    MissingFileError
        If ``mnist.npz`` is not there; see `meshconv.datasets.files`.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner, 1998. doi:10.1109/5.726791
    """
    return _read("mnist.npz", one_of(split, ("train", "test"), "split"), tuple("0123456789"))


def pneumonia_mnist(split: str = "train") -> LabelledImages:
    """Return PneumoniaMNIST, 4,708 / 524 / 624 chest X-rays of 28 x 28 (the official split).

    The file's training images are sorted by class; here they come shuffled, always in the same way.

    Raises
    ------
    MissingFileError
        If ``pneumoniamnist.npz`` is not there.

    References
    ----------
    Yang et al., 2023, MedMNIST v2. doi:10.1038/s41597-022-01721-8. Kermany et al., 2018.
    doi:10.1016/j.cell.2018.02.010
    """
    found = _read(
        "pneumoniamnist.npz",
        one_of(split, ("train", "val", "test"), "split"),
        ("normal", "pneumonia"),
    )
    order = np.random.default_rng(0).permutation(len(found))
    return LabelledImages(found.images[order], found.labels[order], found.classes)


def cluttered_mnist(
    n: int, split: str = "train", *, size: int = 60, seed: int = 0
) -> LabelledImages:
    """Return digits of 28 x 28 at random places among pieces of other digits, on `size` x `size`
    pixels.

    Parameters
    ----------
    n : int
        Number of images.
    split : {'train', 'test'}
        Which digits they are made of.
    size : int
        Pixels per side, at least 28.
    seed : int

    References
    ----------
    Mnih et al., 2014, arXiv 1406.6247 (the task).
    """
    if n < 1 or size < 28:
        raise ArgumentError(f"n must be at least 1 and size at least 28, found {n} and {size}")
    digits = mnist(split)
    rng = np.random.default_rng([seed, split == "test"])
    which, corners = rng.integers(0, len(digits), n), rng.integers(0, size - 27, (n, 2))
    images = np.zeros((n, 1, size, size), dtype=np.float32)
    for k in range(n):
        _add_clutter(images[k, 0], digits.images[:, 0], rng)
        _add(images[k, 0], digits.images[which[k], 0], corners[k])
    return LabelledImages(
        images, digits.labels[which], digits.classes, np.hstack([corners, corners + 28])
    )


def _add_clutter(
    canvas: NDArray[np.float32], digits: NDArray[np.float32], rng: np.random.Generator
) -> None:
    for digit in rng.integers(0, len(digits), _CLUTTER):
        i, j = rng.integers(4, 24 - _PIECE, 2)
        piece = digits[digit, i : i + _PIECE, j : j + _PIECE]
        _add(canvas, piece, rng.integers(0, len(canvas) - _PIECE + 1, 2))


def _add(canvas: NDArray[np.float32], piece: NDArray[np.float32], corner: IntArray) -> None:
    """Lay a piece on the canvas in place; the brighter wins."""
    (i, j), (h, w) = corner, piece.shape
    view = canvas[i : i + h, j : j + w]
    np.maximum(view, piece, out=view)


def _read(file: str, split: str, classes: tuple[str, ...]) -> LabelledImages:
    with np.load(find_data(file), allow_pickle=False) as data:
        images, labels = data[f"{split}_images"], data[f"{split}_labels"]
    return LabelledImages(
        images[:, None].astype(np.float32) / 255, labels.astype(np.int64).ravel(), classes
    )
