"""How far a training run has come, and the checkpoint that it is taken up from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn

from meshconv.errors import CheckpointError
from meshconv.train.checkpoint import read_checkpoint, refuse_differences, write_checkpoint

State = dict[str, Tensor]


@dataclass
class Progress:
    """How far a run has come.

    Attributes
    ----------
    losses, validation_losses : list of float
        One an epoch; the latter empty without a validation set.
    best_epoch : int
        The epoch whose weights are kept: the one of least validation loss, else the last.
    """

    losses: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    best_epoch: int = -1
    best: State = field(default_factory=dict, repr=False)

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.losses)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values, without the weights."""
        return {
            "losses": self.losses,
            "validation_losses": self.validation_losses,
            "best_epoch": self.best_epoch,
        }


def store(
    path: str | PathLike[str],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    head: Mapping[str, Any],
) -> None:
    """Write everything a run needs to go on, and `head`, what it is a run of."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in progress.best.items()}
    for k, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{k}.{name}": value for name, value in state.items()}
    arrays = {name: value.detach().cpu().numpy() for name, value in tensors.items()}
    write_checkpoint(path, arrays, {"run": dict(head), "progress": progress.as_dict()})


def restore(
    path: str | PathLike[str],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    head: Mapping[str, Any],
) -> Progress:
    """Bring model and optimizer to where a checkpoint was written; refuse one of another run."""
    arrays, found = read_checkpoint(path)
    refuse_differences(found.get("run", {}), head, path)
    kinds: dict[str, State] = {"model": {}, "best": {}, "optimizer": {}}
    for name, array in arrays.items():
        kind, _, rest = name.partition(".")
        kinds[kind][rest] = torch.from_numpy(array.copy())
    states: dict[int, State] = {}
    for name, value in kinds["optimizer"].items():
        k, _, key = name.partition(".")
        states.setdefault(int(k), {})[key] = value
    try:
        model.load_state_dict(kinds["model"])
    except RuntimeError as error:
        raise CheckpointError(f"the weights are of another model: {error}", path=path) from error
    optimizer.load_state_dict(
        {"state": states, "param_groups": optimizer.state_dict()["param_groups"]}
    )
    return Progress(**found["progress"], best=kinds["best"])
