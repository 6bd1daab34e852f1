"""`Explanation`: one scan's class, and where on it the decision lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from meshconv._check import FloatArray
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.sketch import card, drawing, heat
from meshconv.mesh.surface import Surface
from meshconv.resample.geometry_image import GeometryImage
from meshconv.resample.placed import Placed
from meshconv.resample.resampler import Resampler
from meshconv.train.quality import Quality


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a classifier says of one scan, and where it looked.

    Attributes
    ----------
    name : str
    label : Any
        The predicted class.
    probabilities : dict
        Class -> probability.
    saliency : (V,) float64
        For each vertex of `surface`, 0..1 over the frame.
    placed : Placed
        The scan in the frame: what was mended, how it was fitted, and the way back.
    image : GeometryImage
        What the network saw.
    saliency_image : (N, N) float64
        The saliency on the pixels of the frame, 0..1.
    sampling_grid : (n, n, 2) float64
        Where the network looked: places (u, v) in the unit square.
    method : str
        See `meshconv.saliency.attribute.attribute`.
    quality : Quality or None
        How good the classifier is on subjects it has not seen. Of one that is not better than
        chance neither class nor saliency says anything, whatever its probability.
    """

    name: str
    label: Any
    probabilities: dict[Any, float]
    saliency: FloatArray
    placed: Placed
    image: GeometryImage
    saliency_image: FloatArray
    sampling_grid: FloatArray
    method: str = "density"
    quality: Quality | None = None

    @property
    def surface(self) -> Surface:
        """The scan as it was given, V vertices."""
        return self.placed.given

    @property
    def parameterization(self) -> Parameterization:
        """The mended (and, if it was said to be one, mirrored) scan in the frame."""
        return self.placed.parameterization

    @property
    def resampler(self) -> Resampler:
        """Between pixels and the vertices of the mended scan."""
        return self.placed.resampler

    def _repr_html_(self) -> str:
        """The verdict, and the saliency on the scan, unless it says nothing: for notebooks."""
        quality = self.quality
        at_chance = quality is not None and not quality.better_than_chance
        unit = self.surface.vertices / (np.abs(self.surface.vertices).max() or 1.0)
        colours = None if at_chance else heat(self.saliency)
        rows = [("verdict", str(self)), ("method", self.method)]
        rows += [] if quality is None else [("classifier", str(quality))]
        rows += [] if at_chance else [("class", f"{k}: {p:.1%}") for k, p in self._odds()]
        picture = drawing(unit, self.surface.faces, colours)
        return card(f"Explanation of {self.name}", rows, [picture])

    def _odds(self) -> list[tuple[Any, float]]:
        return sorted(self.probabilities.items(), key=lambda one: -one[1])

    def __str__(self) -> str:
        if self.quality is not None and not self.quality.better_than_chance:
            return f"{self.name}: {self.quality.verdict}"
        return f"{self.name}: {self.label} ({self.probabilities[self.label]:.1%})"
