"""Memory that is freed stays at hand for a while, instead of being mapped anew for every array."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any, NamedTuple

_MOST_MAPS, _MAP_FROM, _SET = "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"
_LARGE = 500_000  # vertices from which on arrays are beyond what glibc keeps by itself ...
_LARGEST = 2_000_000  # ... and up to which the gaps between them are worth their memory


class _Thresholds(NamedTuple):
    """Of malloc.h: at most so many blocks are mapped by themselves, those of at least so many
    bytes; so many free bytes at the end of the heap are handed back.
    """

    most_maps: int
    map_from: int
    trim: int


_CODES = _Thresholds(-4, -3, -1)  # M_MMAP_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
_BY_ITSELF = _Thresholds(1 << 16, 1 << 25, 1 << 26)  # what glibc reaches where none is set
_AT_FIRST = _Thresholds(1 << 16, 1 << 17, 1 << 17)  # where it is kept from learning
_ALL = _Thresholds(0, 1 << 25, -1)  # nothing is mapped, nothing handed back

_lock = Lock()
_active: list[_Thresholds] = []


@contextmanager
def kept_memory() -> Iterator[None]:
    """Do not hand memory back to the system at every ``free`` inside a ``with`` block.

    Dask starts its workers with a trim threshold of 64 KiB, which also stops glibc from learning
    how large arrays are: every array beyond 128 KiB is mapped, faulted in page by page and given
    back, 24,000 page faults for a small scan and a fifth of its time. Inside the block thresholds
    are those that glibc reaches without that setting; after it they are again what the setting
    says. Without glibc, or without the setting, nothing happens.
    """
    if os.environ.get(_SET, "").isdigit() and _library() is not None:
        with _during(_BY_ITSELF):
            yield
    else:
        yield


@contextmanager
def kept_for_large(n_vertices: int) -> Iterator[None]:
    """Use freed memory again for the next array inside a ``with`` block, if the mesh is large.

    glibc maps every array beyond 32 MiB by itself and hands it back when it is freed; a map of a
    million vertices spent a third of its time on new pages. At the end of the block all that is
    free is handed back at once. Without glibc nothing happens, nor where a map takes gigabytes:
    gaps in the heap add 6 % to the peak of four million vertices.
    """
    if not _LARGE <= n_vertices < _LARGEST or _library() is None:
        yield
        return
    try:
        with _during(_ALL):
            yield
    finally:
        if _ALL not in _active:
            _library().malloc_trim(ctypes.c_size_t(0))


@contextmanager
def _during(wanted: _Thresholds) -> Iterator[None]:
    """Set thresholds until the end, or longer where another thread still wants them."""
    with _lock:
        _active.append(wanted)
        _set(min(_active))
    try:
        yield
    finally:
        with _lock:
            _active.remove(wanted)
            _set(min(_active, default=_outside()))


def _outside() -> _Thresholds:
    """What the environment says, or what glibc reaches by itself where that says nothing."""
    said = [os.environ.get(name, "") for name in (_MOST_MAPS, _MAP_FROM, _SET)]
    if not any(one.isdigit() for one in said):
        return _BY_ITSELF
    pairs = zip(said, _AT_FIRST, strict=True)
    return _Thresholds(*(min(int(a), 2**31 - 1) if a.isdigit() else b for a, b in pairs))


def _set(thresholds: _Thresholds) -> None:
    for code, value in zip(_CODES, thresholds, strict=True):
        _library().mallopt(code, value)


@cache
def _library() -> Any:
    """The C library, if it is glibc."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "malloc_trim") else None
