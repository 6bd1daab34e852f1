"""Loops that numba compiles when they are worth it: a small file is read before numba is loaded.

The functions that reading a file takes are decorated with `compiled` instead of ``numba.njit``.
Where numba is not loaded yet and little is to be done, they run as the Python they are (or as a
version in NumPy, given as `plain`): loading numba takes longer than that.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable
from functools import cache, cached_property, update_wrapper
from typing import Any

import numpy as np

_NOTICE = (
    "meshconv: compiling for this machine, once (some seconds; meshconv warmup does all of it)"
)


class Kernel:
    """A function that numba compiles when it is first called with much to do.

    Parameters
    ----------
    function : callable
        In the language that numba compiles.
    plain : callable
        What runs before: the function itself, or another that does the same.
    by : int, optional
        Which argument tells how much there is to do; by default the largest array.
    small : int
        So many elements of it, at most, are done without numba.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        plain: Callable[..., Any] | None,
        by: int | None,
        small: float,
    ) -> None:
        self._function, self._plain = function, plain or function
        self._by, self._small = by, small
        update_wrapper(self, function)

    def __call__(self, *args: Any) -> Any:
        """Do it, compiled or not."""
        if "numba" not in sys.modules and self._work(args) <= self._small:
            if self._plain is not self._function:
                return self._plain(*args)
            return self._function(*[_as_python(one) for one in args])
        return self.compiled(*args)

    def _work(self, args: tuple[Any, ...]) -> int:
        some = args if self._by is None else (args[self._by],)
        return max((one.size for one in some if isinstance(one, np.ndarray)), default=0)

    @cached_property
    def compiled(self) -> Any:
        """The function as numba dispatches it."""
        from numba import njit

        tell_of_compiling()
        return njit(cache=True)(self._function)

    @property
    def _numba_type_(self) -> Any:
        """How numba sees this where another compiled function calls it."""
        return self.compiled._numba_type_


def compiled(
    *, plain: Callable[..., Any] | None = None, by: int | None = None, small: float = 20_000
) -> Callable[[Any], Any]:
    """Return a decorator that makes a function a `Kernel`."""
    return lambda function: Kernel(function, plain, by, small)


def _as_python(value: Any) -> Any:
    """Return bytes whose elements are Python's whole numbers, which do not wrap round at 256."""
    return value.data if isinstance(value, np.ndarray) and value.dtype == np.uint8 else value


class _Listener:
    """Says so when numba really compiles, where nothing was kept; once in a process."""

    told = False

    def notify(self, event: Any) -> None:
        """Hear of an event of numba's."""
        if _Listener.told or not event.is_start:
            return
        _Listener.told = True
        logging.getLogger("meshconv").info(_NOTICE)
        if sys.stderr is not None and sys.stderr.isatty():
            with contextlib.suppress(OSError):  # nobody listens
                sys.stderr.write(_NOTICE + "\n")
                sys.stderr.flush()


@cache
def tell_of_compiling() -> None:
    """Have a line on the terminal (and in the log, at INFO) when code is first compiled."""
    from numba.core import event

    event.Listener.register(_Listener)
    event.register("numba:compile", _Listener())
