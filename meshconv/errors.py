"""The exception and warning tree: every refusal says what, where, which value, and what to do next.

All errors derive from `MeshConvError` (a `ValueError`) and, where one fits, a second builtin. Each
carries

- ``path``: the file, if one was read or written;
- ``line``: the 1-based line in that file, if text;
- ``indices``: the first ten offending elements (vertices, faces, edges or samples);
- ``count``: how many there are in all;
- ``hint``: the next step for the user.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike, fspath
from typing import Any


class MeshConvError(ValueError):
    """Base of every error meshconv raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong, where, and the value found.
    path, line, indices, count, hint
        See the module's docstring; all optional.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | PathLike[str] | None = None,
        line: int | None = None,
        indices: Iterable[Any] = (),
        count: int | None = None,
        hint: str = "",
    ) -> None:
        self.message = message
        self.path = None if path is None else fspath(path)
        self.line = line
        self.indices = tuple(indices)[:10]
        self.count = len(self.indices) if count is None else int(count)
        self.hint = hint
        super().__init__(self._text())

    def _text(self) -> str:
        where = self.path or ""
        if self.line is not None:
            where += f", line {self.line}" if where else f"line {self.line}"
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}; {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[Any, ...]:
        # keyword-only state does not survive the default pickling, and errors cross process pools
        return (_rebuild, (type(self), self.message, self._state()))

    def _state(self) -> dict[str, Any]:
        return {k: getattr(self, k) for k in ("path", "line", "indices", "count", "hint")}

    def at(self, path: str | PathLike[str]) -> MeshConvError:
        """Return the same error with the file named, for readers that learn the path later."""
        return type(self)(self.message, **{**self._state(), "path": path})


def _rebuild(cls: type[MeshConvError], message: str, state: dict[str, Any]) -> MeshConvError:
    return cls(message, **state)


class ArgumentError(MeshConvError):
    """An option has a value outside its range, or options contradict each other."""


class ArrayTypeError(MeshConvError, TypeError):
    """An array has the wrong dtype or shape to mean what the argument means."""


# --- files ---------------------------------------------------------------------------------------


class MeshIOError(MeshConvError, OSError):
    """A file cannot be read or written."""

    def __init__(self, message: str, **details: Any) -> None:
        MeshConvError.__init__(self, message, **details)

    def __str__(self) -> str:  # OSError would print (errno, strerror)
        return self._text()


class EmptyFileError(MeshIOError):
    """The file has no bytes."""


class BadFormatError(MeshIOError):
    """The content is not what the format asks for; the message says what it looks like."""


class BadHeaderError(BadFormatError):
    """A header names an impossible count, type or version."""


class BadNumberError(BadFormatError):
    """A token where a number belongs is not one."""


class TruncatedError(MeshIOError):
    """The file ends before the data that its header declares."""


class UnsupportedFormatError(MeshIOError):
    """No reader or writer for this format; the message lists those there are."""


class SecurityError(MeshIOError):
    """The file asks for something a mesh has no business with (entities, foreign paths, bombs)."""


class MissingFileError(MeshIOError, FileNotFoundError):
    """A file, or one that it refers to, does not exist."""


class FolderError(MeshIOError, IsADirectoryError):
    """A folder stands where a file is needed."""


class AccessError(MeshIOError, PermissionError):
    """The system does not allow reading or writing there."""


# --- surfaces ------------------------------------------------------------------------------------


class MeshDataError(MeshConvError):
    """The arrays do not describe a usable surface."""


class EmptyMeshError(MeshDataError):
    """There are no vertices or no faces at all."""


class NoFacesError(EmptyMeshError):
    """There are points or lines, but no faces."""


class IndexOutOfRangeError(MeshDataError, IndexError):
    """A face names a vertex that does not exist."""


class NonFiniteError(MeshDataError):
    """A NaN or an infinity where a number is needed."""


class DegenerateError(MeshDataError):
    """No area, or a face with none, where area is needed."""


class NonManifoldError(MeshDataError):
    """An edge with three faces, or a vertex where two sheets touch."""


class OrientationError(MeshDataError):
    """Neighbouring faces disagree on the outside."""


class TopologyError(MeshDataError):
    """Wrong number of components, boundary loops or handles; the message counts them."""


class ScaleError(MeshDataError):
    """Coordinates too large or small to compute with."""


# --- computation ---------------------------------------------------------------------------------


class SolverError(MeshConvError, ArithmeticError):
    """A linear or nonlinear solve failed; the message gives the residual and the likely cause."""


class DensityError(MeshConvError):
    """A density is not finite and positive, or has the wrong length."""


class FoldError(MeshConvError, ArithmeticError):
    """A map would turn faces over and could not be repaired."""


class CheckpointError(MeshConvError):
    """A checkpoint or cache is damaged, foreign, or from another configuration."""


class MissingDependencyError(MeshConvError, ImportError):
    """An optional package is not installed; the hint is the pip line."""

    def __init__(self, message: str, **details: Any) -> None:
        MeshConvError.__init__(self, message, **details)

    def __str__(self) -> str:  # ImportError would print its own msg
        return self._text()


class RenderingUnavailableError(MeshConvError, RuntimeError):
    """There is no OpenGL to draw with; the hint is the apt line."""


# --- warnings ------------------------------------------------------------------------------------


class MeshConvWarning(UserWarning):
    """Base of every warning meshconv gives."""


class LoadWarning(MeshConvWarning):
    """A file was read, and something in it was dropped, mended or doubtful; counts in the text."""


class RepairWarning(MeshConvWarning):
    """A surface was changed on the way; counts in the text."""


class AccuracyWarning(MeshConvWarning):
    """A result is valid but less accurate than asked for; both figures in the text."""


class RegistrationWarning(MeshConvWarning):
    """A scan was brought into a frame, and it is doubtful whether it lies right; look at it."""


class CacheWarning(MeshConvWarning):
    """A cached file was stale or damaged and has been recomputed."""
