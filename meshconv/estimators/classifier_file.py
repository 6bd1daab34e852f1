"""How a fitted `SurfaceClassifier` lies in a file: weights, statistics and frame as arrays, the
rest as JSON.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import meshconv
from meshconv.errors import CheckpointError, MeshConvError, MeshConvWarning
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.surface import Surface
from meshconv.registration.template import Template
from meshconv.train.checkpoint import Arrays, read_checkpoint, write_checkpoint
from meshconv.train.dataset import Standardizer
from meshconv.train.prepared import Skipped

if TYPE_CHECKING:
    from meshconv.estimators.classifier import SurfaceClassifier

_ABSENT = {"direct": False, "emphasis": 0.0}  # in files older than these options
_OF_THIS_MACHINE = {"template", "device", "cache", "checkpoint"}  # the template goes in as arrays


def write_classifier(classifier: SurfaceClassifier, path: str | PathLike[str]) -> None:
    """Write a fitted classifier to one checksummed file."""
    arrays = {
        f"model.{k}": v.detach().cpu().numpy() for k, v in classifier.model_.state_dict().items()
    }
    standard, template = classifier.standardizer_, classifier.template_
    arrays |= {"standardizer.mean": standard.mean, "standardizer.scale": standard.scale}
    arrays |= {} if template is None else _template_arrays(template)
    params = classifier.get_params()
    head = {
        "kind": type(classifier).__name__,
        "version": meshconv.__version__,
        "params": {name: params[name] for name in params if name not in _OF_THIS_MACHINE},
        "classes": classifier.classes_.tolist(),
        "classes_dtype": classifier.classes_.dtype.str,
        "channels": list(classifier.channel_names_),
        "subjects": sorted(classifier.subjects_),
        "domain": None if template is None else template.parameterization.domain,
        "orientation": "any" if template is None else template.orientation,
        "head": classifier.head_,
        "skipped": [[one.index, one.name, one.reason] for one in classifier.skipped_],
    }
    write_checkpoint(path, arrays, head)


def read_classifier(new: SurfaceClassifier, path: str | PathLike[str]) -> None:
    """Fill an unfitted classifier from a file; its own ``device`` is kept."""
    arrays, head = read_checkpoint(path)
    if head.get("kind") != type(new).__name__:
        found = head.get("kind", "a checkpoint of a training run")
        raise CheckpointError(f"this is no {type(new).__name__} but {found}", path=path)
    if head["version"] != meshconv.__version__:
        text = f"{path}: saved by version {head['version']}, this is {meshconv.__version__}"
        warnings.warn(text, MeshConvWarning, stacklevel=3)
    params: dict[str, Any] = (
        _ABSENT | head["params"] | {"channels": tuple(head["params"]["channels"])}
    )
    new.set_params(**params)
    new.classes_ = np.array(head["classes"], dtype=head["classes_dtype"])
    new.channel_names_, new.subjects_ = tuple(head["channels"]), frozenset(head["subjects"])
    new.skipped_ = tuple(
        Skipped(index, name, MeshConvError(why)) for index, name, why in head.get("skipped", ())
    )
    new.head_ = head.get("head", new.head)
    new.n_features_in_ = len(new.channel_names_)
    new.standardizer_ = Standardizer(arrays["standardizer.mean"], arrays["standardizer.scale"])
    new.template_ = new.template = None if head["domain"] is None else _template_from(arrays, head)
    new.model_ = new.network()
    weights = {
        k.removeprefix("model."): torch.from_numpy(v.copy())
        for k, v in arrays.items()
        if "model." in k
    }
    try:
        new.model_.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"the weights do not fit: {error}", path=path) from error
    new.model_.to(new.device).eval()


def _template_arrays(template: Template) -> Arrays:
    flat = template.parameterization
    return {
        "template.vertices": flat.surface.vertices,
        "template.faces": flat.surface.faces,
        "template.coordinates": flat.coordinates,
        "template.landmarks": template.landmarks,
    }


def _template_from(arrays: Arrays, head: Mapping[str, Any]) -> Template:
    surface = Surface(arrays["template.vertices"], arrays["template.faces"])
    flat = Parameterization(surface, arrays["template.coordinates"], head["domain"])
    return Template(flat, arrays["template.landmarks"], head.get("orientation", "any"))
