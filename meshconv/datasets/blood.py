"""Blood smears with boxes around every cell: for segmentation, for classifying cells, and for
finding a place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meshconv._check import BoolArray, FloatArray, IntArray, one_of
from meshconv.datasets.blood_file import KINDS, read_cell_file
from meshconv.datasets.cut_out import corners_and_boxes, cut_out
from meshconv.datasets.files import find_data
from meshconv.datasets.images import LabelledImages
from meshconv.datasets.on_demand import OnDemand
from meshconv.errors import ArgumentError
from meshconv.stats.split import PARTS, split_indices

_SHARES = (0.6, 0.15)  # train and validation

# Images (by the number in their name) that show one field of view, moved by some pixels: those that
# correlate by more than .8 where they overlap, by a quarter or more. The next best pair (.75) shows
# two fields.
_SAME_FIELD = (
    (19, 20),
    (37, 38),
    (40, 41),
    (107, 108),
    (166, 193),
    (204, 205, 276, 277),
    (206, 278),
    (223, 224, 263, 264),
    (225, 262),
    (226, 261),
    (227, 260),
    (228, 259),
    (229, 258),
    (230, 257),
    (231, 256),
    (232, 255),
    (233, 254),
    (236, 253),
    (237, 252),
    (239, 240),
    (242, 248, 249),
    (243, 250),
    (244, 247),
    (377, 400),
    (381, 397),
    (382, 395),
    (384, 393),
    (386, 391),
)


@dataclass(frozen=True, eq=False)
class CellImage:
    """One smear and what lies where in it.

    Attributes
    ----------
    image : (3, H, W) float32
        Red, green, blue; 0 to 1.
    boxes : (k, 4) float64
        First row, first column, row and column behind the last, in pixels of the image; k objects.
    labels : (k,) int64
        Index into `KINDS`.
    name : str
    """

    image: NDArray[np.float32]
    boxes: FloatArray
    labels: IntArray
    name: str

    def reduced(self, factor: int) -> CellImage:
        """Return the image averaged over squares of `factor` x `factor` pixels, boxes likewise."""
        c, h, w = self.image.shape
        if factor < 1 or h % factor or w % factor:
            raise ArgumentError(f"factor must divide the {h} x {w} pixels, found {factor}")
        blocks = self.image.reshape(c, h // factor, factor, w // factor, factor)
        return CellImage(blocks.mean(axis=(2, 4)), self.boxes / factor, self.labels, self.name)

    def masks(self, size: tuple[int, int] | None = None, *, shape: str = "ellipse") -> BoolArray:
        """Return where each object is, (k, *size).

        Parameters
        ----------
        size : (int, int), optional
            Rows and columns of a grid over the same picture; those of the image if None.
        shape : {'ellipse', 'box'}
            What the box stands for: the ellipse that touches its sides (cells are round), or all of
            it.
        """
        one_of(shape, ("ellipse", "box"), "shape")
        h, w = self.image.shape[1:]
        rows, columns = size or (h, w)
        i0, j0, i1, j1 = self.boxes.T[:, :, None]
        v = ((np.arange(rows) + 0.5) * (h / rows) - (i0 + i1) / 2) / (
            (i1 - i0) / 2
        )  # -1..1 in the box
        u = ((np.arange(columns) + 0.5) * (w / columns) - (j0 + j1) / 2) / ((j1 - j0) / 2)
        if shape == "box":
            return (abs(v) <= 1)[:, :, None] & (abs(u) <= 1)[:, None, :]
        return np.asarray((v**2)[:, :, None] + (u**2)[:, None, :] <= 1)

    def pixel_classes(
        self, size: tuple[int, int] | None = None, *, shape: str = "ellipse"
    ) -> IntArray:
        """Return the class of each pixel, `size`: 0 for none, else the index into `KINDS` plus 1;
        see `masks`.

        Where objects overlap, platelets lie on white cells and these on red ones.
        """
        masks = self.masks(size, shape=shape)
        above = np.where(masks, self.labels[:, None, None] + 1, 0)
        return above.max(axis=0, initial=0)


class BloodCells(OnDemand[CellImage]):
    """364 images of blood smears, 240 x 320 pixels, with 4,886 boxes of red cells, white cells and
    platelets.

    Images are decoded when asked for. Two boxes of red cells have no area; they are left out
    (``left_out``). Some images show the same field of view twice; these always come into the same
    part.

    Parameters
    ----------
    part : {'all', 'train', 'validation', 'test'}
        60, 15 and 25 % of the images. The file does not say which images are of one person.
    reduce : int
        See `CellImage.reduced`.
    seed : int
        Of the split.
    path : Path, optional
        The file, where it is not found by itself.

    Attributes
    ----------
    indices : (n,) int64
        Which images of the file these are.
    left_out : tuple of str
        Boxes of the file without area, each with its image.

    Raises
    ------
    MissingFileError
        If ``bccd_320x240.npz`` is not there.
    ArgumentError, BadFormatError
        If the part is unknown, or the file is another one.
    MissingDependencyError
        If Pillow, which decodes JPEG, is not installed.

    References
    ----------
    BCCD Dataset, https://github.com/Shenggan/BCCD_Dataset (MIT).
    """

    _kind = "image"

    def __init__(
        self, part: str = "all", *, reduce: int = 1, seed: int = 0, path: Path | None = None
    ) -> None:
        one_of(part, PARTS, "part")
        self._file = read_cell_file(path or find_data("bccd_320x240.npz"))
        self._reduce = reduce
        groups = same_field(self._file.names)
        self.indices = split_indices(len(groups), _SHARES, seed=seed, groups=groups)[part]
        self.left_out = self._file.left_out

    def __len__(self) -> int:
        return len(self.indices)

    def item(self, k: int) -> CellImage:
        """Return image k, 0 <= k < len(self)."""
        found = CellImage(*self._file.image(int(self.indices[k])))
        return found if self._reduce == 1 else found.reduced(self._reduce)

    def stacked(
        self, size: tuple[int, int] | None = None, *, shape: str = "ellipse"
    ) -> tuple[NDArray[np.float32], IntArray]:
        """Return images (n, 3, H, W) float32 and the class of each pixel (n, *size) int64; see
        `pixel_classes`.
        """
        pairs = [(one.image, one.pixel_classes(size, shape=shape)) for one in self]
        return np.stack([image for image, _ in pairs]), np.stack([classes for _, classes in pairs])

    def cells(self, size: int = 33, *, window: float | None = None) -> LabelledImages:
        """Return every cell on its own, (n, 3, size, size), labelled with its kind.

        Parameters
        ----------
        size : int
            Pixels per side.
        window : float, optional
            Side of the square cut out, in pixels of the images, so that all are on one scale; 1.2
            times the longer side of each box if None. Beyond the border of the image its last
            pixels are repeated.
        """
        crops: list[NDArray[np.float32]] = []
        labels: list[int] = []
        for one in self:
            middle, sides = (
                (one.boxes[:, :2] + one.boxes[:, 2:]) / 2,
                (one.boxes[:, 2:] - one.boxes[:, :2]).max(axis=1),
            )
            side = 1.2 * sides if window is None else np.full(len(sides), float(window))
            crops += cut_out(one.image, middle - side[:, None] / 2, side, size)
            labels += one.labels.tolist()
        return LabelledImages(np.stack(crops), np.array(labels, dtype=np.int64), KINDS)

    def presence(
        self, kind: str = "Platelets", size: int = 65, *, window: int = 120, seed: int = 0
    ) -> LabelledImages:
        """Return square cut-outs with and without an object of one kind; where it lies is known.

        For every object that fits, one cut-out in which it lies whole, at a random place, and,
        where the image has room for it, one that no object of the kind touches.

        Parameters
        ----------
        kind : {'RBC', 'WBC', 'Platelets'}
        size : int
            Pixels per side.
        window : int
            Side of the cut-out in pixels of the images.
        seed : int
            Of the places.

        Returns
        -------
        images : LabelledImages
            Label 1 is with the object; ``boxes`` is its place (0, 0, 0, 0 without). With several
            objects it is the place of one of them.
        """
        wanted = KINDS.index(one_of(kind, KINDS, "kind"))
        found = []
        for k, one in zip(self.indices, self, strict=True):
            if not 1 <= window <= min(one.image.shape[1:]):
                raise ArgumentError(
                    f"window must lie in 1..{min(one.image.shape[1:])} pixels, found {window}"
                )
            rng = np.random.default_rng([seed, int(k)])
            corners, boxes = corners_and_boxes(
                one.image.shape[1:], one.boxes[one.labels == wanted], window, rng
            )
            crops = cut_out(one.image, corners, np.full(len(corners), float(window)), size)
            found += list(zip(crops, boxes, strict=True))
        if not found:
            raise ArgumentError(f"no {kind} fits a window of {window} pixels")
        places = np.array([box for _, box in found])
        scaled = np.rint(places * (size / window)).astype(np.int64)
        labels = (places[:, 2] > 0).astype(np.int64)
        return LabelledImages(
            np.stack([crop for crop, _ in found]), labels, (f"no {kind}", kind), scaled
        )


def same_field(names: Sequence[str]) -> list[int]:
    """Return a group number for each image name: equal where images are known to show the same
    field of view.
    """
    first = {number: group[0] for group in _SAME_FIELD for number in group}
    numbers = [int(name.rpartition("_")[2].partition(".")[0]) for name in names]
    return [first.get(number, number) for number in numbers]
