"""The cost of a network in multiply-accumulates, adaptive and ordinary layers alike."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from meshconv.nn.layers.adaptive_conv import AdaptiveConv2d, AdaptiveConv3d


def macs(model: nn.Module, *inputs: Any) -> int:
    """Return the multiply-accumulates of convolutions and linear layers in one forward pass in
    evaluation mode, for the whole batch.

    Counts adaptive and ordinary layers alike, taps in the padding included, so the two can be
    compared.

    Examples
    --------
    >>> macs(nn.Conv2d(2, 3, 3, padding=1), torch.zeros(1, 2, 4, 4))
    864
    """
    total = 0

    def count(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        nonlocal total
        if isinstance(module, AdaptiveConv2d | AdaptiveConv3d):
            total += module.macs(args[0])
        elif isinstance(module, nn.modules.conv._ConvTransposeNd):
            total += args[0].numel() // module.in_channels * module.weight.numel()
        elif isinstance(module, nn.modules.conv._ConvNd):
            total += output.numel() // module.out_channels * module.weight.numel()
        elif isinstance(module, nn.Linear):
            total += output.numel() * module.in_features

    hooks = [module.register_forward_hook(count) for module in model.modules()]
    modes = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad():
            model.eval()(*inputs)
    finally:
        for module, mode in modes.items():
            module.training = mode
        for hook in hooks:
            hook.remove()
    return total
