"""The models of a benchmark: DECNN, the same network without a density, and its opponents, all
fitted alike.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import meshconv as mc
from meshconv._check import FloatArray
from meshconv.benchmark.linear import chosen_pixels, kernel_machine, principal_components
from meshconv.benchmark.measured import (
    harmonic,
    measured_logistic,
    measured_model,
    measured_trees,
    scale_free,
)
from meshconv.benchmark.opponents import ResNet, SaliencySampler
from meshconv.benchmark.raw_recipes import RECIPES
from meshconv.benchmark.raw_scans import raw_network
from meshconv.benchmark.task import Part, Task
from meshconv.benchmark.trained import ATTRIBUTED, Images, Model, Trained, mean_maps
from meshconv.benchmark.tuned import four_times, tuned
from meshconv.benchmark.where import WHERE
from meshconv.errors import ArgumentError
from meshconv.nn.seeding import seeded
from meshconv.saliency.attribute import attribute
from meshconv.train.config import TrainConfig
from meshconv.train.dataset import Standardizer
from meshconv.train.loop import predict_logits, train
from meshconv.train.prepared import Prepared

_UNALIGNED: dict[str, Any] = {"density": "sample", "ratio": 30.0}


def decnn(task: Task, seed: int, epochs: int, *, trial: bool = False, **options: Any) -> Trained:
    """`SurfaceClassifier` on the task's images; ``density='uniform'``: the plain network on the
    same grid. A trial is asked for probabilities alone.
    """
    own: dict[str, Any] = {"density": "auto"} if task.aligned else _UNALIGNED
    if not task.aligned and task.template is None:
        own = own | {"head": "mean+max"}  # pictures share no places
    chosen = own | options
    if chosen["density"] != "auto" or trial:  # the benchmark tests
        chosen = {"verdict": 0} | chosen
    model = mc.SurfaceClassifier(
        size=task.size,
        template=task.template,
        seed=seed,
        epochs=epochs,
        variation=task.variation,
        **chosen,
    )
    start = time.process_time()
    model.fit(_known(task.train), task.train.labels)
    seconds = time.process_time() - start
    methods: tuple[str, ...] = ("integrated", "gradient", "gradcam")
    if chosen["density"] != "uniform":
        methods = ("density", *methods)

    def explained(images: Images) -> dict[str, FloatArray]:
        x = model.standardizer_(images)
        return {method: attribute(model.model_, x, method=method) for method in methods}

    def densities(images: Images) -> FloatArray:
        return attribute(model.model_, model.standardizer_(images))

    return Trained(
        lambda part: model.predict_proba(_known(part)),
        _size(model),
        epochs,
        seconds,
        {} if trial else mean_maps(explained, task.test.images),
        explained,
        densities if chosen["density"] == "sample" else None,
    )


def point_sampled(
    task: Task, seed: int, epochs: int, *, network_size: int, width: int = 8
) -> Trained:
    """The plain network on every so many-th pixel, instead of averages over area."""
    step = max(1, round((task.size - 1) / (network_size - 1)))
    model = mc.SurfaceClassifier(
        size=(task.size - 1) // step + 1,
        network_size=network_size,
        width=width,
        seed=seed,
        epochs=epochs,
        variation=task.variation,
        verdict=0,
        **PLAIN,
    )
    start = time.process_time()
    model.fit(_prepared(task.train.images[..., ::step, ::step]), task.train.labels)
    seconds = time.process_time() - start
    return Trained(
        lambda part: model.predict_proba(_prepared(part.images[..., ::step, ::step])),
        _size(model),
        epochs,
        seconds,
    )


def _prepared(images: Images) -> Prepared:
    """Return images as preparation gives them: NaN outside a mask is allowed."""
    n = len(images)
    names = tuple(f"channel {k}" for k in range(images.shape[1]))
    return Prepared(images, names, ("",) * n, ("",) * n, np.full(n, -1), np.arange(n))


def _known(part: Part) -> Prepared:
    """Return the images of a part with what is known of them."""
    found = replace(_prepared(part.images), measures=part.measures)
    return found if part.subjects is None else replace(found, subjects=part.subjects)


def _size(model: mc.SurfaceClassifier) -> int:
    """Parameters that take part: a network without a density has none of it."""
    unused = "members.uniform.density."
    return sum(
        p.numel() for name, p in model.model_.named_parameters() if not name.startswith(unused)
    )


def network(
    build: Callable[[int, int, int], nn.Module],
    task: Task,
    seed: int,
    epochs: int,
    *,
    size: int | None = None,
) -> Trained:
    """Any network (in_channels, classes, size) -> module, with the same standardized images and
    training loop.
    """
    step = 1 if size is None else max(1, round((task.size - 1) / (size - 1)))
    standard = Standardizer.fit(task.train.images)

    def seen(images: Images) -> torch.Tensor:
        return averaged(standard(images), step)

    start = time.process_time()
    x = seen(task.train.images)
    with seeded(seed):
        model = build(x.shape[1], len(task.classes), x.shape[-1])
    config = TrainConfig(epochs=epochs, seed=seed, variation=task.variation)
    train(model, x, torch.from_numpy(task.train.labels), config=config)
    seconds = time.process_time() - start

    def probabilities(part: Part) -> FloatArray:
        return np.asarray(
            torch.softmax(predict_logits(model, seen(part.images)).double(), dim=1).numpy()
        )

    shown = seen(task.test.images[:ATTRIBUTED])
    maps = {"gradient": attribute(model, shown, method="gradient").mean(axis=0)}
    if isinstance(model, SaliencySampler):
        with torch.no_grad():
            maps["own map"] = model.saliency(shown)[:, 0].double().mean(dim=0).numpy()
    return Trained(probabilities, sum(p.numel() for p in model.parameters()), epochs, seconds, maps)


def averaged(x: torch.Tensor, step: int) -> torch.Tensor:
    """Return every so many-th node of images (n, C, N, N), each the mean over the area around
    it.
    """
    if step == 1:
        return x
    hat = 1 - torch.arange(1 - step, step, dtype=x.dtype).abs() / step
    weight = (hat[:, None] * hat / step**2).expand(x.shape[1], 1, -1, -1)
    padded = functional.pad(x, [step - 1] * 4, mode="reflect")
    return functional.conv2d(padded, weight, stride=step, groups=x.shape[1])


PLAIN: dict[str, Any] = {
    "density": "uniform",
    "direct": False,
}  # a convolutional network and no more
PLAIN_VERSIONS: dict[str, dict[str, Any]] = {
    "": PLAIN,
    ", direct heads": PLAIN | {"direct": True},
    ", pooled": PLAIN | {"head": "mean+max"},  # where scans have no places in common
    ", pooled, with measures": PLAIN | {"head": "mean+max", "measures": "axial"},
}
_WAYS: dict[str, Callable[..., Trained]] = {", tuned": tuned, ", 4 x longer": four_times}
_ALONE: dict[str, Any] = {"density": "shared", "direct": True}  # one network with a density
VERSIONS: dict[str, dict[str, Any]] = {  # of DECNN, for an ablation
    "": {},
    ", density alone": _ALONE,
    ", no warm start": _ALONE | {"warm_start": False, "density_epochs": 10},
    ", no emphasis": _ALONE | {"emphasis": 0.0},
    ", no direct heads": _ALONE | {"direct": False},
    ", learned for 10 epochs": _ALONE | {"density_epochs": 10},
    ", learned to the end": _ALONE | {"density_epochs": 1000},
    ", area only": _ALONE | {"warm_start": False},  # flat: every node shows the same area
}


def _of_a_grid(name: str) -> Model | None:
    """Return 'DECNN 33', 'plain 65/16' (grid / width of the first stage), or a version of one of
    them.
    """
    found = re.fullmatch(r"(DECNN|plain) (\d+)(?:/(\d+))?(, .*)?", name)
    if found is None:
        return None
    kind, size, width, version = found[1], int(found[2]), int(found[3] or 8), found[4] or ""
    if version == ", points" and kind == "plain":
        return partial(point_sampled, network_size=size, width=width)
    how: Callable[..., Trained] = decnn
    for ending, way in _WAYS.items():
        if version.endswith(ending):
            how, version = partial(way, decnn), version.removesuffix(ending)
    chosen = (VERSIONS if kind == "DECNN" else PLAIN_VERSIONS).get(version)
    return None if chosen is None else partial(how, network_size=size, width=width, **chosen)


def _on_meshes(name: str, task: Task, seed: int, epochs: int) -> Trained:
    # torch-geometric is slow to import
    from meshconv.benchmark import graph_methods, graph_networks

    return graph_methods.graph_network(getattr(graph_networks, name), task, seed, epochs)


OTHERS: dict[str, Model] = {
    "plain 33, 8 x wider": partial(decnn, width=round(8 * math.sqrt(8)), **PLAIN),
    "measures + logistic": measured_logistic,
    "measures + logistic + kernel": measured_model,
    "scale-free measures + logistic": partial(measured_logistic, chosen=scale_free),
    "SPHARM energies + logistic": partial(measured_logistic, chosen=harmonic),
    "measures + boosted trees": measured_trees,
    "PCA 99.9 % + logistic": principal_components,
    "PCA 99.9 % + RBF-SVM": kernel_machine,
    "pixels chosen by t + logistic": chosen_pixels,
    **WHERE,
    "points of the mesh": partial(_on_meshes, "PointNetwork"),
    "edges of the mesh": partial(_on_meshes, "EdgeNetwork"),
    "saliency sampler": partial(network, SaliencySampler, size=65),
    "ResNet-18": partial(network, ResNet, size=65),
    **{
        f"{name}{how}": partial(raw_network, name, posed=bool(how))
        for name in RECIPES
        for how in ("", ", posed")
    },
}
# without chance: one row whatever the seed
DETERMINISTIC = (
    "measures + logistic",
    "measures + logistic + kernel",
    "scale-free measures + logistic",
    "SPHARM energies + logistic",
    "PCA 99.9 % + logistic",
    "PCA 99.9 % + RBF-SVM",
    "pixels chosen by t + logistic",
    *WHERE,
)


def model_named(name: str) -> Model:
    """Return a model by its name.

    Parameters
    ----------
    name : str
        ``DECNN N``, ``plain N`` (a convolutional network on a uniform grid of N x N nodes, averaged
        over area), ``plain N, points`` (every so many-th pixel), ``plain N, direct heads`` (DECNN
        without a density), ``plain N, pooled`` (over places) or ``plain N, pooled, with measures``
        (of shape, beside it), N followed by ``/W`` for W channels in the first stage, ``DECNN N``
        by one of `VERSIONS`, all but ``points`` with ``, 4 x longer`` or ``, tuned`` behind; or one
        of `OTHERS`.

    Raises
    ------
    ArgumentError
        If there is no such model.
    """
    model = OTHERS.get(name) or _of_a_grid(name)
    if model is None:
        raise ArgumentError(
            f"no model {name!r}; there are DECNN N[/W],"
            " plain N[/W][, points|, direct heads|, pooled][, 4 x longer|, tuned],"
            f" {', '.join(OTHERS)}"
        )
    return model
