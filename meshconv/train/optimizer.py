"""How the weights are moved, and how fast in which epoch."""

from __future__ import annotations

import math

import torch
from torch import nn

from meshconv.train.config import TrainConfig


def new_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Return AdamW; what has one axis (biases, norms) and the density are not pulled to zero.

    Fixed parameters are in it too, so that a checkpoint fits whatever is fixed now.
    """
    pulled: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        kind = free if parameter.ndim < 2 or name.startswith("density.") else pulled
        kind.append(parameter)
    groups = [
        {"params": pulled, "weight_decay": config.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=config.learning_rate
    )


def set_rate(optimizer: torch.optim.Optimizer, config: TrainConfig, epoch: float) -> None:
    """Let the rate rise over the first epoch, then fall along a cosine to zero: a function of the
    epoch, so nothing to store.
    """
    warm = min(1.0, 0.1 + 0.9 * epoch)
    rate = config.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * epoch / config.epochs))
    for group in optimizer.param_groups:
        group["lr"] = rate
