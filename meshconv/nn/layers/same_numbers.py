"""Whether weights still are what something was computed from."""

from __future__ import annotations

import torch
from torch import Tensor


def same_numbers(a: Tensor, b: Tensor) -> bool:
    """Return whether two tensors are equal and live on the same device, in the same precision."""
    return a.device == b.device and a.dtype == b.dtype and torch.equal(a, b)
