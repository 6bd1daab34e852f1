"""Pyramid pixel context: an attention over pixels from the means of groups of channels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.nn.layers.same_numbers import same_numbers

_MODE = {1: "linear", 2: "bilinear", 3: "trilinear"}
_BLOCK_WORDS = ("block", "bottleneck", "residual")
_SIDE_WORDS = ("downsample", "shortcut", "skip", "identity", "residual")
_NORMS = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm, nn.GroupNorm)


class PyramidPixelContext(nn.Module):
    """Weigh every pixel by a sigmoid of its channels' grouped means: y = x sigmoid(z), z learned
    per pixel.

    Level i of the pyramid splits the C channels into 2**i groups (group j holds channels C j //
    2**i up to C (j+1) // 2**i) and takes their means; the 2**levels - 1 maps are normalised over
    themselves at each pixel and summed with that pixel's own weights. Weights start at zero, so y =
    x / 2, or y = x with `identity`.

    Parameters
    ----------
    channels : int
        C; any number. A group that would be empty (C < 2**i) takes the channel at its start.
    size : int or sequence of int
        Sides of the weights' own grid, (H, W) or (D, H, W); an int means a square. For an input of
        another size the weights are resized linearly, borders on borders.
    levels : int
        Levels of the pyramid; 4 gives 15 maps.
    shared : bool
        One weight vector for all pixels: translation-equivariant, 2**levels - 1 parameters.
    identity : bool
        y = 2 x sigmoid(z), so that a fresh layer changes nothing.

    Attributes
    ----------
    weight : (H*W, 2**levels - 1), or (1, 2**levels - 1) if shared
    groups : buffer (2**levels - 1, C), 1 where a channel belongs to a group
    pyramid : buffer, from sums of channels to the centred maps, and to what rounding can make of
        their mean

    References
    ----------
    Zhang et al., 2023. arXiv 2303.01917.

    Examples
    --------
    >>> layer = PyramidPixelContext(10, (6, 4))
    >>> layer.weight.shape
    torch.Size([24, 15])
    >>> x = torch.randn(1, 10, 9, 9)
    >>> torch.equal(layer(x), x / 2)
    True
    """

    groups: Tensor
    pyramid: Tensor

    def __init__(
        self,
        channels: int,
        size: int | Sequence[int],
        levels: int = 4,
        *,
        shared: bool = False,
        identity: bool = False,
    ) -> None:
        super().__init__()
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        if channels < 1 or levels < 1 or len(self.size) not in _MODE or min(self.size) < 1:
            raise ArgumentError(
                "channels, levels and the 1 to 3 sides of size must be positive, "
                f"found {channels!r}, {levels!r}, {size!r}"
            )
        self.shared, self.gain = shared, 2.0 if identity else 1.0
        groups = channel_groups(channels, levels)
        self.register_buffer("groups", groups, persistent=False)
        self.register_buffer("pyramid", _pyramid(groups), persistent=False)
        self._cache: tuple[Tensor, Tensor] | None = None
        self.weight = nn.Parameter(torch.zeros(1 if shared else math.prod(self.size), len(groups)))

    def extra_repr(self) -> str:
        """Return the shape of the layer for printing."""
        return f"{self.groups.shape[1]}, size={self.size}, shared={self.shared}, gain={self.gain:g}"

    def forward(self, x: Tensor) -> Tensor:
        """Return x, recalibrated: (B, C, *N) of any size N."""
        return x * self.attention(x)

    def attention(self, x: Tensor) -> Tensor:
        """Return the map that multiplies the pixels, (B, 1, *N), in 0..1 (0..2 with `identity`)."""
        if x.ndim != 2 + len(self.size) or x.shape[1] != self.groups.shape[1]:
            raise ArrayTypeError(
                f"input must be (B, {self.groups.shape[1]}) and {len(self.size)} axes, found {tuple(x.shape)}"
            )
        with torch.autocast(
            x.device.type, enabled=False
        ):  # differences of means: not in half precision
            weight, n, r = self._weights(x.shape[2:]), len(self.groups), self.pyramid.shape[1]
            runs = x.reshape(x.shape[0], r, x.shape[1] // r, -1).sum(dim=2, dtype=weight.dtype)
            maps = torch.matmul(self.pyramid, runs)  # (B, 15 + 1, pixels)
            squares = maps.square()
            variance = (
                squares[:, :n].sum(dim=1, keepdim=True) / n
            )  # a mean over a middle axis is slow on a CPU
            # where the maps agree up to rounding they say nothing: z = 0, not 0/0 or magnified
            # rounding
            scale = torch.where(variance > squares[:, n:], variance, torch.inf).rsqrt()
            a = torch.sigmoid((weight * maps[:, :n]).sum(dim=1, keepdim=True) * scale)
            if self.gain != 1.0:
                a = a * self.gain
        return a.to(x.dtype).reshape(x.shape[0], 1, *x.shape[2:])

    def weight_maps(self, size: Sequence[int]) -> Tensor:
        """Return the weights as maps (1, 2**levels - 1, *size); size 1 on every axis if shared."""
        own = (1,) * len(self.size) if self.shared else self.size
        maps = self.weight.t().reshape(1, -1, *own)
        if self.shared or tuple(size) == own:
            return maps
        return functional.interpolate(maps, tuple(size), mode=_MODE[len(own)], align_corners=True)

    def _weights(self, size: Sequence[int]) -> Tensor:
        """Return `weight_maps` flattened, (1, 2**levels - 1, pixels or 1).

        Where they are resized, evaluations keep them while the weights hold the same numbers and
        the size is the same.
        """
        learning = self.training or (torch.is_grad_enabled() and self.weight.requires_grad)
        if learning or torch.compiler.is_compiling() or self.shared or tuple(size) == self.size:
            return self.weight_maps(size).flatten(2).contiguous()
        now, kept = self.weight.detach(), self._cache
        fits = kept is not None and kept[1].shape[2:] == size and same_numbers(kept[0], now)
        if kept is None or not fits:
            with (
                torch.inference_mode(False),
                torch.no_grad(),
            ):  # tensors that any later mode may use
                kept = self._cache = now.clone(), self.weight_maps(size).contiguous()
        return kept[1].flatten(2)

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        """Convert as any module, but make the matrix anew: converted up, it would keep its
        rounding.
        """
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.pyramid, self._cache = _pyramid(self.groups), None
        return self


def channel_groups(channels: int, levels: int) -> Tensor:
    """Return which channels belong to which group, (2**levels - 1, channels) of 0 and 1, level by
    level.
    """
    rows = []
    for n in (2**i for i in range(levels)):
        for j in range(n):
            start = channels * j // n
            end = max(channels * (j + 1) // n, start + 1)
            row = torch.zeros(channels)
            row[start:end] = 1.0
            rows.append(row)
    return torch.stack(rows)


def _pyramid(groups: Tensor) -> Tensor:
    """Return the matrix from sums over runs of channels to the centred maps and, last, their mean's
    rounding.

    The runs are the groups of the finest level where these are equal, which makes the matrix small;
    else channels.
    """
    channels, finest = groups.shape[1], (len(groups) + 1) // 2
    means = groups / groups.sum(dim=1, keepdim=True)
    runs = means[:, :: channels // finest] if channels % finest == 0 else means
    return torch.cat([runs - runs.mean(dim=0), runs[:1] * (32.0 * torch.finfo(groups.dtype).eps)])


def add_recalibration(
    model: nn.Module,
    example: Tensor,
    *,
    make: Callable[[int, tuple[int, ...]], nn.Module] = PyramidPixelContext,
    block: type[nn.Module] | tuple[type[nn.Module], ...] | None = None,
) -> nn.Module:
    """Put a recalibration layer after the last norm of every residual block of `model`, in place.

    The last norm becomes ``Sequential(norm, layer)``; load pretrained weights before. Norms on a
    block's side path (named downsample, shortcut, skip, ...) are passed over.

    Parameters
    ----------
    model : Module
        Any backbone.
    example : (B, C, *N) tensor
        An input, run once in evaluation mode to learn each norm's channels and size.
    make : callable
        ``make(channels, size)`` returns the layer: `PyramidPixelContext`, or any other attention.
    block : type or tuple of types, optional
        The residual blocks' classes; by default, innermost modules with "block", "bottleneck" or
        "residual" in their class name.

    Returns
    -------
    model : Module
        The same object.

    Raises
    ------
    ArgumentError
        If there is no such block with a norm.
    """
    names = _last_norms(model, block)
    shapes: dict[str, torch.Size] = {}

    def record(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        return lambda _module, _inputs, output: shapes.update({name: output.shape})

    hooks = [model.get_submodule(name).register_forward_hook(record(name)) for name in names]
    training = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad():
            model.eval()(example)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in training.items():
            module.training = mode
    for name, shape in shapes.items():
        parent, _, leaf = name.rpartition(".")
        norm = model.get_submodule(name)
        layer = make(shape[1], tuple(shape[2:])).to(example.device)
        setattr(model.get_submodule(parent), leaf, nn.Sequential(norm, layer).train(norm.training))
    return model


def _last_norms(
    model: nn.Module, block: type[nn.Module] | tuple[type[nn.Module], ...] | None
) -> list[str]:
    """Return the name of the last norm on the main path of each innermost residual block."""

    def is_block(module: nn.Module) -> bool:
        if block is not None:
            return isinstance(module, block)
        return any(word in type(module).__name__.lower() for word in _BLOCK_WORDS)

    found = []
    for name, module in model.named_modules():
        if not is_block(module) or any(is_block(m) for m in module.modules() if m is not module):
            continue
        norms = [
            inner
            for inner, m in module.named_modules()
            if isinstance(m, _NORMS) and not any(word in inner.lower() for word in _SIDE_WORDS)
        ]
        if norms:
            found.append(f"{name}.{norms[-1]}" if name else norms[-1])
    if not found:
        classes = sorted({type(m).__name__ for m in model.modules()})
        raise ArgumentError(
            f"no residual block with a norm among {', '.join(classes)}",
            hint="name the class with block=",
        )
    return found


def attention_maps(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Return the attention map (B, 1, *N) of every `PyramidPixelContext` in `model`, by module
    name.

    The maps say how much each pixel is kept; resize one to the image's grid and it is a saliency,
    which ``Resampler`` carries to the surface.
    """
    maps: dict[str, Tensor] = {}
    layers = {name: m for name, m in model.named_modules() if isinstance(m, PyramidPixelContext)}

    def record(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _module, inputs: maps.update({name: layers[name].attention(inputs[0])})

    hooks = [layer.register_forward_pre_hook(record(name)) for name, layer in layers.items()]
    try:
        with torch.no_grad():
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return maps
