"""Content-adaptive downsampling of an ordinary network: its last stages on nodes, fine where it
matters.

The parts are in `adaptive_levels`, `adaptive_nodes`, `adaptive_layers` and `adaptive_masks`, and
are named here too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from meshconv.errors import ArgumentError
from meshconv.nn.layers.adaptive_layers import (
    AdaptiveBatchNorm,
    AdaptiveConv2d,
    AdaptiveConv3d,
    AdaptiveGroupNorm,
    AdaptivePool,
    macs,
    node_conv,
)
from meshconv.nn.layers.adaptive_levels import aligned_levels, node_fraction
from meshconv.nn.layers.adaptive_masks import (
    LearnedLevels,
    LevelChoice,
    cost_penalty,
    edge_strength,
    levels_for_cost,
    levels_from_curvature,
    levels_from_density,
    levels_from_edges,
    levels_from_points,
)
from meshconv.nn.layers.adaptive_nodes import AdaptiveNodes, NodeLayout

__all__ = [
    "AdaptiveBatchNorm",
    "AdaptiveConv2d",
    "AdaptiveConv3d",
    "AdaptiveGroupNorm",
    "AdaptiveNetwork",
    "AdaptiveNodes",
    "AdaptivePool",
    "LearnedLevels",
    "LevelChoice",
    "NodeLayout",
    "aligned_levels",
    "cost_penalty",
    "edge_strength",
    "levels_for_cost",
    "levels_from_curvature",
    "levels_from_density",
    "levels_from_edges",
    "levels_from_points",
    "macs",
    "make_adaptive",
    "node_conv",
    "node_fraction",
]

Mask = Callable[[Tensor, tuple[int, ...]], "Tensor | LevelChoice"]


class AdaptiveNetwork(nn.Module):
    """A network whose stages run on adaptive nodes; made by `make_adaptive`.

    Attributes
    ----------
    model : Module
        The network, its parameters under their own names.
    mask : callable or None
        ``mask(image, size)`` returns a level map of sides `size`, or a `LevelChoice`.
    """

    def __init__(self, model: nn.Module, stages: Sequence[str], mask: Mask | None) -> None:
        super().__init__()
        self.model, self.mask, self.stages = model, mask, tuple(stages)
        self._pass = _Pass()
        model.get_submodule(stages[0]).register_forward_pre_hook(self._enter)
        model.get_submodule(stages[-1]).register_forward_hook(self._leave)

    def forward(self, x: Tensor, level: Tensor | LevelChoice | int | None = None) -> Tensor:
        """Return the model's output.

        Parameters
        ----------
        x : (B, C, *N) Tensor
        level : (B, 1, *S) Tensor, LevelChoice or int, optional
            Times downsampled, for the input of the first adaptive stage with sides S; one number
            for all pixels. By default the mask's answer. Only what the stages' strides downsample
            is used.
        """
        return self.run(x, level)[0]

    def run(
        self, x: Tensor, level: Tensor | LevelChoice | int | None = None
    ) -> tuple[Tensor, Tensor | LevelChoice]:
        """Return the output and the level map, or choice, that it was computed with.

        With a `LearnedLevels` mask in training the output's value is still the sparse network's
        alone. Each level's gate gets the gradient it would have in a mixture of the networks run
        wholly at that level; these cost n + 1 passes without gradient.
        """
        if level is None and self.mask is None:
            raise ArgumentError(
                "a network without a mask needs a level map", hint="pass level= or mask="
            )
        constant: list[Tensor] = []
        try:
            if level is None and self.training and isinstance(self.mask, LearnedLevels):
                constant = self._constant(x, self.mask.levels)
            self._pass = _Pass(image=x, level=level, constant=constant)
            output: Tensor = self.model(x)
            if self._pass.used is None:
                raise ArgumentError(
                    f"the model's forward pass does not call stage {self.stages[0]!r}"
                )
            return output, self._pass.used
        finally:
            self._pass = _Pass()

    def macs(self, x: Tensor, level: Tensor | LevelChoice | int | None = None) -> int:
        """Return the multiply-accumulates of one forward pass in evaluation mode, mask included."""
        return macs(self, x, level)

    def _constant(self, x: Tensor, levels: int) -> list[Tensor]:
        """Return the last stage's image for all pixels at level 0, 1, ..., levels, in evaluation
        mode.
        """
        modes = {module: module.training for module in self.model.modules()}
        found: list[Tensor] = []
        last = self.model.get_submodule(self.stages[-1])
        handle = last.register_forward_hook(lambda _module, _inputs, output: found.append(output))
        try:
            self.model.eval()
            with torch.no_grad():
                for k in range(levels + 1):
                    self._pass = _Pass(level=k)
                    self.model(x)
        finally:
            handle.remove()
            for module, mode in modes.items():
                module.training = mode
        return found

    def _enter(self, _module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        x = inputs[0]
        used: Any = self._pass.level
        if used is None and self.mask is not None and self._pass.image is not None:
            used = self.mask(self._pass.image, tuple(x.shape[2:]))
        if isinstance(used, int):
            used = torch.full((1, 1, *x.shape[2:]), used, device=x.device)
        self._pass.used = used
        level = used.level if isinstance(used, LevelChoice) else used
        return (AdaptiveNodes.from_image(x, level, depth=0), *inputs[1:])

    def _leave(self, _module: nn.Module, _inputs: tuple[Any, ...], nodes: AdaptiveNodes) -> Tensor:
        image = nodes.to_image()
        if self._pass.constant and isinstance(self._pass.used, LevelChoice):
            gates = self._pass.used.gates
            zero = gates - gates.detach()  # straight through: no value, only the gates' gradient
            for k, other in enumerate(self._pass.constant):
                image = image + zero[:, k, None].to(image.dtype) * other
        return image


@dataclass
class _Pass:
    """What one forward pass hands from the outer call to the stages' hooks, and back."""

    image: Tensor | None = None
    level: Tensor | LevelChoice | int | None = None
    constant: list[Tensor] = field(default_factory=list)
    used: Tensor | LevelChoice | None = None


def make_adaptive(
    model: nn.Module, stages: str | Sequence[str], *, mask: Mask | None = None
) -> AdaptiveNetwork:
    """Return a copy of an ordinary network whose last stages run on adaptive nodes, with its own
    weights.

    From the first stage's input on, every strided layer downsamples only where the level map says
    so, and the later layers dilate there instead. At level 0 everywhere this is the network with
    dilation for strides, at the highest level it is the network itself. After the last stage the
    image is filled at the resolution of the first stage's input; what follows must not depend on
    resolution (1x1 convolutions, global mean).

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

    Raises
    ------
    ArgumentError
        If a stage does not exist, or has a layer with no adaptive form; names it.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, stride=2, padding=1))
    >>> network, x = make_adaptive(model, "1"), torch.randn(1, 3, 16, 16)
    >>> torch.allclose(network(x, 1)[..., ::2, ::2], model(x), atol=1e-5)
    True
    """
    names = [stages] if isinstance(stages, str) else list(stages)
    network = copy.deepcopy(model)
    for name in names:
        if not name or name not in dict(network.named_modules()):
            raise ArgumentError(
                f"no stage {name!r}; the model has {', '.join(n for n, _ in network.named_children())}"
            )
        for inner, layer in list(network.get_submodule(name).named_modules(prefix=name)):
            if not list(layer.children()):
                parent, _, leaf = inner.rpartition(".")
                setattr(network.get_submodule(parent), leaf, _adaptive(layer, inner))
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
