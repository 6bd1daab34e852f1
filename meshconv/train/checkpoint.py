"""Checkpoints: the one container of `meshconv.io.container`, whose numbers are all finite, and
what tells two runs apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv.errors import CheckpointError
from meshconv.io.container import Arrays, read_container, write_container

_KIND = "checkpoint"
_MASKED = ("image.", "standardizer.mean")  # arrays that are NaN outside a mask


def write_checkpoint(
    path: str | PathLike[str], arrays: Mapping[str, NDArray[Any]], head: Mapping[str, Any]
) -> None:
    """Write arrays and a JSON head to one checksummed .npz file, whole or not at all.

    Raises
    ------
    CheckpointError
        If an array holds a NaN or an infinity.
    MeshIOError
        If the system refuses; the old file is then as it was.
    """
    _check_finite(arrays, path)
    write_container(path, _KIND, head, arrays)


def read_checkpoint(path: str | PathLike[str]) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays and the head of a file that `write_checkpoint` wrote.

    Raises
    ------
    MissingFileError
        If there is none.
    CheckpointError
        If it is cut, changed by a single byte, foreign, of another format, or holds a NaN.
    """
    with read_container(path, _KIND) as (head, arrays):
        _check_finite(arrays, path)
        return arrays, head


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return one phrase for each entry in which two heads differ, nested ones as ``a.b``.

    >>> differences({"train": {"epochs": 5}, "size": 9}, {"train": {"epochs": 7}, "size": 9})
    ['train.epochs is 5, not 7']
    """
    out = []
    for key in sorted({*found, *wanted}):
        a, b = found.get(key), wanted.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            out += [f"{key}.{rest}" for rest in differences(a, b)]
        elif a != b:
            out.append(f"{key} is {a!r}, not {b!r}")
    return out


def refuse_differences(
    found: Mapping[str, Any], wanted: Mapping[str, Any], path: str | PathLike[str]
) -> None:
    """Raise a `CheckpointError` that names every difference, if there is one."""
    unlike = differences(found, wanted)
    if unlike:
        raise CheckpointError(
            f"the checkpoint is of another run: {'; '.join(unlike)}",
            path=path,
            indices=unlike,
            count=len(unlike),
            hint="use the same settings, or another file",
        )


def _check_finite(arrays: Mapping[str, NDArray[Any]], path: str | PathLike[str]) -> None:
    for name, array in arrays.items():
        if (
            array.dtype.kind in "fc"
            and not name.startswith(_MASKED)
            and not np.isfinite(array).all()
        ):
            count = int((~np.isfinite(array)).sum())
            raise CheckpointError(
                f"{name} holds {count} values that are not finite", path=path, count=count
            )
