"""Squares cut out of a picture, around what is in it and around nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray
from meshconv.errors import ArgumentError


def corners_and_boxes(
    shape: tuple[int, ...], boxes: FloatArray, window: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return corners of cut-outs and the box in each: those around objects, then as many without
    any.
    """
    room = np.array(shape) - window
    corners, inside = [], []
    for box in boxes:
        low, high = np.maximum(np.ceil(box[2:] - window), 0), np.minimum(np.floor(box[:2]), room)
        if (low <= high).all():
            corner = rng.integers(low.astype(int), high.astype(int) + 1)
            corners.append(corner)
            inside.append(box - np.tile(corner, 2))
    tried = rng.integers(0, room + 1, (50 * len(corners), 2))
    touching = np.all(
        (tried[:, None] < boxes[:, 2:]) & (tried[:, None] + window > boxes[:, :2]), axis=2
    )
    free = tried[~np.any(touching, axis=1)][: len(corners)]
    return (
        np.array([*corners, *free], dtype=np.float64).reshape(-1, 2),
        np.array([*inside, *np.zeros((len(free), 4))]).reshape(-1, 4),
    )


def cut_out(
    image: NDArray[np.float32], corners: FloatArray, sides: FloatArray, size: int
) -> Iterator[NDArray[np.float32]]:
    """Yield squares of an image (3, H, W), each sampled on `size` x `size` pixels."""
    from PIL import Image

    if size < 1:
        raise ArgumentError(f"size must be at least 1, found {size}")
    margin = int(np.ceil(sides.max(initial=0))) + 1
    padded = np.pad(image, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    channels = [Image.fromarray(np.ascontiguousarray(channel)) for channel in padded]
    for (row, column), side in zip(corners + margin, sides, strict=True):
        box = (column, row, column + side, row + side)
        planes = [
            channel.resize((size, size), Image.Resampling.BILINEAR, box=box) for channel in channels
        ]
        yield np.clip(np.stack([np.asarray(plane) for plane in planes]), 0, 1)
