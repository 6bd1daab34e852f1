"""Recalibration layers in an ordinary network: put in behind its blocks, and their maps read."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from meshconv.errors import ArgumentError
from meshconv.nn.layers.plain_state import keep_own
from meshconv.nn.layers.recalibration import PyramidPixelContext

_BLOCK_WORDS = ("block", "bottleneck", "residual")
_SIDE_WORDS = ("downsample", "shortcut", "skip", "identity", "residual")
_NORMS = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm, nn.GroupNorm)


def add_recalibration(
    model: nn.Module,
    example: Tensor,
    *,
    make: Callable[[int, tuple[int, ...]], nn.Module] = PyramidPixelContext,
    block: type[nn.Module] | tuple[type[nn.Module], ...] | None = None,
) -> nn.Module:
    """Put a recalibration layer after the last norm of every residual block of `model`, in place.

    The layer becomes the norm's submodule ``recalibration`` and acts on its output, so that every
    parameter keeps its name and the network's own state still loads. Norms on a block's side path
    (named downsample, shortcut, skip, ...) are passed over.

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
        norm = model.get_submodule(name)
        layer = make(shape[1], tuple(shape[2:])).to(example.device)
        norm.add_module("recalibration", layer.train(norm.training))
        norm.register_forward_hook(_recalibrate)
        keep_own(norm, "recalibration.")
    return model


def _recalibrate(norm: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    recalibrated: Tensor = norm.get_submodule("recalibration")(output)
    return recalibrated


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
