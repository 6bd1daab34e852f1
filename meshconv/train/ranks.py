"""`Ranks`: processes that train one network together, each on a share of every batch. One process
is the case of one rank, and goes the same way.

The shares together give what one process gives for the whole batch: random numbers are drawn for
all of it on every rank, batch norm takes the statistics of all shares, and gradients are summed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from meshconv.errors import ArgumentError
from meshconv.nn.sample import full_precision

T = TypeVar("T")
_PATIENCE = timedelta(days=2)  # the others wait while the first prepares thousands of scans


@dataclass(frozen=True)
class Share:
    """Some rows of a batch, of `whole` rows in all."""

    rows: slice
    whole: int


@dataclass(frozen=True)
class Ranks:
    """The processes that work together, and which of them this one is.

    Attributes
    ----------
    number, count : int
        0 .. count - 1; by default one process by itself.
    """

    number: int = 0
    count: int = 1

    @classmethod
    def here(cls) -> Ranks:
        """Return the ranks of `torch.distributed` if this process has joined them, else of itself
        alone.
        """
        if distributed.is_available() and distributed.is_initialized():
            return cls(distributed.get_rank(), distributed.get_world_size())
        return cls()

    @property
    def leads(self) -> bool:
        """Whether this is the first, who alone writes and speaks."""
        return self.number == 0

    def share(self, n: int) -> Share:
        """Return which of n rows are this rank's.

        >>> [Ranks(k, 3).share(8).rows for k in range(3)]
        [slice(0, 2, None), slice(2, 5, None), slice(5, 8, None)]
        """
        ends = [n * k // self.count for k in (self.number, self.number + 1)]
        return Share(slice(*ends), n)

    def check_batches(self, smallest: int) -> None:
        """Refuse batches of fewer images than there are ranks.

        Raises
        ------
        ArgumentError
            If a rank would have nothing to do.
        """
        if smallest < self.count:
            raise ArgumentError(
                f"a batch of {smallest} images has no share for each of {self.count} ranks",
                hint="a larger batch_size, or fewer ranks",
            )

    def as_one(self, share: Share) -> AbstractContextManager[Any]:
        """Return a block in which a share of a batch is worked on as part of the whole."""
        return nullcontext() if self.count == 1 else _OneBatch(share)

    def summed(self, value: Tensor) -> Tensor:
        """Return the sum of a value over the ranks, without a gradient."""
        return value.detach() if self.count == 1 else _sum(value)

    def sum_gradients(self, model: nn.Module) -> None:
        """Make every rank's gradients those of all shares together."""
        found = [one.grad for one in model.parameters() if one.grad is not None]
        if self.count == 1 or not found:
            return
        total = _sum(torch.cat([grad.flatten() for grad in found]))
        for grad, part in zip(
            found, torch.split(total, [grad.numel() for grad in found]), strict=True
        ):
            grad.copy_(part.view_as(grad))

    def from_first(self, make: Callable[[], T]) -> T:
        """Return what the first rank makes, on every rank."""
        if self.count == 1:
            return make()
        box: list[Any] = [make() if self.leads else None]
        distributed.broadcast_object_list(box, src=0)
        found: T = box[0]
        return found

    def copy_from_first(self, model: nn.Module) -> None:
        """Give every rank the weights and buffers of the first."""
        if self.count > 1:
            for value in model.state_dict().values():
                distributed.broadcast(value, src=0)

    @contextmanager
    def first_then_others(self) -> Iterator[None]:
        """Let the first rank through the block, and then all others: what it left in a cache, they
        find.
        """
        if self.count > 1 and not self.leads:
            distributed.barrier()
        yield
        if self.count > 1 and self.leads:
            distributed.barrier()


@contextmanager
def joined(device: str | None = None) -> Iterator[tuple[Ranks, str | None]]:
    """Join the processes that ``torchrun`` started; yield them, and this one's own device.

    By NCCL where networks run on CUDA, else by gloo. A process that was started by itself, or has
    joined already, is left as it is.
    """
    alone = int(os.environ.get("WORLD_SIZE", "1")) == 1
    if alone or not distributed.is_available() or distributed.is_initialized():
        yield Ranks.here(), device
        return
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    on_cuda = device is not None and device.startswith("cuda")
    if device is not None and on_cuda:
        device = f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" else device
        torch.cuda.set_device(device)
    store, number, count = next(rendezvous("env://", timeout=_PATIENCE))
    # torchrun keeps its store when it starts ranks anew, with the addresses of those that died
    store = PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
    own = {"store": store, "rank": number, "world_size": count, "timeout": _PATIENCE}
    distributed.init_process_group("nccl" if on_cuda else "gloo", **own)
    try:
        yield Ranks.here(), device
    finally:
        distributed.destroy_process_group()


def _sum(value: Tensor) -> Tensor:
    total = value.detach().clone()
    distributed.all_reduce(total)
    return total


class _Summed(torch.autograd.Function):
    """The sum over the ranks, of which each loss is a part: gradients are summed likewise."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return _sum(value)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        return _sum(slopes[0])


class _OneBatch(TorchFunctionMode):
    """Both functions that see more of a batch than one row, made to see all of it."""

    def __init__(self, share: Share) -> None:
        super().__init__()
        self._share = share

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        own = {functional.batch_norm: _batch_norm, functional.dropout: self._dropout}
        return own.get(func, func)(*args, **(kwargs or {}))

    def _dropout(
        self, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        """Draw for the whole batch, of whose rows each may be several of `x`."""
        rows, whole = self._share.rows, self._share.whole
        each = len(x) // (rows.stop - rows.start)
        drawn = functional.dropout(x.new_ones(whole * each, *x.shape[1:]), p, training)
        return x * drawn[rows.start * each : rows.stop * each]


def _batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return `torch.nn.functional.batch_norm` of all ranks' rows."""
    if not training:
        return functional.batch_norm(
            x, running_mean, running_var, weight, bias, False, momentum, eps
        )
    axes, shape = [0, *range(2, x.ndim)], [1, -1, *[1] * (x.ndim - 2)]
    values = full_precision(x)
    count = _sum(values.new_tensor(float(x.numel() // x.shape[1])))
    mean = _summed(values.sum(dim=axes)) / count
    centred = values - mean.view(shape)
    variance = _summed(centred.square().sum(dim=axes)) / count
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean), momentum)
            running_var.lerp_((variance * count / (count - 1)).to(running_var), momentum)
    out = centred * torch.rsqrt(variance + eps).view(shape)
    out = out if weight is None else out * weight.view(shape)
    return (out if bias is None else out + bias.view(shape)).to(x.dtype)


def _summed(value: Tensor) -> Tensor:
    total: Tensor = _Summed.apply(value)  # type: ignore[no-untyped-call]
    return total
