"""How a `Fitted` lies in a file: weights, statistics and frame as arrays, the rest as JSON."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from os import PathLike
from typing import Any

import torch

import meshconv
from meshconv.errors import CheckpointError, MeshConvError, MeshConvWarning
from meshconv.io.container import Arrays
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.surface import Surface
from meshconv.nn.decnn import DECNN
from meshconv.nn.ensemble import Ensemble
from meshconv.registration.frame import Frame
from meshconv.registration.template import Template
from meshconv.train.blend import Blend
from meshconv.train.checkpoint import read_checkpoint, write_checkpoint
from meshconv.train.config import Settings
from meshconv.train.dataset import Standardizer
from meshconv.train.fitted import Fitted
from meshconv.train.measure_quality import MeasureQuality
from meshconv.train.network import new_network
from meshconv.train.progress import Progress
from meshconv.train.quality import Quality
from meshconv.train.reading import Classes, Measures
from meshconv.train.skipped import Skipped

_READINGS: dict[str, Any] = {one.kind: one for one in (Classes, Measures)}
_QUALITIES: dict[str, Any] = {Classes.kind: Quality, Measures.kind: MeasureQuality}


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
    arrays |= {} if fitted.blend is None else fitted.blend.arrays()
    write_checkpoint(path, arrays, _head(fitted))


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
    found = head.get("kind", "a checkpoint of a training run")
    if found not in _READINGS:
        raise CheckpointError(f"this is no classifier but {found}", path=path)
    if head.get("version") != meshconv.__version__:
        text = f"{path}: saved by version {head.get('version')}, this is {meshconv.__version__}"
        warnings.warn(text, MeshConvWarning, stacklevel=2)
    try:
        fitted = _fitted(arrays, head, device)
        again = {**_head(fitted), "version": head.get("version")}
        if json.loads(json.dumps(again)) != head:
            raise ValueError("what it says is not what this version would write")
        return fitted
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise CheckpointError(
            f"not a classifier that this version can read ({type(error).__name__}: {error})",
            path=path,
            hint="fit it again",
        ) from error


def _head(fitted: Fitted) -> dict[str, Any]:
    template = fitted.template
    return {
        "kind": fitted.reading.kind,
        "version": meshconv.__version__,
        "settings": fitted.settings.as_dict(),
        **fitted.reading.as_dict(),
        "channels": list(fitted.channel_names),
        "subjects": sorted(fitted.subjects),
        "domain": None if template is None else template.parameterization.domain,
        "orientation": None if template is None else template.orientation,
        "head": fitted.head,
        "skipped": [[one.index, one.name, one.reason] for one in fitted.skipped],
        "progress": fitted.progress.as_dict(),
        "quality": None if fitted.quality is None else fitted.quality.as_dict(),
        "blend": None if fitted.blend is None else fitted.blend.as_dict(),
    }


def _fitted(arrays: Arrays, head: Mapping[str, Any], device: Any) -> Fitted:
    settings = Settings.of(head["settings"])
    unlike = sorted({*settings.options()} ^ {*head["settings"]})
    if unlike:
        raise KeyError(f"other settings: {', '.join(unlike)}")
    standardizer = Standardizer(arrays["standardizer.mean"], arrays["standardizer.scale"])
    template = None if head["domain"] is None else _template(arrays, head)
    reading = _READINGS[head["kind"]].of(head)
    weights = {
        name.removeprefix("model."): torch.from_numpy(array.copy())
        for name, array in arrays.items()
        if name.startswith("model.")
    }

    def network() -> DECNN | Ensemble:
        return new_network(
            settings,
            standardizer.mean.shape,
            outputs=reading.outputs,
            head=head["head"],
            in_frame=template is not None,
        )

    with torch.device("meta"):  # of the declared sizes, before any memory is taken for them
        declared = {name: value.shape for name, value in network().state_dict().items()}
    if declared != {name: value.shape for name, value in weights.items()}:
        raise ValueError("the weights are of another network than the settings describe")
    trained = network()
    trained.load_state_dict(weights)
    return Fitted(
        trained.to(device).eval(),
        standardizer,
        reading,
        template,
        settings,
        _words(head["channels"], len(standardizer.mean)),
        head["head"],
        frozenset(_words(head["subjects"])),
        _skipped(head["skipped"]),
        _progress(head["progress"]),
        None if head["quality"] is None else _QUALITIES[head["kind"]].of(head["quality"], arrays),
        None if head["blend"] is None else Blend.of(head["blend"], arrays),
    )


def _words(value: list[Any], count: int | None = None) -> tuple[str, ...]:
    """Return a list of words as a tuple; of `count` words, if that is known."""
    if not all(isinstance(word, str) for word in value) or count not in (None, len(value)):
        raise ValueError(f"expected {count or 'only'} words, found {value!r:.80}")
    return tuple(value)


def _skipped(value: list[Any]) -> tuple[Skipped, ...]:
    out = []
    for index, *words in value:
        name, reason = _words(words, 2)
        out.append(Skipped(int(index), name, MeshConvError(reason)))
    return tuple(out)


def _progress(value: dict[str, Any]) -> Progress:
    out = Progress(**value)
    numbers = [*out.losses, *out.validation_losses, out.best_epoch]
    if not all(type(number) in (int, float) for number in numbers):
        raise ValueError("losses that are no numbers")
    return out


def _template_arrays(template: Frame) -> Arrays:
    flat = template.parameterization
    return {
        "template.vertices": flat.surface.vertices,
        "template.faces": flat.surface.faces,
        "template.coordinates": flat.coordinates,
        "template.landmarks": template.landmarks,
        "template.population": template.population,
        "template.rivals": template.rivals,
    }


def _template(arrays: Arrays, head: Mapping[str, Any]) -> Template:
    surface = Surface(arrays["template.vertices"], arrays["template.faces"])
    flat = Parameterization(surface, arrays["template.coordinates"], head["domain"])
    known = arrays["template.population"], arrays["template.rivals"]
    return Template(flat, arrays["template.landmarks"], head["orientation"], *known)
