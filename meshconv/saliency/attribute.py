"""Where a trained network looks, on the pixels of the frame: its density, or the usual attributions
beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from meshconv._check import FloatArray, one_of
from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.nn.decnn import DECNN
from meshconv.nn.ensemble import Ensemble
from meshconv.saliency.layer_maps import as_numpy, attention, back_to_image, landing, levels
from meshconv.saliency.methods import METHODS

_ANYWHERE = ("gradient", "integrated")  # of any model
_STEPS = 16  # from the mean image to an image


def attribute(
    model: nn.Module,
    images: Tensor,
    *,
    method: str = "density",
    target: Tensor | None = None,
    task: str | None = None,
) -> NDArray[np.float64]:
    """Return a map of what matters for each image, (n, N, N), at least 0. The model is left as it
    was.

    Parameters
    ----------
    model : nn.Module
        Logits (B, K) of images (B, C, N, N), or a dict of them by task; ``density`` and ``gradcam``
        need a `DECNN`, or an `Ensemble`: then they are its members' mean, each by its share.
    images : (n, C, N, N) Tensor
        As in training.
    method : {'density', 'gradient', 'integrated', 'gradcam', 'landing', 'attention', 'levels'}
        ``density``: the room the network gives to each place, its mean 1. ``gradient``: absolute
        gradient of the target's logit times input, summed over channels. ``integrated``: what each
        pixel adds to the target's logit on the way from the mean image (0), where it adds: see
        `contributions`. ``gradcam``: last
        convolution's channels weighted by their mean gradient, brought back through the equalizing
        map; direct heads and the evidence of each image's own density are no part of it. The last
        three know no class: ``landing``: how many of
        the backbone's last windows see each place, over the number in a plain network without a
        density. ``attention``: how much of each place a ``recalibration`` backbone keeps, the mean
        over its layers, brought back through the equalizing map. ``levels``: how many nodes an
        ``adaptive`` backbone gives to each place, over those of a plain network without a density.
    target : (n,) int64 Tensor, optional
        Class asked about, of each image; the predicted one. The density knows no class.
    task : str, optional
        Which one of several tasks is asked about. Not needed for a density that all tasks share.

    Raises
    ------
    ArgumentError
        If the method is none of these or needs a DECNN or another backbone, there are several tasks
        and it is not said which one, or `target` names no class.
    ArrayTypeError
        If the images are not (n, C, N, N), or `target` is not one integer for each.

    References
    ----------
    Shrikumar et al., 2016, arXiv 1605.01713 (gradient x input). Selvaraju et al., 2017,
    doi:10.1109/ICCV.2017.74 (Grad-CAM).
    """
    one_of(method, METHODS, "method")
    if method not in _ANYWHERE and not isinstance(model, DECNN | Ensemble):
        raise ArgumentError(
            f"method={method!r} needs a DECNN, found {type(model).__name__}",
            hint="method='gradient'",
        )
    if images.ndim != 4:
        raise ArrayTypeError(f"images must be (n, C, N, N), found {tuple(images.shape)}")
    images = images.to(next(model.parameters(), images).device)
    with _evaluating(model):
        if method == "gradient":
            return _gradient_times_input(model, images, target, task)
        if method == "integrated":
            return np.maximum(_integrated(model, images, target, task), 0.0)
        if isinstance(model, Ensemble):
            _task_named(("label",), task)
            return _of_ensemble(model, images, target, method)
        if method == "density":
            return _density(cast(DECNN, model), images, task)
        return _of_network(cast(DECNN, model), images, target, method, task)


def contributions(
    model: nn.Module, images: Tensor, *, target: Tensor | None = None, task: str | None = None
) -> NDArray[np.float64]:
    """Return what each pixel adds to the target's logit, (n, N, N), signed.

    Integrated gradients, from the mean image (0): they add up to the difference that the whole
    image makes, but for the steps of the sum. Parameters as of `attribute`.

    References
    ----------
    Sundararajan, Taly, Yan, 2017, Axiomatic attribution for deep networks, eq. (3), arXiv
    1703.01365
    """
    with _evaluating(model):
        return _integrated(model, images, target, task)


def unit_range(values: FloatArray) -> FloatArray:
    """Return values scaled to 0..1 (NaN stays); all 0 where they do not differ.

    >>> unit_range(np.array([2.0, 4.0, 3.0])).tolist()
    [0.0, 1.0, 0.5]
    """
    low, high = np.nanmin(values), np.nanmax(values)
    if not high - low > 1e-9 * max(abs(high), abs(low)):
        return np.where(np.isfinite(values), 0.0, values)
    return np.asarray((values - low) / (high - low))


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model in evaluation mode, with gradients; then every part of it back in the mode it
    had.
    """
    was = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.enable_grad():
            yield
    finally:
        for module, training in was:
            module.training = training


def _of_ensemble(model: Ensemble, images: Tensor, target: Tensor | None, method: str) -> FloatArray:
    with torch.no_grad():
        if method == "density":
            return as_numpy(model.saliency(images)[:, 0])
        chosen = model(images).argmax(dim=1) if target is None else target
    maps = [
        share * _of_network(model.networks[name], images, chosen, method, None)
        for name, share in model.shares().items()
    ]
    return np.asarray(np.sum(maps, axis=0))


def _density(model: DECNN, images: Tensor, task: str | None) -> FloatArray:
    chosen = _task_named(model.tasks, task) if model.n_densities > 1 or task is not None else None
    with torch.no_grad():
        return as_numpy(model.saliency(images, task=chosen)[:, 0])


def _gradient_times_input(
    model: nn.Module, images: Tensor, target: Tensor | None, task: str | None
) -> FloatArray:
    x = images.detach().clone().requires_grad_(True)
    score = _score(model(x), target, task)
    (gradient,) = torch.autograd.grad(score, x)
    return as_numpy((gradient * x).detach().sum(dim=1).abs())


def _integrated(
    model: nn.Module, images: Tensor, target: Tensor | None, task: str | None
) -> FloatArray:
    images = images.detach()
    with torch.no_grad():
        chosen = _chosen(_asked(model(images), task), target)
    total = torch.zeros_like(images)
    for step in range(_STEPS):
        x = ((step + 0.5) / _STEPS * images).requires_grad_(True)
        (gradient,) = torch.autograd.grad(_asked(model(x), task).gather(1, chosen).sum(), x)
        total += gradient / _STEPS
    return as_numpy((total * images).sum(dim=1))


def _grad_cam(model: DECNN, images: Tensor, target: Tensor | None, task: str | None) -> FloatArray:
    """Class activation on the equalized grid, interpolated at the nodes of the source square."""
    kept: list[Tensor] = []
    convolutions = [module for module in model.backbone.modules() if isinstance(module, nn.Conv2d)]
    if not convolutions:
        raise ArgumentError("the backbone has no convolution", hint="method='gradient'")
    hook = convolutions[-1].register_forward_hook(
        lambda _module, _inputs, output: kept.append(output)
    )
    x = (
        images.detach().clone().requires_grad_(True)
    )  # so that there is a gradient in a frozen network too
    try:
        score = _score(model(x), target, task)
    finally:
        hook.remove()
    (gradient,) = torch.autograd.grad(score, kept[0])
    cam = functional.relu(
        (gradient.mean(dim=(2, 3), keepdim=True) * kept[0]).sum(dim=1, keepdim=True)
    )
    n = model.network_size
    fine = functional.interpolate(cam.detach(), size=(n, n), mode="bilinear", align_corners=True)
    k, grid = _grid_of(model, images, task)
    # features are by image, and in that by task
    return back_to_image(fine[k :: model.n_densities], grid, images.shape[-1])


_LAYER_MAPS = {"landing": landing, "attention": attention, "levels": levels}


def _of_network(
    model: DECNN, images: Tensor, target: Tensor | None, method: str, task: str | None
) -> FloatArray:
    """Return the map of a method that looks into the network itself."""
    if method == "gradcam":
        return _grad_cam(model, images, target, task)
    k, grid = _grid_of(model, images, task)
    with torch.no_grad():
        seen = model.equalize(images)[:, k]
    return _LAYER_MAPS[method](model, seen, grid, images.shape[-1])


def _grid_of(model: DECNN, images: Tensor, task: str | None) -> tuple[int, Tensor]:
    """Return which of the densities a task has, and its sampling grid."""
    with torch.no_grad():
        grid = model.sampling_grid(images)
    if model.n_densities == 1:
        return 0, grid
    k = model.tasks.index(_task_named(model.tasks, task))
    return k, grid[[k]]


def _score(
    logits: Tensor | Mapping[str, Tensor], target: Tensor | None, task: str | None
) -> Tensor:
    """Return the sum of the logits asked about."""
    asked = _asked(logits, task)
    return asked.gather(1, _chosen(asked, target)).sum()


def _asked(logits: Tensor | Mapping[str, Tensor], task: str | None) -> Tensor:
    """Return the logits of the task asked about."""
    if isinstance(logits, Mapping):
        return logits[_task_named(tuple(logits), task)]
    if task is not None:
        raise ArgumentError(
            f"the model has a single task without a name, found task={task!r}", hint="leave it out"
        )
    return logits


def _chosen(logits: Tensor, target: Tensor | None) -> Tensor:
    """Return the class asked about of each image, (n, 1); the one predicted if none is."""
    chosen = logits.argmax(dim=1) if target is None else _classes(target, *logits.shape)
    return chosen.to(logits.device)[:, None]


def _task_named(tasks: tuple[str, ...], task: str | None) -> str:
    if task is None and len(tasks) > 1:
        raise ArgumentError(
            f"the model has the tasks {', '.join(tasks)}: say which", hint=f"task={tasks[0]!r}"
        )
    return tasks[0] if task is None else one_of(task, tasks, "task")


def _classes(target: Tensor, n: int, n_classes: int) -> Tensor:
    if target.shape != (n,) or target.is_floating_point() or target.dtype == torch.bool:
        raise ArrayTypeError(
            f"target must be {n} integers, one for each image,"
            f" found {target.dtype} {tuple(target.shape)}"
        )
    if len(target) and not 0 <= int(target.min()) <= int(target.max()) < n_classes:
        found = f"{int(target.min())} to {int(target.max())}"
        raise ArgumentError(f"target must be classes 0..{n_classes - 1}, found {found}")
    return target.long()
