"""Strict loading of an ordinary network's state into one with additions to it."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn


def keep_own(module: nn.Module, part: str) -> None:
    """Let a module load a state without any key of the part that was added, which then stays as it
    is; a state with some of its keys must have all.
    """
    hooks: Any = module
    hooks.register_load_state_dict_pre_hook(partial(_keep_own, part))


def _keep_own(part: str, module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    if any(key.startswith(prefix + part) for key in state):
        return
    own = module.state_dict()
    state |= {prefix + key: value for key, value in own.items() if key.startswith(part)}
