"""The file of blood cells: JPEG pictures one after the other, and a table of boxes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray, IntArray
from meshconv.errors import BadFormatError, MissingDependencyError

KINDS = ("RBC", "WBC", "Platelets")


@dataclass(frozen=True, eq=False)
class CellFile:
    """What the file holds, pictures still packed."""

    names: tuple[str, ...]
    jpeg: NDArray[np.uint8]
    starts: IntArray  # (n + 1,)
    image_of: IntArray  # (boxes,), as labels and boxes
    labels: IntArray
    boxes: FloatArray  # first row, first column, row and column behind the last
    left_out: tuple[str, ...]

    def image(self, k: int) -> tuple[NDArray[np.float32], FloatArray, IntArray, str]:
        """Return pixels (3, H, W), boxes, labels and name of image k."""
        mine = self.image_of == k
        pixels = _decoded(self.jpeg[self.starts[k] : self.starts[k + 1]].tobytes(), self.names[k])
        return pixels, self.boxes[mine], self.labels[mine], self.names[k]


def _decoded(data: bytes, name: str) -> NDArray[np.float32]:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependencyError(
            "Pillow is needed to decode JPEG", hint="pip install pillow"
        ) from error
    try:
        rgb = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=np.float32)
    except OSError as error:
        raise BadFormatError(f"image {name} cannot be decoded ({error})") from error
    return np.ascontiguousarray(rgb.transpose(2, 0, 1)) / np.float32(255)


@cache
def read_cell_file(path: Path) -> CellFile:
    """Read ``bccd_320x240.npz``; boxes without area are left out and listed."""
    try:
        with np.load(path, allow_pickle=False) as data:
            rows: Any = data["boxes"].astype(np.float64)
            names, jpeg, starts = (
                tuple(data["names"].tolist()),
                data["jpeg"],
                data["ptr"].astype(np.int64),
            )
            if tuple(data["classes"].tolist()) != KINDS or rows.ndim != 2 or rows.shape[1] != 6:
                raise BadFormatError(f"classes must be {KINDS} and boxes have 6 columns", path=path)
    except (KeyError, ValueError) as error:
        if isinstance(error, BadFormatError):
            raise
        raise BadFormatError(f"not the file of blood cells ({error})", path=path) from error
    flat = (rows[:, 4] <= rows[:, 2]) | (rows[:, 5] <= rows[:, 3])
    left_out = tuple(
        f"{KINDS[int(row[1])]} in {names[int(row[0])]} at ({row[2]:g}, {row[3]:g})"
        for row in rows[flat]
    )
    kept = rows[~flat]
    labels, image_of = kept[:, 1].astype(np.int64), kept[:, 0].astype(np.int64)
    return CellFile(names, jpeg, starts, image_of, labels, kept[:, [3, 2, 5, 4]], left_out)
