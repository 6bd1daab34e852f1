"""Where convolutions land: how many final windows each input pixel feeds, from the displacements
alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.nn.area_sample import area_splat
from meshconv.nn.layers.dynamic_stride import DynamicStrideConv2d, DynamicStrideConv3d
from meshconv.nn.layers.windows import Window, response_grid
from meshconv.nn.precision import without_autocast
from meshconv.nn.sample import full_precision, splat

_DYNAMIC = (DynamicStrideConv2d, DynamicStrideConv3d)
_PLAIN = (nn.Conv2d, nn.Conv3d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool2d, nn.AvgPool3d)


@dataclass(frozen=True)
class Landing:
    """What a layer's landing map needs: its window, and how its windows were displaced.

    Parameters
    ----------
    window : Window
        Kernel size, stride, padding and dilation.
    offset : (B, d, *out) Tensor, optional
        In input pixels, ordered as the axes; None for a layer that does not move its windows.
    size : tuple of int, optional
        Of the layer's input, if known.
    """

    window: Window
    offset: Tensor | None = None
    size: tuple[int, ...] | None = None


@contextmanager
def record_landings(
    model: nn.Module, layers: Sequence[nn.Module] | None = None
) -> Iterator[list[Landing]]:
    """Collect the `Landing` of each convolution and pooling of a model, in the order of its next
    call.

    Nothing is computed twice: the displacements are those that the forward pass uses, with their
    gradients.

    Parameters
    ----------
    model : nn.Module
    layers : sequence of nn.Module, optional
        Only these. Needed where the model is not one chain, e.g. the main path of residual blocks.

    Examples
    --------
    >>> layer = DynamicStrideConv2d(1, 4, 3, stride=2, padding=1)
    >>> with torch.no_grad(), record_landings(layer) as records:
    ...     y = layer(torch.rand(1, 1, 16, 16))
    >>> round(float(landing_map(records, (16, 16)).sum()), 4)  # 64 windows less the taps outside
    58.7778
    """
    records: list[Landing] = []
    hooks = []
    for layer in _moving(model) if layers is None else layers:
        if isinstance(layer, _DYNAMIC):
            hooks.append(
                layer.offsets.register_forward_hook(_keep(records, layer.window, moved=True))
            )
        elif isinstance(layer, _PLAIN):
            hooks.append(layer.register_forward_hook(_keep(records, _window(layer), moved=False)))
        else:
            raise ArgumentError(
                f"layers must be convolutions or poolings, found {type(layer).__name__}"
            )
    try:
        yield records
    finally:
        for hook in hooks:
            hook.remove()


def landing_map(
    records: Landing | Sequence[Landing],
    size: Sequence[int],
    *,
    counts: Tensor | None = None,
    relative: bool = False,
    sampling_grid: Tensor | None = None,
) -> Tensor:
    """Return how many windows of the last layer each input pixel feeds.

    M = P_1 P_2 ... P_L(1) with P(D)(q) = sum_p D(p) (1/K) sum_k b(q, position(p, k)): each window
    hands its count to its K taps, these to the pixels around them by the bilinear weights b. P is
    the adjoint of "mean over the window of the gathered image". Needs neither activations nor a
    backward pass.

    Parameters
    ----------
    records : Landing or sequence of Landing
        Of the layers from first to last, as from `record_landings`.
    size : sequence of int
        (H, W) or (D, H, W) of the input.
    counts : (B, 1, *out) or (1, 1, *out) Tensor, optional
        How much each window of the last layer counts, such as a saliency there; 1 if None.
    relative : bool
        Divide by the map of the same layers with windows that are not displaced (where that is 0:
        by its mean): 1 is the plain network's share.
    sampling_grid : (B, N, N, 2) Tensor, optional
        The grid through which the first layer saw the input by `area_sample`, such as
        `DECNN.sampling_grid` gives.

    Returns
    -------
    landings : (B, 1, *size) Tensor
        At least 0. B is 1 where no layer moved. The total is the number of windows, less taps
        outside. Differentiable in displacements and grid.

    Raises
    ------
    ArgumentError, ArrayTypeError
        If the layers do not follow each other, or displacements do not fit them.
    """
    chain = [records] if isinstance(records, Landing) else list(records)
    if not chain:
        raise ArgumentError("no layer was recorded", hint="call the model inside record_landings")
    seen = tuple(size) if sampling_grid is None else tuple(sampling_grid.shape[1:-1])
    sizes = _sizes(chain, seen)
    landings = _start(chain, sizes[-1], sampling_grid, counts)
    with without_autocast(landings):
        for record, before in zip(chain[::-1], sizes[-2::-1], strict=True):
            landings = _pull_back(landings, record, before)
        if sampling_grid is not None:
            landings = _through(landings, sampling_grid, size)
    if not relative:
        return landings
    unmoved = [Landing(record.window) for record in chain]
    plain = landing_map(unmoved, size, counts=counts, sampling_grid=sampling_grid).to(landings)
    return landings / torch.where(plain > 1e-6 * plain.mean(), plain, plain.mean())


def local_strides(record: Landing) -> list[Tensor]:
    """Return stride + offset(p+1) - offset(p) along each axis, (B, *out) less one window on that
    axis.

    Positive everywhere: windows keep their order along each axis.
    """
    if record.offset is None:
        raise ArgumentError(
            "the layer does not displace its windows: its strides are those of its window"
        )
    axes = record.window.axes(record.offset.shape[1])
    return [s + record.offset[:, a].diff(dim=a + 1) for a, (_, s, _, _) in enumerate(axes)]


def _start(
    chain: list[Landing], out: tuple[int, ...], grid: Tensor | None, counts: Tensor | None
) -> Tensor:
    """Return what each window of the last layer counts, where and as precise as the
    displacements.
    """
    tensors = [*(record.offset for record in chain), grid, counts]
    like = full_precision(
        next((tensor for tensor in tensors if tensor is not None), torch.empty(0))
    )
    if counts is None:
        return like.new_ones(1, 1, *out)
    if counts.ndim != len(out) + 2 or counts.shape[1:] != (1, *out):
        raise ArrayTypeError(
            f"counts must be (B, 1, {', '.join(map(str, out))}), found {tuple(counts.shape)}"
        )
    return counts.to(like)


def _pull_back(density: Tensor, record: Landing, size: tuple[int, ...]) -> Tensor:
    """Return P(density): (B, 1, *out) to (B, 1, *size)."""
    axes = record.window.axes(len(size))
    if record.offset is None:
        for axis, (n, window) in enumerate(zip(size, axes, strict=True), start=2):
            density = _spread(density, axis, n, *window)
        return density
    # windows move rigidly: lay down each one once, among the windows of stride 1, then these on
    # their taps
    offset = full_precision(record.offset)
    grid, nodes = response_grid(offset, record.window, size)
    share, batch = density / math.prod(k for k, _, _, _ in axes), max(len(density), len(offset))
    density = splat(
        share.expand(batch, *share.shape[1:]),
        grid.expand(batch, *grid.shape[1:]),
        nodes,
        padding="zeros",
    )
    for axis, (n, (k, _, _, dl)) in enumerate(zip(size, axes, strict=True), start=2):
        parts = [density.narrow(axis, j * dl, n) for j in range(k)]
        density = parts[0] if k == 1 else parts[0] + parts[1]
        for part in parts[2:]:
            density += part
    return density


def _spread(
    density: Tensor, axis: int, n: int, k: int, stride: int, padding: int, dilation: int
) -> Tensor:
    """Give each window's count to its k taps along one axis of n pixels."""
    size, span = list(density.shape), stride * (density.shape[axis] - 1) + 1
    size[axis] = max(padding + n, span + dilation * (k - 1))
    line, before = density.new_zeros(size), [slice(None)] * axis
    share = density / k
    for j in range(0, k * dilation, dilation):
        line[(*before, slice(j, j + span, stride))] += share
    return line.narrow(axis, padding, n)


def _through(landings: Tensor, sampling_grid: Tensor, size: Sequence[int]) -> Tensor:
    """Return landings on the nodes of a sampling grid, spread over the area that each node
    averaged.
    """
    batch = max(landings.shape[0], sampling_grid.shape[0])
    grid = sampling_grid.to(landings.dtype).expand(batch, *sampling_grid.shape[1:])
    return area_splat(landings.expand(batch, *landings.shape[1:]), grid, size)


def _sizes(chain: list[Landing], size: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the size of the input and of each layer's output, or say where the chain breaks."""
    sizes = [size]
    for k, record in enumerate(chain):
        if record.size is not None and record.size != sizes[-1]:
            raise ArgumentError(
                f"layer {k} read a map of {record.size}, but the layers before it give {sizes[-1]}",
                hint="name the layers of one path: record_landings(model, layers=...)",
            )
        out = record.window.out_size(sizes[-1])
        if record.offset is not None and tuple(record.offset.shape[1:]) != (len(size), *out):
            raise ArrayTypeError(
                f"offset of layer {k} must be (B, {len(size)}, {', '.join(map(str, out))}),"
                f" found {tuple(record.offset.shape)}"
            )
        sizes.append(out)
    return sizes


def _moving(module: nn.Module) -> Iterator[nn.Module]:
    """Walk over the layers with windows, not into the heads that move them."""
    if isinstance(module, _DYNAMIC + _PLAIN):
        yield module
    else:
        for child in module.children():
            yield from _moving(child)


def _keep(records: list[Landing], window: Window, *, moved: bool) -> Any:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        size = tuple(inputs[0].shape[2:])
        records.append(Landing(window, output if moved else None, size))

    return hook


def _window(layer: Any) -> Window:
    dilation = getattr(layer, "dilation", 1)
    return Window(layer.kernel_size, layer.stride, layer.padding, dilation)
