"""Teaching windows where to look before a network learns what to see there."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.nn.layers.adaptive_masks import edge_strength
from meshconv.nn.layers.focus import blurred, focus_loss
from meshconv.nn.layers.landing_map import Landing, record_landings
from meshconv.nn.layers.offset_field import OffsetField


def warm_start_offsets(
    model: nn.Module,
    images: Tensor,
    target: Tensor | str = "edges",
    *,
    steps: int = 200,
    batch_size: int = 32,
    learning_rate: float = 6e-3,
    blur: float = 0.05,
    min_stride: float = 0.2,
    layers: Sequence[nn.Module] | None = None,
    freeze: bool = True,
    seed: int = 0,
) -> Tensor:
    """Teach the offset heads alone where windows should land, then freeze them; in place.

    Trained together with its network a head hardly moves: the task's gradient says little about
    windows until the network sees well, and the network fits windows that move. So, before the
    training of the network: `focus_loss` on the target for `steps` steps of Adam, all else as it
    is; then the heads are frozen, and the network learns on windows that stay.

    Parameters
    ----------
    model : nn.Module
        With `DynamicStrideConv2d` or `DynamicStrideConv3d` layers, fresh or trained.
    images : (N, C, *size) Tensor
        As the model takes them.
    target : "edges" or Tensor
        ``"edges"``: the smoothed strength of each image's own edges, for which nothing need be
        known. Else maps (N, 1, *size) or one (*size) for all, at least 0 (masks, a saliency), or
        boxes (N, 2 d) in pixels: first corner, then the corner after the last pixel, each ordered
        as the axes.
    steps, batch_size, learning_rate : int, int, float
        Of Adam, on the heads alone.
    blur, min_stride : float
        As in `focus_loss`; edges are smoothed by `blur`, too.
    layers
        As in `record_landings`: needed where the model is not one chain.
    freeze : bool
        Leave the heads without gradient: put no parameter of theirs into an optimiser.
    seed : int
        Of the batches.

    Returns
    -------
    losses : (steps,) Tensor

    Raises
    ------
    ArgumentError, ArrayTypeError
        If the model has no dynamic layer, or the target does not fit the images.

    Examples
    --------
    >>> from meshconv.nn import DynamicStrideConv2d
    >>> _ = torch.manual_seed(0)
    >>> images = torch.zeros(8, 1, 32, 32)
    >>> images[:, :, 4:12, 4:12] = torch.rand(8, 1, 8, 8)
    >>> layer = DynamicStrideConv2d(1, 4, 3, 4, 1)
    >>> losses = warm_start_offsets(layer, images, steps=40)
    >>> bool(losses[-1] < losses[0]), any(p.requires_grad for p in layer.offsets.parameters())
    (True, False)
    """
    fields = [m for m in model.modules() if isinstance(m, OffsetField)]
    if not fields:
        raise ArgumentError("the model has no dynamic stride layer to teach")
    maps = _maps(images, target, blur)
    heads = [p for field in fields for p in field.head.parameters()]
    wanted = [p.requires_grad for p in heads]
    modes = {module: module.training for module in model.modules()}
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam([p.requires_grad_() for p in heads], lr=learning_rate)
    losses = []
    try:
        model.eval()
        for _ in range(steps):
            batch = torch.randint(len(images), (batch_size,), generator=generator)
            records = _moved(model, images[batch.to(images.device)], layers)
            goal = maps[batch.to(maps.device)] if len(maps) > 1 else maps
            loss = focus_loss(records, goal, blur=blur, min_stride=min_stride)
            for head, slope in zip(heads, torch.autograd.grad(loss, heads), strict=True):
                head.grad = slope
            optimiser.step()
            losses.append(loss.detach())
    finally:
        for head, was in zip(heads, wanted, strict=True):
            head.requires_grad_(was and not freeze).grad = None
        for module, mode in modes.items():
            module.training = mode
    return torch.stack(losses) if losses else torch.empty(0)


def _moved(model: nn.Module, x: Tensor, layers: Sequence[nn.Module] | None) -> list[Landing]:
    """Return the records up to the last layer that moves its windows."""
    with record_landings(model, layers) as records:
        model(x)
    last = max((k for k, r in enumerate(records) if r.offset is not None), default=-1)
    return records[: last + 1]


def _maps(images: Tensor, target: Tensor | str, blur: float) -> Tensor:
    """Return the targets (N or 1, 1, *size), nowhere all zero."""
    size = tuple(images.shape[2:])
    if isinstance(target, str):
        if target != "edges":
            raise ArgumentError(f"target must be 'edges', maps or boxes, found {target!r}")
        maps = blurred(edge_strength(images), blur)
    elif target.shape == (len(images), 2 * len(size)) and tuple(target.shape) != size:
        maps = box_masks(target, size)
    else:
        maps = target[None, None] if tuple(target.shape) == size else target
    if tuple(maps.shape[1:]) != (1, *size) or len(maps) not in (1, len(images)):
        raise ArrayTypeError(
            f"targets must be {size}, (N, 1, *{size}) or boxes (N, {2 * len(size)}),"
            f" found {tuple(maps.shape)} for {len(images)} images"
        )
    empty = maps.flatten(1).sum(dim=1) <= 0  # nothing to see there: everywhere alike
    return torch.where(empty.view(-1, *[1] * (maps.ndim - 1)), 1.0, maps)


def box_masks(boxes: Tensor, size: Sequence[int]) -> Tensor:
    """Return how much of each pixel lies in a box, (N, 1, *size), of boxes (N, 2 d) in pixels.

    Examples
    --------
    >>> box_masks(torch.tensor([[0.0, 1.0, 1.0, 2.5]]), (2, 3)).tolist()
    [[[[0.0, 1.0, 0.5], [0.0, 0.0, 0.0]]]]
    """
    dims = len(size)
    mask = boxes.new_ones(len(boxes), *[1] * (dims + 1), dtype=torch.get_default_dtype())
    for axis, n in enumerate(size):
        first, end = (boxes[:, k, None].to(mask.dtype) for k in (axis, dims + axis))
        start = torch.arange(n, dtype=mask.dtype, device=boxes.device)
        covered = functional.relu(torch.minimum(start + 1, end) - torch.maximum(start, first))
        mask = mask * covered.view(len(boxes), 1, *[n if a == axis else 1 for a in range(dims)])
    return mask
