"""The models of a benchmark: DECNN, the same network without a density, and its opponents, all fitted alike."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from meshconv._check import FloatArray
from meshconv.benchmark.fitted import Fitted, Model
from meshconv.benchmark.opponents import ResNet, SaliencySampler
from meshconv.benchmark.task import Part, Task
from meshconv.datasets.population import group_statistic
from meshconv.errors import ArgumentError
from meshconv.estimator import SurfaceClassifier
from meshconv.nn.seeding import seeded
from meshconv.saliency.attribute import attribute
from meshconv.train.config import TrainConfig
from meshconv.train.dataset import Standardizer
from meshconv.train.loop import predict, train
from meshconv.train.prepare import Prepared

Images = NDArray[np.float32]
_ATTRIBUTED = 128  # test images that a population's gradient map is the mean of


def principal_components(task: Task, seed: int, epochs: int) -> Fitted:
    """Logistic regression on principal components of 99.9 % of the variance; strength by cross-validation."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    model = make_pipeline(
        StandardScaler(),  # by what is inside the masks; outside: the mean
        FunctionTransformer(np.nan_to_num),
        PCA(0.999, svd_solver="full"),
        StandardScaler(),
        LogisticRegressionCV(Cs=np.logspace(-5, 1, 7), max_iter=3000, cv=5),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of defaults that change in scikit-learn 1.10
        model.fit(_rows(task.train.images), task.train.labels)
    size = int(model[-1].coef_.size + model[-1].intercept_.size)
    return Fitted(lambda part: model.predict_proba(_rows(part.images)), size)


def _rows(images: Images) -> Images:
    return images.reshape(len(images), -1)


def t_map(task: Task, seed: int, epochs: int) -> Fitted:
    """The statistic of the training images at every pixel: it says where, not which."""
    return Fitted(None, 0, maps={"t-map": np.nan_to_num(group_statistic(task.train.images, task.train.labels))})


def decnn(task: Task, seed: int, epochs: int, **options: Any) -> Fitted:
    """`SurfaceClassifier` on the task's images; ``density='uniform'`` is the plain network at the same cost."""
    own: dict[str, Any] = {"density": "shared"} if task.aligned else {"density": "sample", "ratio": 30.0}
    chosen = own | options
    model = SurfaceClassifier(
        size=task.size, template=task.template, seed=seed, epochs=epochs, variation=task.variation, **chosen
    )
    model.fit(_prepared(task.train.images), task.train.labels)
    x = model.standardizer_(task.test.images[:_ATTRIBUTED])
    methods = ("gradient", "gradcam") if chosen["density"] == "uniform" else ("density", "gradient", "gradcam")
    maps = {method: attribute(model.model_, x, method=method).mean(axis=0) for method in methods}

    def densities(images: Images) -> FloatArray:
        return attribute(model.model_, model.standardizer_(images))

    return Fitted(
        lambda part: model.predict_proba(_prepared(part.images)), _size(model), epochs, maps,
        densities if chosen["density"] == "sample" else None,
    )  # fmt: skip


def point_sampled(task: Task, seed: int, epochs: int, *, network_size: int, width: int = 8) -> Fitted:
    """The plain network on every so many-th pixel, instead of averages over area."""
    step = max(1, round((task.size - 1) / (network_size - 1)))
    model = SurfaceClassifier(
        size=(task.size - 1) // step + 1, network_size=network_size, width=width, density="uniform", seed=seed,
        epochs=epochs, variation=task.variation,
    )  # fmt: skip
    model.fit(_prepared(task.train.images[..., ::step, ::step]), task.train.labels)
    return Fitted(lambda part: model.predict_proba(_prepared(part.images[..., ::step, ::step])), _size(model), epochs)


def _prepared(images: Images) -> Prepared:
    """Return images as preparation gives them: NaN outside a mask is allowed."""
    n = len(images)
    names = tuple(f"channel {k}" for k in range(images.shape[1]))
    return Prepared(images, names, ("",) * n, ("",) * n, np.full(n, -1), np.arange(n))


def _size(model: SurfaceClassifier) -> int:
    """Parameters that take part: a plain network has no density."""
    plain = model.density == "uniform"
    return sum(p.numel() for name, p in model.model_.named_parameters() if not (plain and name.startswith("density.")))


def network(
    build: Callable[[int, int, int], nn.Module], task: Task, seed: int, epochs: int, *, size: int | None = None
) -> Fitted:
    """Any network (in_channels, classes, size) -> module, with the same standardized images and training loop."""
    step = 1 if size is None else max(1, round((task.size - 1) / (size - 1)))

    def seen(images: Images) -> Images:
        return images[..., ::step, ::step]

    standard = Standardizer.fit(seen(task.train.images))
    with seeded(seed):
        model = build(task.train.images.shape[1], len(task.classes), seen(task.train.images).shape[-1])
    labels = torch.from_numpy(task.train.labels)
    config = TrainConfig(epochs=epochs, seed=seed, variation=task.variation)
    train(model, standard(seen(task.train.images)), labels, config=config)

    def probabilities(part: Part) -> FloatArray:
        return np.asarray(torch.softmax(predict(model, standard(seen(part.images))).double(), dim=1).numpy())

    x = standard(seen(task.test.images[:_ATTRIBUTED]))
    maps = {"gradient": attribute(model, x, method="gradient").mean(axis=0)}
    if isinstance(model, SaliencySampler):
        with torch.no_grad():
            maps["own map"] = model.saliency(x)[:, 0].double().mean(dim=0).numpy()
    return Fitted(probabilities, sum(p.numel() for p in model.parameters()), epochs, maps)


VERSIONS: dict[str, dict[str, Any]] = {  # of DECNN, for an ablation
    "": {},
    ", no warm start": {"warm_start": False},
    ", warm start only": {"density_epochs": 0},
    ", learned to the end": {"density_epochs": 1000},
}


def _named(name: str) -> Model | None:
    """Return 'DECNN 33', 'plain 65/16' (grid / width of the first stage), 'plain 33, points' or a version of DECNN."""
    found = re.fullmatch(r"(DECNN|plain) (\d+)(?:/(\d+))?(, .*)?", name)
    if found is None:
        return None
    kind, size, width, version = found[1], int(found[2]), int(found[3] or 8), found[4] or ""
    if kind == "DECNN":
        options = VERSIONS.get(version)
        return None if options is None else partial(decnn, network_size=size, width=width, **options)
    if version == ", points":
        return partial(point_sampled, network_size=size, width=width)
    return partial(decnn, network_size=size, width=width, density="uniform") if version == "" else None


def _on_meshes(name: str, task: Task, seed: int, epochs: int) -> Fitted:
    from meshconv.benchmark import graphs  # torch-geometric is slow to import
    from meshconv.nn import graph

    return graphs.graph_network(getattr(graph, name), task, seed, epochs)


OTHERS: dict[str, Model] = {
    "plain 33, 8 x wider": partial(decnn, density="uniform", width=round(8 * math.sqrt(8))),
    "PCA 99.9 % + logistic": principal_components,
    "t-map": t_map,
    "points of the mesh": partial(_on_meshes, "PointNetwork"),
    "edges of the mesh": partial(_on_meshes, "EdgeNetwork"),
    "saliency sampler": partial(network, SaliencySampler, size=65),
    "ResNet-18": partial(network, ResNet, size=65),
}
# without chance: one row whatever the seed
DETERMINISTIC = ("PCA 99.9 % + logistic", "t-map")


def model_named(name: str) -> Model:
    """Return a model by its name.

    Parameters
    ----------
    name : str
        ``DECNN N``, ``plain N`` (the same network on a uniform grid of N x N nodes, averaged over area) or
        ``plain N, points`` (every so many-th pixel), N followed by ``/W`` for W channels in the first stage,
        ``DECNN N`` by one of `VERSIONS`; or one of `OTHERS`.

    Raises
    ------
    ArgumentError
        If there is no such model.
    """
    model = OTHERS.get(name) or _named(name)
    if model is None:
        raise ArgumentError(f"no model {name!r}; there are DECNN N[/W], plain N[/W][, points], {', '.join(OTHERS)}")
    return model
