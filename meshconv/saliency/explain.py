"""How a trained network explains a scan, and its population."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from meshconv._check import FloatArray
from meshconv.resample.resampler import Resampler
from meshconv.saliency.attribute import attribute, unit_range
from meshconv.saliency.explanation import Explanation
from meshconv.saliency.project import to_vertices
from meshconv.train.fitted import Fitted
from meshconv.train.loop import predict_logits
from meshconv.train.prepare import image_of, place_scan
from meshconv.train.scans import as_scan


def explain(fitted: Fitted, scan: Any, *, method: str = "density") -> Explanation:
    """Return the class of one scan and its saliency on every vertex.

    Parameters
    ----------
    fitted : Fitted
        Trained on scans.
    scan : Scan, Surface, path, or whatever holds a surface
        A scan that is said to be a mirror image is mirrored back.
    method : {'density', 'gradient', 'gradcam', 'landing', 'attention', 'levels'}
        See `meshconv.saliency.attribute.attribute`.

    Raises
    ------
    ArgumentError
        If the network learned from images: there is no frame to bring a scan into.
    MeshConvError
        If the scan cannot be read, mended or registered.
    """
    frame, given = fitted.frame, as_scan(scan)
    placed = place_scan(given, frame, fitted.settings.prepare)
    image = image_of(placed, fitted.settings.prepare)
    x = fitted.standardizer(image.channels[None].astype(np.float32))
    saliency = unit_range(attribute(fitted.network, x, method=method)[0])
    logits = predict_logits(fitted.network, x)[0].double()
    shares = torch.softmax(logits / fitted.temperature, dim=0).numpy()
    origin = placed.vertex_origin
    return Explanation(
        given.name,
        fitted.classes[shares.argmax()],
        dict(zip(fitted.classes.tolist(), shares.tolist(), strict=True)),
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
