"""From images to tensors: centred on the mean of the training images, in units of their spread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meshconv.errors import ArrayTypeError
from meshconv.resample.image_stack import ImageStack
from meshconv.train.two_stage import Images

_BLOCK = 16  # images worked on at once


@dataclass(frozen=True, eq=False)
class Standardizer:
    """What to subtract and divide by; from the training images alone.

    Attributes
    ----------
    mean : (C, N, N) float32
        The mean image: positions become differences from the mean surface. NaN where no training
        image has a value.
    scale : (C,) float32
        Standard deviation of each channel about it, over all pixels.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]

    @classmethod
    def fit(cls, images: Any) -> Standardizer:
        """Return the mean and spread of images (n, C, N, N), NaN left out; gone through in
        blocks.
        """
        total, count = np.zeros(images.shape[1:]), np.zeros(images.shape[1:], dtype=np.int64)
        for part in _blocks(images):
            there = np.isfinite(part)
            total += np.where(there, part, 0).sum(axis=0, dtype=np.float64)
            count += there.sum(axis=0)
        mean = total / np.maximum(count, 1)
        square = np.zeros(images.shape[1])
        for part in _blocks(images):
            square += (np.where(np.isfinite(part), part - mean, 0) ** 2).sum(axis=(0, 2, 3))
        spread = np.sqrt(square / np.maximum(count.sum(axis=(1, 2)), 1))
        mean[count == 0] = np.nan  # nothing is known of it: it says nothing later on either
        floor = 1e-6 * np.maximum(np.nan_to_num(np.abs(mean)).max(axis=(1, 2)), 1e-30)
        return cls(
            mean.astype(np.float32), np.where(spread > floor, spread, 1.0).astype(np.float32)
        )

    def __call__(self, images: NDArray[Any]) -> Tensor:
        """Return images (n, C, N, N) as a float32 tensor; what is outside a mask, or all of them,
        becomes the mean, 0.

        Raises
        ------
        ArrayTypeError
            If images are of another shape, or one has an infinite value or no value at all.
        """
        if images.shape[1:] != self.mean.shape:
            raise ArrayTypeError(
                f"images must be (n, {', '.join(map(str, self.mean.shape))}), found {images.shape}"
            )
        out = np.empty(images.shape, dtype=np.float32)
        for k, part in enumerate(_blocks(images)):
            _refuse(part, k * _BLOCK)
            scaled = (part - self.mean) / self.scale[:, None, None]
            out[k * _BLOCK :][: len(part)] = np.where(np.isfinite(scaled), scaled, 0)
        return torch.from_numpy(out)

    def of(self, images: Any) -> Images:
        """Return images as a tensor; those of an `ImageStack` as what gives some of them as one."""
        return StandardizedStack(images, self) if isinstance(images, ImageStack) else self(images)


class StandardizedStack:
    """Images in files, standardized when they are asked for: a tensor in all that training and
    prediction read of one.
    """

    def __init__(self, images: ImageStack, standardizer: Standardizer) -> None:
        self._images, self._standardizer = images, standardizer
        self.shape, self.ndim = images.shape, images.ndim

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, rows: Any) -> Tensor:
        return self._standardizer(self._images[rows])


def _blocks(images: Any) -> Iterator[NDArray[Any]]:
    return (images[k : k + _BLOCK] for k in range(0, len(images), _BLOCK))


def _refuse(images: NDArray[Any], first: int) -> None:
    """Refuse an image that has an infinite value, or nothing in its mask; `first` is the number of
    the first.
    """
    pixels = images.reshape(len(images), -1)
    infinite, empty = np.isinf(pixels).any(axis=1), np.isnan(pixels).all(axis=1)
    for bad, what in ((infinite, "an infinite value"), (empty, "no value inside its mask")):
        numbers = (first + np.flatnonzero(bad)).tolist()
        if numbers:
            raise ArrayTypeError(
                f"image {numbers[0]} has {what}", indices=numbers, count=len(numbers)
            )
