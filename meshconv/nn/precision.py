"""What a program may look at: where half precision must not reach, where there are no numbers."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def without_autocast(tensor: Tensor) -> AbstractContextManager[object]:
    """Return a block in which autocast is off on the tensor's device; on ``meta`` there is none."""
    if tensor.device.type == "meta":
        return nullcontext()
    return torch.autocast(tensor.device.type, enabled=False)


def valueless(tensor: Tensor) -> bool:
    """Return whether nothing may depend on the tensor's values: in a graph being made, on meta."""
    return tensor.is_meta or torch.compiler.is_compiling()


def free(size: Iterable[int]) -> bool:
    """Return whether a side is left open, in a program exported for any size."""
    return any(isinstance(n, torch.SymInt) for n in size)
