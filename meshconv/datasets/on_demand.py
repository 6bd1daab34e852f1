"""Sequences whose items are read or made when asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar, overload

Item_co = TypeVar("Item_co", covariant=True)


class OnDemand(Sequence[Item_co], Generic[Item_co]):
    """A sequence by its length and `item` alone: slices and negative places follow."""

    _kind = "item"  # what the message of a wrong index calls one

    @abstractmethod
    def item(self, k: int) -> Item_co:
        """Return item k, 0 <= k < len(self); always the same."""

    @overload
    def __getitem__(self, k: int) -> Item_co: ...
    @overload
    def __getitem__(self, k: slice) -> list[Item_co]: ...
    def __getitem__(self, k: int | slice) -> Item_co | list[Item_co]:
        if isinstance(k, slice):
            return [self.item(j) for j in range(len(self))[k]]
        if not -len(self) <= k < len(self):
            raise IndexError(f"{self._kind} {k} of {len(self)}")
        return self.item(k % len(self))
