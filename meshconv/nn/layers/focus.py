"""Steering where windows land: a loss that draws them to a place, and editing by the user with
frozen kernels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.nn.layers.landing_map import Landing, landing_map, local_strides, record_landings
from meshconv.nn.layers.offset_field import OffsetField


def focus_loss(
    records: Landing | Sequence[Landing],
    target: Tensor,
    *,
    blur: float = 0.05,
    min_stride: float = 0.2,
    focus: float = 1.0,
    order: float = 10.0,
    displacement: float = 1e-4,
    sampling_grid: Tensor | None = None,
) -> Tensor:
    """Return the loss that draws the windows to a target; add it to the loss of the task.

    focus CE(T, norm(blur M)) + order mean relu(min_stride - stride / s)^2 + displacement mean
    |offset|^2, with M the landing map, T and M of total 1, s the layer's plain stride.

    Parameters
    ----------
    records : Landing or sequence of Landing
        From `record_landings`.
    target : (*size) or (B, 1, *size) Tensor
        At least 0 and not all 0: boxes or masks of objects, a saliency, or what the user wants. Its
        size is that of the model's input.
    blur : float
        Standard deviation of the blur of M, as a share of the side: how far the target is felt.
    min_stride : float
        Local strides below this share of the plain stride cost.
    focus, order, displacement : float
        Weights of the three terms; the displacement in input pixels of its layer.
    sampling_grid
        As in `landing_map`.

    Returns
    -------
    loss : () Tensor
        Differentiable in the displacements.
    """
    chain = [records] if isinstance(records, Landing) else list(records)
    goal = _target(target)
    landings = landing_map(chain, goal.shape[2:], sampling_grid=sampling_grid)
    smooth = blurred(landings, blur).flatten(1)
    share = smooth / smooth.sum(dim=1, keepdim=True)
    goal = goal.to(landings).flatten(1)
    goal = goal / goal.sum(dim=1, keepdim=True)
    entropy = -(goal * torch.log(share + 1e-6 / share.shape[1])).sum(dim=1).mean()
    moved = [record for record in chain if record.offset is not None]
    if not moved:
        raise ArgumentError(
            "no layer with displaced windows was recorded: there is nothing to steer"
        )
    short = torch.stack([_too_short(record, min_stride) for record in moved]).mean()
    far = torch.stack(
        [record.offset.square().mean() for record in moved if record.offset is not None]
    ).mean()
    return focus * entropy + order * short + displacement * far


def share_inside(landings: Tensor, mask: Tensor) -> Tensor:
    """Return the share of the landings (B, 1, *size) that falls in a mask of that size, (B,),
    0..1.
    """
    inside = (landings * mask.to(landings)).flatten(1).sum(dim=1)
    return inside / landings.flatten(1).sum(dim=1)


def edit_offsets(
    model: nn.Module,
    x: Tensor,
    target_map: Tensor,
    *,
    layers: Sequence[nn.Module] | None = None,
    steps: int = 200,
    learning_rate: float = 0.01,
    blur: float = 0.05,
    min_stride: float = 0.2,
    order: float = 10.0,
    sampling_grid: Tensor | None = None,
) -> Tensor:
    """Move a model's windows to where the user wants them; kernels and heads stay as they are.

    Only the `edit` of each dynamic layer changes, a smooth field added to the head's answer, for
    all inputs. It is a buffer: saved with the model, set to zero by `clear_edits`.

    Parameters
    ----------
    model : nn.Module
        With `DynamicStrideConv2d` or `DynamicStrideConv3d` layers.
    x : (B, C, *size) Tensor
        Inputs for which the windows are moved.
    target_map : (*size) or (B, 1, *size) Tensor
        At least 0: where windows should land, relative.
    layers
        As in `record_landings`.
    steps, learning_rate : int, float
        Of Adam; `learning_rate` in sides of the input for each step.
    blur, min_stride, order, sampling_grid
        As in `focus_loss`.

    Returns
    -------
    landings : (B, 1, *size) Tensor
        The landing map after editing.
    """
    fields = [m for m in model.modules() if isinstance(m, OffsetField)]
    if not fields:
        raise ArgumentError("the model has no dynamic stride layer to edit")
    was_training = {module: module.training for module in model.modules()}
    model.eval()
    edits = [field.edit.requires_grad_() for field in fields]
    optimiser = torch.optim.Adam(edits, lr=learning_rate)
    try:
        for _ in range(steps):
            with record_landings(model, layers) as records:
                model(x)
            loss = focus_loss(
                records,
                target_map,
                blur=blur,
                min_stride=min_stride,
                order=order,
                sampling_grid=sampling_grid,
            )
            for edit, slope in zip(edits, torch.autograd.grad(loss, edits), strict=True):
                edit.grad = slope
            optimiser.step()
    finally:
        for edit in edits:
            edit.requires_grad_(False).grad = None
    with torch.no_grad(), record_landings(model, layers) as records:
        model(x)
    for module, mode in was_training.items():
        module.training = mode
    with torch.no_grad():
        return landing_map(records, x.shape[2:], sampling_grid=sampling_grid)


def clear_edits(model: nn.Module) -> None:
    """Undo `edit_offsets` in every layer of the model."""
    for module in model.modules():
        if isinstance(module, OffsetField):
            module.edit.zero_()


def _too_short(record: Landing, min_stride: float) -> Tensor:
    strides = local_strides(record)
    plain = [s for _, s, _, _ in record.window.axes(len(strides))]
    gaps = [
        functional.relu(min_stride - t / s).square().flatten()
        for t, s in zip(strides, plain, strict=True)
    ]
    every = torch.cat(gaps)
    return every.mean() if len(every) else every.sum()


def _target(target: Tensor) -> Tensor:
    goal = target if target.ndim > 3 else target[None, None]
    if goal.ndim not in (4, 5) or goal.shape[1] != 1:
        raise ArrayTypeError(
            f"target must be (*size) or (B, 1, *size), found {tuple(target.shape)}"
        )
    if not bool((goal >= 0).all()) or not bool((goal.flatten(1).sum(dim=1) > 0).all()):
        raise ArgumentError("target must be finite, at least 0, and not all 0")
    return goal


def blurred(image: Tensor, blur: float) -> Tensor:
    """Blur each axis by a Gaussian of `blur` sides; nothing comes in from outside."""
    for axis, n in enumerate(image.shape[2:], start=2):
        reach = math.ceil(2.5 * blur * n)
        steps = torch.arange(-n - reach, n + reach + 1, dtype=image.dtype, device=image.device)
        bell = torch.exp(-0.5 * (steps / max(blur * n, 1e-6)) ** 2) * (steps.abs() <= reach)
        weight = (
            (bell / bell.sum()).unfold(0, n, 1)[reach + 1 : reach + n + 1].flip(0)
        )  # (n, n): of pixel j at i
        image = torch.tensordot(image, weight, dims=([axis], [1])).movedim(-1, axis)
    return image
