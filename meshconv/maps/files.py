"""Maps and templates on disk: arrays and a JSON head in one .npz, checksummed, written whole or not
at all.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import require_kind
from meshconv.errors import CheckpointError
from meshconv.io import atomic_write
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.surface import Surface

_FORMAT = 1


def save_arrays(
    path: str | PathLike[str], kind: str, head: dict[str, Any], arrays: dict[str, NDArray[Any]]
) -> None:
    """Write named arrays and a JSON-able head; `kind` says what the file is."""
    text = json.dumps({**head, "kind": kind, "format": _FORMAT, "sha256": _digest(arrays)})
    with atomic_write(path) as handle:
        np.savez_compressed(handle, head=np.array(text), **arrays)  # type: ignore[arg-type]


def load_arrays(
    path: str | PathLike[str], kind: str
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what `save_arrays` wrote; nothing in the file is executed.

    Raises
    ------
    CheckpointError
        If the file is something else, is cut, or does not have the checksum it was written with.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        head = json.loads(str(arrays.pop("head")))
    except (
        ValueError,
        KeyError,
        EOFError,
        AttributeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise CheckpointError(f"not a {kind} file ({error})", path=path) from error
    if head.get("kind") != kind or head.get("format") != _FORMAT:
        found = f"{head.get('kind')} of format {head.get('format')}"
        raise CheckpointError(f"expected a {kind} of format {_FORMAT}, found {found}", path=path)
    if head.get("sha256") != _digest(arrays):
        raise CheckpointError(
            "the checksum does not match: the file is damaged", path=path, hint="write it anew"
        )
    return head, arrays


def _digest(arrays: dict[str, NDArray[Any]]) -> str:
    total = hashlib.sha256()
    for name in sorted(arrays):
        total.update(f"{name}{arrays[name].shape}{arrays[name].dtype}".encode())
        total.update(np.ascontiguousarray(arrays[name]).tobytes())
    return total.hexdigest()


def save_parameterization(path: str | PathLike[str], parameterization: Parameterization) -> None:
    """Write a map with its surface to an .npz file.

    Parameters
    ----------
    path : path-like
        Replaced if it exists.
    parameterization : Parameterization
        Kept bit for bit.
    """
    require_kind(parameterization, "parameterization", Parameterization)
    surface = parameterization.surface
    arrays = {
        "vertices": surface.vertices,
        "faces": surface.faces,
        "coordinates": parameterization.coordinates,
    }
    save_arrays(path, "parameterization", {"domain": parameterization.domain}, arrays)


def load_parameterization(path: str | PathLike[str]) -> Parameterization:
    """Read a map with its surface.

    Raises
    ------
    CheckpointError
        If the file is damaged or something else.
    """
    head, arrays = load_arrays(path, "parameterization")
    return Parameterization(
        Surface(arrays["vertices"], arrays["faces"]), arrays["coordinates"], head["domain"]
    )
