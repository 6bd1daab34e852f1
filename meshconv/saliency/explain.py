"""How a fitted `SurfaceClassifier` explains a scan, and its population."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from meshconv._check import FloatArray
from meshconv.datasets.scan import Scan
from meshconv.io import as_surface
from meshconv.mesh.surface import Surface
from meshconv.registration.template import Template
from meshconv.resample.resampler import Resampler
from meshconv.saliency.attribute import attribute, unit_range
from meshconv.saliency.explanation import Explanation
from meshconv.saliency.project import to_vertices
from meshconv.train.config import PrepareConfig
from meshconv.train.loop import predict
from meshconv.train.prepare import place
from meshconv.train.reading import ScanLike

if TYPE_CHECKING:
    from meshconv.estimators.classifier import SurfaceClassifier


def explanation(
    classifier: SurfaceClassifier,
    scan: ScanLike,
    template: Template,
    config: PrepareConfig,
    method: str,
) -> Explanation:
    """Return the class of one scan and its saliency, see `SurfaceClassifier.explain`."""
    given = scan.surface if isinstance(scan, Scan) else as_surface(scan)
    name = (
        scan.name if isinstance(scan, Scan) else "scan" if isinstance(scan, Surface) else str(scan)
    )
    placed = place(given, template, config, mirrored=isinstance(scan, Scan) and scan.mirrored)
    model, classes = classifier.model_, classifier.classes_
    x = classifier.standardizer_(placed.image.channels[None].astype(np.float32))
    saliency = unit_range(attribute(model, x, method=method)[0])
    origin = None if placed.repaired is None else placed.repaired.vertex_origin
    with torch.no_grad():
        grid = model.sampling_grid(x.to(classifier.device))[0].double().cpu().numpy()
    shares = torch.softmax(predict(model, x)[0].double(), dim=0).numpy()
    return Explanation(
        name,
        classes[shares.argmax()],
        dict(zip(classes.tolist(), shares.tolist(), strict=True)),
        to_vertices(saliency, placed.resampler, surface=given, vertex_origin=origin),
        given,
        placed.parameterization,
        placed.image,
        saliency,
        (grid + 1) / 2,
        placed.resampler,
        method,
    )


def template_saliency(classifier: SurfaceClassifier, template: Template) -> FloatArray:
    """Return the population's density on the vertices of the template, see
    `SurfaceClassifier.template_saliency`.
    """
    mean = torch.zeros(1, *classifier.standardizer_.mean.shape)
    density = unit_range(attribute(classifier.model_, mean)[0])
    return to_vertices(density, Resampler(template.parameterization, density.shape[-1]))
