"""How far long work has come: a bar on a terminal, elsewhere a line a minute at most."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
_PAUSE = 60.0  # seconds between two lines


class Meter:
    """Told how much is done; shows it on stderr, unless nothing is to be shown.

    Parameters
    ----------
    what, unit : str
        ``prepare``, ``scan``.
    total : int
    shown : bool
    """

    def __init__(self, what: str, unit: str, total: int, *, shown: bool = True) -> None:
        self.what, self.unit, self.total, self.shown = what, unit, total, shown
        self._said = time.monotonic()
        self._bar: Any = None
        if shown and sys.stderr.isatty():
            with contextlib.suppress(ImportError):  # lines without it
                from tqdm import tqdm

                self._bar = tqdm(total=total, desc=what, unit=unit)

    def at(self, done: int) -> None:
        """Say that so much is done."""
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
        elif self.shown and time.monotonic() - self._said >= _PAUSE:
            self._said = time.monotonic()
            with contextlib.suppress(OSError):  # nobody listens
                sys.stderr.write(f"{self.what}: {done} of {self.total} {self.unit}s\n")
                sys.stderr.flush()

    def close(self) -> None:
        """Leave the line of the bar."""
        if self._bar is not None:
            self._bar.close()


def metered(items: Iterable[T], meter: Meter) -> Iterator[T]:
    """Yield items and tell the meter."""
    try:
        for k, item in enumerate(items, start=1):
            yield item
            meter.at(k)
    finally:
        meter.close()
