"""`explain`: one scan's class or measure, and where on it the decision lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from meshconv._check import FloatArray
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.sketch import card, drawing, heat
from meshconv.mesh.surface import Surface
from meshconv.resample.geometry_image import GeometryImage
from meshconv.resample.placed import Placed, quietly_placed, say_doubts
from meshconv.resample.resampler import Resampler
from meshconv.saliency.attribute import attribute, unit_range
from meshconv.saliency.project import to_vertices
from meshconv.train.fitted import Fitted, raw_outputs, read_outputs
from meshconv.train.measure_quality import AnyQuality
from meshconv.train.reading import Classes
from meshconv.train.scan_measures import measures_of
from meshconv.train.scans import as_scan


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a classifier or a regressor says of one scan, and where it looked.

    Attributes
    ----------
    name : str
    label : Any
        The predicted class; of a regressor the predicted measure, a tuple of several.
    probabilities : dict
        Class -> probability; empty of a regressor.
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
    quality : Quality, MeasureQuality or None
        How good the network is on subjects it has not seen. Of one that is not better than
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
    quality: AnyQuality | None = None

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
        upright = self.placed.alignment.pose.directions(self.surface.vertices)
        colours = None if at_chance else heat(self.saliency)
        rows = [("verdict", str(self)), ("method", self.method)]
        rows += [] if quality is None else [("quality", str(quality))]
        rows += [] if at_chance else [("class", f"{k}: {p:.1%}") for k, p in self._odds()]
        picture = drawing(upright, self.surface.faces, colours)
        return card(f"Explanation of {self.name}", rows, [picture])

    def _odds(self) -> list[tuple[Any, float]]:
        return sorted(self.probabilities.items(), key=lambda one: -one[1])

    def __str__(self) -> str:
        if self.quality is not None and not self.quality.better_than_chance:
            return f"{self.name}: {self.quality.verdict}"
        if not self.probabilities:
            values = self.label if isinstance(self.label, tuple) else (self.label,)
            return f"{self.name}: {', '.join(f'{value:.4g}' for value in values)}"
        return f"{self.name}: {self.label} ({self.probabilities[self.label]:.1%})"


def explain(fitted: Fitted, scan: Any, *, method: str = "density") -> Explanation:
    """Return the class (or the measures) of one scan and its saliency on every vertex.

    Parameters
    ----------
    fitted : Fitted
        Trained on scans.
    scan : Scan, Surface, path, or whatever holds a surface
        A scan that is said to be a mirror image is mirrored back.
    method : {'density', 'gradient', 'integrated', 'gradcam', 'landing', 'attention', 'levels'}
        See `meshconv.saliency.attribute.attribute`; of several measures, `gradient` and `gradcam`
        ask about the first.

    Raises
    ------
    ArgumentError
        If the network learned from images: there is no frame to bring a scan into.
    MeshConvError
        If the scan cannot be read, mended or registered.
    """
    frame, given = fitted.frame, as_scan(scan)
    how = fitted.settings.prepare
    placed = quietly_placed(
        given.surface, frame, size=how.size, mend=how.repair, mirror=given.mirrored
    )
    say_doubts([(given.name, placed.doubts)])
    image = placed.image(how.channels, detail=how.detail)
    task = fitted.network.tasks[0] if len(fitted.network.tasks) > 1 else None
    x = fitted.standardizer(image.channels[None].astype(np.float32))
    saliency = unit_range(attribute(fitted.network, x, method=method, task=task)[0])
    label, shares = _said(fitted, placed, image)
    origin = placed.vertex_origin
    return Explanation(
        given.name,
        label,
        shares,
        to_vertices(saliency, placed.resampler, surface=placed.given, vertex_origin=origin),
        placed,
        image,
        saliency,
        _sampled_places(fitted, x),
        method,
        fitted.quality,
    )


def template_saliency(fitted: Fitted) -> FloatArray:
    """Return the population's density on the vertices of the template, (V,), scaled to 0..1.

    Raises
    ------
    ArgumentError
        If the network learned from images: there is no template.
    """
    frame = fitted.frame
    mean = torch.zeros(1, *fitted.standardizer.mean.shape)
    density = unit_range(attribute(fitted.network, mean)[0])
    return to_vertices(density, Resampler(frame.parameterization, density.shape[-1]))


@torch.no_grad()
def _sampled_places(fitted: Fitted, x: torch.Tensor) -> FloatArray:
    """Return where the network looks, (n, n, 2) in the unit square."""
    device = next(fitted.network.parameters()).device
    grid = fitted.network.sampling_grid(x.to(device))[0].double().cpu().numpy()
    return np.asarray((grid + 1) / 2)


def _said(fitted: Fitted, placed: Placed, image: GeometryImage) -> tuple[Any, dict[Any, float]]:
    """Return the class and the probability of each, or the measures."""
    measures = measures_of(placed.surface, fitted.settings.prepare)[None]
    raw = raw_outputs(fitted, image.channels[None].astype(np.float32), measures)
    found = read_outputs(fitted, raw)[0]
    if isinstance(fitted.reading, Classes):
        shares = dict(zip(fitted.classes.tolist(), found.tolist(), strict=True))
        return fitted.classes[found.argmax()], shares
    return (float(found[0]) if fitted.reading.flat else tuple(found.tolist())), {}
