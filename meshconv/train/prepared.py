"""What preparation gives: registered images with all that is known of their scans, and the scans
left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from meshconv._check import FloatArray, IntArray
from meshconv.datasets.on_demand import OnDemand
from meshconv.resample.geometry_image import GeometryImage
from meshconv.resample.image_stack import in_files, some_of
from meshconv.resample.standing import Standing
from meshconv.train.config import PrepareConfig
from meshconv.train.skipped import Skipped


@dataclass(frozen=True, eq=False)
class Prepared(OnDemand[GeometryImage]):
    """Registered images of a population, in one frame.

    Attributes
    ----------
    images : (n, C, N, N) float32
        NaN outside each image's mask. A memory map becomes an `ImageStack`, as `prepare` gives of
        many: images that stay in their files and are read when they are asked for.
    channel_names : tuple of C str
    names, subjects : tuple of n str
        A subject is empty where it is not known.
    labels : (n,) int64
        -1 where a scan came without one.
    kept : (n,) int64
        Which of the given scans each image is of.
    skipped : tuple of Skipped
        The others.
    measures : (n, M) float64, optional
        `meshconv.shape_measures` of each scan, where they were asked for.
    detail : float, optional
        At which positions and normals were taken, see `PrepareConfig`; None where it is not known.
    standings : tuple of n Standing, optional
        How each scan lies in the frame; None where it is not known.
    """

    images: Any
    channel_names: tuple[str, ...]
    names: tuple[str, ...]
    subjects: tuple[str, ...]
    labels: IntArray
    kept: IntArray
    skipped: tuple[Skipped, ...] = ()
    measures: FloatArray | None = None
    detail: float | None = None
    standings: tuple[Standing, ...] | None = None
    _kind = "image"

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", in_files(self.images))

    def __len__(self) -> int:
        return len(self.images)

    def item(self, k: int) -> GeometryImage:
        """Return image k."""
        image = self.images[k]
        mask = np.isfinite(image).all(axis=0)
        return GeometryImage(image, self.channel_names, mask, self.detail)

    def preparation(self, asked: PrepareConfig) -> PrepareConfig:
        """Return how other scans become such images: as was asked, but of the size, the channels
        and the detail that these have, where they say it.
        """
        if self.detail is None:
            return asked
        size = int(self.images.shape[-1])
        return replace(asked, size=size, channels=self.channel_names, detail=self.detail)

    def take(self, rows: ArrayLike) -> Prepared:
        """Return some of the images, in the order of `rows`, with all that is known of them."""
        k = np.asarray(rows, dtype=np.int64)
        names, subjects = (tuple(all_[j] for j in k) for all_ in (self.names, self.subjects))
        return Prepared(
            some_of(self.images, k),
            self.channel_names,
            names,
            subjects,
            self.labels[k],
            self.kept[k],
            measures=None if self.measures is None else self.measures[k],
            detail=self.detail,
            standings=None if self.standings is None else tuple(self.standings[j] for j in k),
        )
