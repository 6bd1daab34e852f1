"""What a scan is: a file, a surface or a `Scan`, with all that is known of it; read one by one,
here or wherever its job is done. One that cannot be read is a result too.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from os.path import abspath
from typing import Any

from meshconv.datasets.scan import Population, Scan
from meshconv.errors import ArgumentError, ArrayTypeError, MeshConvError
from meshconv.io.convert import as_surface
from meshconv.io.read import load
from meshconv.mesh.surface import Surface
from meshconv.train.skipped import Skipped

# what a bad scan may lead to, in our own code or in a library's; all else is a fault of the program
EXPECTED = (
    ValueError,
    OSError,
    ArithmeticError,
    LookupError,
    TypeError,
    RuntimeError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
)
UNLABELLED = -1
_LISTED = 20  # bad scans in one message

ScanLike = Scan | Surface | str | PathLike[str]
NumberedScan = tuple[int, Scan]


def all_of(skipped: Sequence[Skipped], count: int) -> Exception:
    """Return what was wrong with each bad scan of so many, as one error of the first one's kind."""
    first = skipped[0].as_error()
    if len(skipped) == 1 or not isinstance(first, MeshConvError):
        return first
    listed = " | ".join(str(one.as_error()) for one in skipped[:_LISTED])
    more = f" | and {len(skipped) - _LISTED} more" if len(skipped) > _LISTED else ""
    return type(first)(
        f"{len(skipped)} of {count} scans cannot be used: {listed}{more}",
        indices=[one.index for one in skipped],
        count=len(skipped),
        hint="on_error='skip' (--on-error skip) leaves them out",
    )


def as_scan(given: Any, *, name: str = "scan") -> Scan:
    """Return a scan of whatever holds a surface.

    A file is named by its path and is of a subject of that name; any other surface is called `name`
    and is of nobody known. What says nothing of a label or a mirror has none.

    Raises
    ------
    ArgumentError
        If it holds no surface.
    """
    if isinstance(given, Scan):
        return given
    if isinstance(given, str | PathLike):
        return Scan(load(given), UNLABELLED, subject_of(given), subject_of(given))
    try:
        return Scan(as_surface(given), UNLABELLED, name, "")
    except ArrayTypeError as error:
        found = type(given).__name__
        raise ArgumentError(
            f"{name} must be a Scan, a Surface or a path, found {found} ({error.message})"
        ) from error


def subject_of(given: Any) -> str:
    """Return whom a scan is of, empty where it is not known; the file is not read."""
    if isinstance(given, Scan):
        return given.subject
    return fspath(given) if isinstance(given, str | PathLike) else ""


def subjects_of(scans: Any) -> list[str]:
    """Return the subject of each of several scans, without reading any; empty where none is
    known.
    """
    if hasattr(scans, "subjects"):
        return list(scans.subjects)
    return [subject_of(scan) for scan in scans] if isinstance(scans, list | tuple) else []


@dataclass(frozen=True, eq=False)
class Unread:
    """A scan that is still to be read: what is sent to whoever prepares it.

    Attributes
    ----------
    index : int
    name : str
        Until it is known better.
    given : ScanLike or None
        The absolute path of a file, a surface that is in memory; None for scan `index` of a
        population, which all jobs share.
    """

    index: int
    name: str
    given: ScanLike | None

    def read(self, population: Population | None) -> NumberedScan | Skipped:
        """Return the scan with its number, or why it cannot be read."""
        try:
            if self.given is None and population is not None:
                return self.index, as_scan(population[self.index], name=self.name)
            found = as_scan(self.given, name=self.name)
            if isinstance(self.given, str | PathLike):  # called as it was, not as it was found
                found = replace(found, name=self.name, subject=self.name)
            return self.index, found
        except EXPECTED as error:
            return self._skipped(error)

    def _skipped(self, error: Exception) -> Skipped:
        source = getattr(error, "path", None)
        nameless = self.name == f"scan {self.index}"
        return Skipped(self.index, source if nameless and source is not None else self.name, error)


def population_of(scans: Sequence[ScanLike]) -> Population | None:
    """Return scans that are read or made when asked for, wherever that is; None of a mere list."""
    return scans if isinstance(scans, Population) else None


def unread(
    scans: Sequence[ScanLike], order: Iterable[int] | None = None
) -> Iterator[Unread | Skipped]:
    """Yield the scans in the order given, none of them read: files by their path, those of a
    population by their number.
    """
    population = population_of(scans)
    for k in range(len(scans)) if order is None else order:
        blank = Unread(k, f"scan {k}", None)
        try:
            named = callable(getattr(scans, "name", None))
            one = replace(blank, name=scans.name(k)) if named else blank  # type: ignore[attr-defined]
            yield one if population is not None else _of_list(one, scans[k])
        except EXPECTED as error:
            yield blank._skipped(error)


def _of_list(one: Unread, given: Any) -> Unread:
    if isinstance(given, str | PathLike):
        return replace(one, name=fspath(given), given=abspath(given))
    return replace(one, given=given)


def read(
    scans: Sequence[ScanLike], order: Iterable[int] | None = None
) -> Iterator[NumberedScan | Skipped]:
    """Read the scans one by one, in the order given; each with its number."""
    population = population_of(scans)
    for one in unread(scans, order):
        yield one if isinstance(one, Skipped) else one.read(population)
