"""Memory that a job frees stays at hand until the job ends, whatever the worker's settings say."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

# of malloc.h, with glibc's own defaults: what it reaches by itself where no threshold is set
_TRIM, _MAP = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
_MAP_FROM, _MAP_MOST = 1 << 17, 1 << 25
_SET = "MALLOC_TRIM_THRESHOLD_"


@contextmanager
def kept_memory() -> Iterator[None]:
    """Do not hand memory back to the system at every ``free`` inside a ``with`` block.

    Dask starts its workers with a trim threshold of 64 KiB, which also stops glibc from learning
    how large arrays are: every array beyond 128 KiB is mapped, faulted in page by page and given
    back, 24,000 page faults for a small scan and a fifth of its time. Inside the block thresholds
    are those that glibc reaches without that setting; after it they are again what the setting
    says. Without glibc, or without the setting, nothing happens.
    """
    given = os.environ.get(_SET, "")
    mallopt = _mallopt() if given.isdigit() else None
    if mallopt is None:
        yield
        return
    mallopt(_MAP, _MAP_MOST)
    mallopt(_TRIM, 2 * _MAP_MOST)
    try:
        yield
    finally:
        mallopt(_MAP, int(os.environ.get("MALLOC_MMAP_THRESHOLD_", _MAP_FROM)))
        mallopt(_TRIM, min(int(given), 2**31 - 1))


@cache
def _mallopt() -> Any:
    return getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
