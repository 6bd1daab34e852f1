"""A network whose last stages run on adaptive nodes, fine where it matters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from meshconv.errors import ArgumentError
from meshconv.nn.layers.adaptive_nodes import AdaptiveNodes
from meshconv.nn.layers.learned_levels import LearnedLevels, LevelChoice
from meshconv.nn.layers.macs import macs

Mask = Callable[[Tensor, tuple[int, ...]], "Tensor | LevelChoice"]


class AdaptiveNetwork(nn.Module):
    """A network whose stages run on adaptive nodes; made by `make_adaptive`.

    Attributes
    ----------
    model : Module
        The network; its parameters have their own names in the state dict, which is the ordinary
        network's.
    mask : callable or None
        ``mask(image, size)`` returns a level map of sides `size`, or a `LevelChoice`.
    """

    def __init__(self, model: nn.Module, stages: Sequence[str], mask: Mask | None) -> None:
        super().__init__()
        self.model, self.mask, self.stages = model, mask, tuple(stages)
        self._pass = _Pass()
        model.get_submodule(stages[0]).register_forward_pre_hook(self._enter)
        model.get_submodule(stages[-1]).register_forward_hook(self._leave)
        hooks: Any = self  # torch gives these two no types
        hooks.register_state_dict_post_hook(_without_model)
        hooks.register_load_state_dict_pre_hook(_with_model)

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
            where = "cpu" if x.is_meta else x.device  # levels are numbers, even of an image without
            used = torch.full((1, 1, *x.shape[2:]), used, device=where)
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


def _without_model(_network: nn.Module, state: dict[str, Any], prefix: str, _local: Any) -> None:
    inner = f"{prefix}model."
    for key in [key for key in state if key.startswith(inner)]:
        state[prefix + key.removeprefix(inner)] = state.pop(key)


def _with_model(network: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for key in network.get_submodule("model").state_dict():
        if prefix + key in state:
            state[f"{prefix}model.{key}"] = state.pop(prefix + key)
