"""One way in: an ordinary network with layers that adapt, its weights and their names kept."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from meshconv._check import one_of
from meshconv.errors import ArgumentError
from meshconv.nn.layers.add_recalibration import add_recalibration
from meshconv.nn.layers.dynamic_stride import DynamicStrideConv2d, DynamicStrideConv3d
from meshconv.nn.layers.hermite import FAMILIES
from meshconv.nn.layers.make_adaptive import make_adaptive
from meshconv.nn.layers.plain_state import keep_own
from meshconv.nn.layers.recalibration import PyramidPixelContext
from meshconv.nn.layers.scaled_conv import mix_scales, scaled

KINDS = ("dynamic_stride", "adaptive", "recalibration", "scale_equivariant")
_CONV = (nn.Conv2d, nn.Conv3d)
_OTHER = (nn.modules.conv._ConvTransposeNd, nn.Conv1d)


def convert(model: nn.Module, kind: str, **options: Any) -> nn.Module:
    """Return a copy of a network with adaptive layers, which at first gives the same output.

    Every parameter keeps its name and its numbers, and the ordinary network's state loads strictly
    into the copy. What was changed stands in its attribute ``converted``, a tuple of module names.

    Parameters
    ----------
    model : Module
        Any network of torch's layers; not changed.
    kind : {"dynamic_stride", "adaptive", "recalibration", "scale_equivariant"}
        ``dynamic_stride``: strided convolutions choose where their windows land. ``adaptive``: the
        last stages downsample only where it pays. ``recalibration``: an attention over pixels after
        each residual block's last norm. ``scale_equivariant``: the network at several scales at
        once, its kernels carried from scale to scale.
    layers : str or sequence of str, optional
        For `dynamic_stride`: names of convolutions; by default all with a stride and more than one
        tap. `options` of `DynamicStrideConv2d` besides.
    stages, mask, anchor
        For `adaptive`: see `make_adaptive`; `stages` is needed. Without a mask all is downsampled
        as in the ordinary network, until ``forward(x, level)`` says otherwise.
    example : (B, C, *N) Tensor
        For `recalibration`: an input, run once to learn the features' sizes. `block` as in
        `add_recalibration`; `levels` and `shared` as in `PyramidPixelContext`.
    n_scales, scale_ratio, sigma, family
        For `scale_equivariant`: 3 scales in ratio .8, sigma 1 tap and ``"matched"`` by default. It
        costs `n_scales` times the network. The parameter ``scale_weights`` (S,) mixes the outputs
        and starts with the first scale alone; set it to 1 / S before training on objects of many
        sizes.

    Returns
    -------
    converted : Module

    Raises
    ------
    ArgumentError
        If the kind or an option is unknown, nothing can be converted, or a layer cannot; names it.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU()).eval()
    >>> x = torch.rand(1, 3, 16, 16)
    >>> moving = convert(model, "dynamic_stride")
    >>> moving.converted, torch.allclose(moving(x), model(x), atol=1e-6)
    (('0',), True)
    """
    one_of(kind, KINDS, "kind")
    maker = _MAKERS[kind]
    try:
        inspect.signature(maker).bind(model, **options)
    except TypeError as error:
        raise ArgumentError(f"convert(model, {kind!r}): {error}") from error
    return maker(copy.deepcopy(model), **options)


def _dynamic_stride(
    model: nn.Module, *, layers: str | Sequence[str] | None = None, **options: Any
) -> nn.Module:
    modules = model.named_modules(remove_duplicate=False)  # one layer may stand in several places
    found = {name: m for name, m in modules if type(m) in _CONV}
    made: dict[nn.Module, nn.Module] = {}
    if layers is None:
        names = [name for name, conv in found.items() if _strided(conv)]
    else:
        names = [layers] if isinstance(layers, str) else list(layers)
    for name in names:
        if name not in found:
            raise _no_such(model, name, found)
        conv: Any = found[name]
        kind: Any = DynamicStrideConv2d if isinstance(conv, nn.Conv2d) else DynamicStrideConv3d
        if conv not in made:
            made[conv] = kind.from_conv(conv, **options)
        model = _replaced(model, name, made[conv])
    return _named(model, names, "strided convolution of more than one tap")


def _adaptive(
    model: nn.Module, *, stages: str | Sequence[str] = (), mask: Any = None, anchor: str = "first"
) -> nn.Module:
    if not stages:
        names = ", ".join(name for name, _ in model.named_children())
        raise ArgumentError(
            'convert(model, "adaptive") needs the stages to convert, one after another',
            hint=f"stages=[...] of {names}",
        )
    made = make_adaptive(model, stages, mask=mask or coarsest, anchor=anchor)
    return _named(made, list(made.stages), "stage")


def coarsest(image: Tensor, size: Sequence[int]) -> Tensor:
    """Return the level map of an ordinary network, downsampled everywhere as often as it is."""
    level = min(15, max(max(size) - 1, 1).bit_length())
    where = "cpu" if image.is_meta else image.device
    return torch.full((1, 1, *size), level, device=where)


def _recalibration(
    model: nn.Module,
    *,
    example: Tensor,
    block: type[nn.Module] | tuple[type[nn.Module], ...] | None = None,
    **options: Any,
) -> nn.Module:
    make = partial(PyramidPixelContext, identity=True, **options)
    add_recalibration(model, example, make=make, block=block)
    names = [name for name, m in model.named_modules() if isinstance(m, PyramidPixelContext)]
    return _named(model, names, "residual block")


def _scale_equivariant(
    model: nn.Module,
    *,
    n_scales: int = 3,
    scale_ratio: float = 0.8,
    sigma: float = 1.0,
    family: str = "matched",
) -> nn.Module:
    one_of(family, FAMILIES[:2], "family")
    if n_scales < 1 or not 0 < scale_ratio < 1 or sigma <= 0:
        raise ArgumentError(
            "need n_scales >= 1, 0 < scale_ratio < 1 and sigma > 0,"
            f" found {n_scales!r}, {scale_ratio!r} and {sigma!r}"
        )
    how: dict[str, Any] = {"n_scales": n_scales, "scale_ratio": scale_ratio}
    how |= {"sigma": sigma, "family": family}
    names, made = [], dict[nn.Module, nn.Module]()
    for name, layer in list(model.named_modules(remove_duplicate=False)):
        if isinstance(layer, _OTHER) or (isinstance(layer, _CONV) and type(layer) not in _CONV):
            raise ArgumentError(f"layer {name!r}, {layer}, has no form at several scales")
        if isinstance(layer, _CONV):
            if layer not in made:
                made[layer] = scaled(layer, name, **how)
            model = _replaced(model, name, made[layer])
            names.append(name)
    whole = _named(model, names, "convolution")
    mix_scales(whole, n_scales)
    keep_own(whole, "scale_weights")
    return whole


_MAKERS: dict[str, Callable[..., nn.Module]] = {
    "dynamic_stride": _dynamic_stride,
    "adaptive": _adaptive,
    "recalibration": _recalibration,
    "scale_equivariant": _scale_equivariant,
}


def _strided(conv: Any) -> bool:
    taps = max(conv.kernel_size)
    return max(conv.stride) > 1 and taps > 1


def _replaced(model: nn.Module, name: str, layer: nn.Module) -> nn.Module:
    if not name:
        return layer
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, layer)
    return model


def _named(model: Any, names: Sequence[str], what: str) -> nn.Module:
    if not names:
        raise ArgumentError(f"nothing to convert in {type(model).__name__}: it has no {what}")
    model.converted = tuple(names)
    converted: nn.Module = model
    return converted


def _no_such(model: nn.Module, name: str, found: dict[str, nn.Module]) -> ArgumentError:
    modules = dict(model.named_modules())
    what = f"layer {name!r} is a {type(modules[name]).__name__}" if name in modules else name
    return ArgumentError(
        f"no convolution to move: {what}", hint=f"there are {', '.join(found) or 'none'}"
    )
