"""Content-adaptive downsampling of an ordinary network: each layer's form on nodes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from torch import nn

from meshconv._check import one_of
from meshconv.errors import ArgumentError
from meshconv.nn.layers.adaptive_conv import ANCHORS, AdaptiveConv2d, AdaptiveConv3d
from meshconv.nn.layers.adaptive_layers import AdaptiveBatchNorm, AdaptiveGroupNorm, AdaptivePool
from meshconv.nn.layers.adaptive_network import AdaptiveNetwork, Mask


def make_adaptive(
    model: nn.Module,
    stages: str | Sequence[str],
    *,
    mask: Mask | None = None,
    anchor: str = "first",
) -> AdaptiveNetwork:
    """Return a copy of a network whose last stages run on few nodes: for thin things (30 % of the
    nodes: Dice +.04 beside all of them), not where high resolution is worth little.

    From the first stage's input on, every strided layer downsamples only where the level map says
    so, and the later layers dilate there instead. At level 0 everywhere this is the network with
    dilation for strides, at the highest level it is the network itself. After the last stage the
    image is filled at the resolution of the first stage's input; what follows must not depend on
    resolution (1x1 convolutions, global mean).

    *To train it*: with a budget drawn anew in every step (`levels_for_cost`), so that one network
    serves every budget, and ``anchor="centre"``, which lets coarse and fine nodes share weights.
    *It pays* for thin things whose place edges or a density tell: lines of two pixels in 65 x 65,
    where all nodes beat the strided network by .25 +- .08 of Dice; with 30 % of the nodes, .31 of
    the operations and .35 of the time, edges weighed by a DECNN's density are +.04 +- .06 beside a
    network trained with all, +.22 +- .07 beside random places; edges alone +.01 +- .04, the density
    alone -.04 +- .09 (5 seeds). *It does not* where little is thinner than the strided network's
    pixels: on slices of hippocampi 30 % of the nodes lose .03 to all (3 seeds), no better than the
    strided network with its logits interpolated. One layer alone, on a small image, loses its time
    on the way to the nodes and back.

    Parameters
    ----------
    model : Module
        Its stages consist of convolutions, pooling, batch, group and instance norms, pointwise
        functions and sums; odd kernels, padding that keeps the size, strides that are powers of
        two. Copied, not changed.
    stages : str or sequence of str
        Names of the submodules, in the order in which they are called one after another.
    mask : callable or Module, optional
        ``mask(image, size)`` returns the level map for features of sides `size`: a `LearnedLevels`,
        or e.g. ``lambda image, size: levels_from_edges(image, 2, size=size)``. Else pass level maps
        to `forward`.
    anchor : {"first", "centre"}
        See `AdaptiveConv2d`; as the published code: "centre".

    Raises
    ------
    ArgumentError
        If a stage does not exist, or has a layer with no adaptive form; names it.

    Examples
    --------
    >>> import torch
    >>> conv = nn.Conv2d(8, 8, 3, stride=2, padding=1)
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), conv)
    >>> network, x = make_adaptive(model, "1"), torch.randn(1, 3, 16, 16)
    >>> torch.allclose(network(x, 1)[..., ::2, ::2], model(x), atol=1e-5)
    True
    """
    names = [stages] if isinstance(stages, str) else list(stages)
    network = copy.deepcopy(model)
    for name in names:
        if not name or name not in dict(network.named_modules()):
            raise ArgumentError(
                f"no stage {name!r}; the model has"
                f" {', '.join(n for n, _ in network.named_children())}"
            )
        for inner, layer in list(network.get_submodule(name).named_modules(prefix=name)):
            if not list(layer.children()):
                parent, _, leaf = inner.rpartition(".")
                made = _adaptive(layer, inner)
                if isinstance(made, AdaptiveConv2d | AdaptiveConv3d | AdaptivePool):
                    made.anchor = one_of(anchor, ANCHORS, "anchor")
                setattr(network.get_submodule(parent), leaf, made)
    if not names:
        raise ArgumentError("make_adaptive needs at least one stage")
    return AdaptiveNetwork(network, names, mask).train(model.training)


def _adaptive(layer: nn.Module, name: str) -> nn.Module:
    """Return a layer's form on nodes, with the same parameters."""
    made: Any = None
    source: Any = layer
    if isinstance(layer, _CONVOLUTIONS):
        made = _adaptive_conv(source, name)
    elif isinstance(layer, nn.modules.batchnorm._BatchNorm):
        made = AdaptiveBatchNorm(
            source.num_features,
            source.eps,
            source.momentum,
            source.affine,
            source.track_running_stats,
        )
    elif isinstance(layer, nn.GroupNorm):
        made = AdaptiveGroupNorm(source.num_groups, source.num_channels, source.eps, source.affine)
    elif isinstance(layer, nn.modules.instancenorm._InstanceNorm) and not layer.track_running_stats:
        made = AdaptiveGroupNorm(
            source.num_features, source.num_features, source.eps, source.affine
        )
    elif isinstance(layer, nn.MaxPool2d | nn.MaxPool3d | nn.AvgPool2d | nn.AvgPool3d):
        made = _adaptive_pool(source, name)
    elif list(layer.parameters()) or isinstance(layer, _NEIGHBOURS):
        raise _refusal(name, layer, "has no adaptive form; end the stages before it")
    if made is None:
        return layer
    made.train(layer.training)
    for key in (*source._parameters, *source._buffers):
        setattr(made, key, getattr(source, key))
    if isinstance(layer, _CONVOLUTIONS):
        made.store_channels_last()
    return made


_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
_NEIGHBOURS = (
    nn.Upsample,
    nn.Flatten,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
)


def _adaptive_conv(conv: Any, name: str) -> nn.Module:
    keeps = tuple(d * (k // 2) for k, d in zip(conv.kernel_size, conv.dilation, strict=True))
    if (
        conv.padding not in (keeps, "same")
        or conv.padding_mode != "zeros"
        or len(set(conv.stride)) > 1
    ):
        raise _refusal(name, conv, f"needs zero padding {keeps} and one stride for all axes")
    kind = AdaptiveConv2d if len(keeps) == 2 else AdaptiveConv3d
    return kind(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        stride=conv.stride[0],
        dilation=conv.dilation,
        groups=conv.groups,
        bias=conv.bias is not None,
    )


def _adaptive_pool(pool: Any, name: str) -> nn.Module:
    sides = {
        value if isinstance(value, tuple) else (value,)
        for value in (pool.kernel_size, pool.stride, pool.padding)
    }
    kernel, stride, padding = (
        value[0] if isinstance(value, tuple) else value
        for value in (pool.kernel_size, pool.stride, pool.padding)
    )
    plain = getattr(pool, "dilation", 1) == 1 and getattr(pool, "count_include_pad", True)
    if any(len(set(side)) > 1 for side in sides) or not plain or padding != (kernel - 1) // 2:
        raise _refusal(
            name, pool, f"needs a cubic window, no dilation, and padding {(kernel - 1) // 2}"
        )
    return AdaptivePool(
        kernel,
        stride=stride,
        mode="max" if isinstance(pool, nn.MaxPool2d | nn.MaxPool3d) else "mean",
    )


def _refusal(name: str, layer: nn.Module, what: str) -> ArgumentError:
    return ArgumentError(f"layer {name!r}, {layer}, {what}")
