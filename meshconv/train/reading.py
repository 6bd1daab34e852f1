"""Scans of any form, read one by one; one that cannot be read is a result too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike, fspath

from meshconv.datasets.scan import Scan
from meshconv.errors import ArgumentError, MeshConvError
from meshconv.io import load
from meshconv.mesh.surface import Surface
from meshconv.train.prepared import Skipped

EXPECTED = (
    ValueError,
    OSError,
    ArithmeticError,
    LookupError,
)  # what a bad scan may raise; all else is a bug

ScanLike = Scan | Surface | str | PathLike[str]


@dataclass(frozen=True, eq=False)
class Task:
    """One scan to be prepared, with all that is known of it."""

    index: int
    name: str
    subject: str
    label: int
    mirrored: bool
    surface: Surface


def read(scans: Sequence[ScanLike], order: Iterable[int] | None = None) -> Iterator[Task | Skipped]:
    """Read the scans one by one, in the order given; one that cannot be read is a result too."""
    for k in range(len(scans)) if order is None else order:
        name = f"scan {k}"
        try:
            if callable(getattr(scans, "name", None)):
                name = scans.name(k)  # type: ignore[attr-defined]
            yield _read_one(k, scans[k])
        except EXPECTED as error:
            source = getattr(error, "path", None)
            yield Skipped(k, name if source is None or name != f"scan {k}" else source, error)


def _read_one(index: int, scan: ScanLike) -> Task:
    if isinstance(scan, Scan):
        return Task(index, scan.name, scan.subject, scan.label, scan.mirrored, scan.surface)
    if isinstance(scan, Surface):
        return Task(index, f"scan {index}", "", -1, False, scan)
    if isinstance(scan, str | PathLike):
        name = fspath(scan)
        return Task(index, name, name, -1, False, load(scan))
    raise ArgumentError(
        f"scan {index} must be a Scan, a Surface or a path, found {type(scan).__name__}"
    )


def named(skipped: Skipped) -> Exception:
    """Return the error of a scan with its name in front."""
    error = skipped.error
    if isinstance(error, MeshConvError):
        return error if error.path is not None else error.at(skipped.name)
    return MeshConvError(f"{type(error).__name__}: {error}", path=skipped.name)
