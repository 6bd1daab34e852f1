"""How a `Fitted` lies in a file: weights, statistics and frame as arrays, the rest as JSON."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
import torch

import meshconv
from meshconv.errors import CheckpointError, MeshConvError, MeshConvWarning
from meshconv.io.container import Arrays
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.surface import Surface
from meshconv.registration.template import Template
from meshconv.train.checkpoint import read_checkpoint, write_checkpoint
from meshconv.train.config import Settings
from meshconv.train.dataset import Standardizer
from meshconv.train.fitted import Fitted
from meshconv.train.network import new_network
from meshconv.train.progress import Progress
from meshconv.train.quality import Quality
from meshconv.train.scans import Skipped

_KIND = "classifier"


def save_fitted(fitted: Fitted, path: str | PathLike[str]) -> None:
    """Write a trained classifier to one checksummed file that cannot run code.

    Raises
    ------
    MeshIOError
        If the system refuses; the old file is then as it was.
    """
    weights = fitted.network.state_dict().items()
    arrays: Arrays = {f"model.{name}": value.detach().cpu().numpy() for name, value in weights}
    arrays |= {
        "standardizer.mean": fitted.standardizer.mean,
        "standardizer.scale": fitted.standardizer.scale,
    }
    arrays |= {} if fitted.template is None else _template_arrays(fitted.template)
    arrays |= {} if fitted.quality is None else fitted.quality.arrays()
    write_checkpoint(path, arrays, {"kind": _KIND, **_head(fitted)})


def load_fitted(path: str | PathLike[str], *, device: Any = None) -> Fitted:
    """Read a classifier that `save_fitted` wrote, onto a device (the CPU if None).

    Raises
    ------
    MissingFileError, CheckpointError
        If there is none, or it is damaged, foreign, of another version's form or of another kind.

    Warns
    -----
    MeshConvWarning
        If another version of the library wrote it.
    """
    arrays, head = read_checkpoint(path)
    if head.get("kind") != _KIND:
        found = head.get("kind", "a checkpoint of a training run")
        raise CheckpointError(f"this is no classifier but {found}", path=path)
    if head.get("version") != meshconv.__version__:
        text = f"{path}: saved by version {head.get('version')}, this is {meshconv.__version__}"
        warnings.warn(text, MeshConvWarning, stacklevel=2)
    try:
        return _fitted(arrays, head, device)
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"not a classifier that this version can read ({type(error).__name__}: {error})",
            path=path,
            hint="fit it again",
        ) from error


def _head(fitted: Fitted) -> dict[str, Any]:
    template = fitted.template
    return {
        "version": meshconv.__version__,
        "settings": fitted.settings.as_dict(),
        "classes": fitted.classes.tolist(),
        "classes_dtype": fitted.classes.dtype.str,
        "channels": list(fitted.channel_names),
        "subjects": sorted(fitted.subjects),
        "domain": None if template is None else template.parameterization.domain,
        "orientation": None if template is None else template.orientation,
        "head": fitted.head,
        "skipped": [[one.index, one.name, one.reason] for one in fitted.skipped],
        "progress": fitted.progress.as_dict(),
        "quality": None if fitted.quality is None else fitted.quality.as_dict(),
    }


def _fitted(arrays: Arrays, head: Mapping[str, Any], device: Any) -> Fitted:
    settings = Settings.of(head["settings"])
    unlike = sorted({*settings.options()} ^ {*head["settings"]})
    if unlike:
        raise KeyError(f"other settings: {', '.join(unlike)}")
    standardizer = Standardizer(arrays["standardizer.mean"], arrays["standardizer.scale"])
    template = None if head["domain"] is None else _template(arrays, head)
    classes = np.array(head["classes"], dtype=head["classes_dtype"])
    network = new_network(
        settings,
        standardizer.mean.shape,
        n_classes=len(classes),
        head=head["head"],
        in_frame=template is not None,
    )
    weights = {
        name.removeprefix("model."): torch.from_numpy(array.copy())
        for name, array in arrays.items()
        if name.startswith("model.")
    }
    network.load_state_dict(weights)
    return Fitted(
        network.to(device).eval(),
        standardizer,
        classes,
        template,
        settings,
        tuple(head["channels"]),
        head["head"],
        frozenset(head["subjects"]),
        tuple(Skipped(k, name, MeshConvError(why)) for k, name, why in head["skipped"]),
        Progress(**head["progress"]),
        None if head["quality"] is None else Quality.of(head["quality"], arrays),
    )


def _template_arrays(template: Template) -> Arrays:
    flat = template.parameterization
    return {
        "template.vertices": flat.surface.vertices,
        "template.faces": flat.surface.faces,
        "template.coordinates": flat.coordinates,
        "template.landmarks": template.landmarks,
    }


def _template(arrays: Arrays, head: Mapping[str, Any]) -> Template:
    surface = Surface(arrays["template.vertices"], arrays["template.faces"])
    flat = Parameterization(surface, arrays["template.coordinates"], head["domain"])
    return Template(flat, arrays["template.landmarks"], head["orientation"])
