"""Files of arrays that cannot run code and cannot change unseen: safetensors, JSON, and a checksum
of every byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv.errors import CheckpointError, MissingFileError
from meshconv.io import write_bytes_atomic

FORMAT = 1
_EMPTY = "0" * 64
_MARK = b'"sha256":"'

Arrays = dict[str, NDArray[Any]]
_MASKED = ("image.", "standardizer.mean")  # arrays that are NaN outside a mask


def write_checkpoint(
    path: str | PathLike[str], arrays: Mapping[str, NDArray[Any]], head: Mapping[str, Any]
) -> None:
    """Write arrays and a JSON head to one safetensors file, whole or not at all.

    Any safetensors reader opens it. The SHA-256 in its metadata is that of the whole file with 64
    zeros in the place of the digest.

    Raises
    ------
    CheckpointError
        If an array holds a NaN or an infinity.
    MeshIOError
        If the system refuses; the old file is then as it was.
    """
    from safetensors.numpy import save

    kept = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    _check_finite(kept, path)
    metadata = {"sha256": _EMPTY, "head": json.dumps({"format": FORMAT, **head}, sort_keys=True)}
    data = save(kept, metadata)
    at = _digest_place(data)
    digest = hashlib.sha256(data).hexdigest().encode()
    write_bytes_atomic(path, data[:at] + digest + data[at + 64 :])


def read_checkpoint(path: str | PathLike[str]) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays and the head of a file that `write_checkpoint` wrote.

    Raises
    ------
    MissingFileError
        If there is none.
    CheckpointError
        If it is cut, changed by a single byte, foreign, of another format, or holds a NaN.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError as error:
        raise MissingFileError("no such checkpoint", path=path) from error
    except OSError as error:
        raise CheckpointError(f"cannot be read ({error.strerror})", path=path) from error
    at = _digest_place(data)
    if at < 0:
        raise CheckpointError("not a meshconv checkpoint, or cut short", path=path)
    found = hashlib.sha256(data[:at] + _EMPTY.encode() + data[at + 64 :]).hexdigest()
    if found.encode() != data[at : at + 64]:
        raise CheckpointError("the checksum does not match: the file is damaged", path=path)
    try:
        arrays: Arrays = load(data)
        length = int.from_bytes(data[:8], "little")
        head = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["head"])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"not a meshconv checkpoint ({error})", path=path) from error
    if head.get("format") != FORMAT:
        raise CheckpointError(
            f"format {head.get('format')}, this version reads {FORMAT}", path=path
        )
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


def _digest_place(data: bytes) -> int:
    """Return where the 64 digits of the digest start, -1 if there are none."""
    length = int.from_bytes(data[:8], "little") if len(data) >= 8 else 0
    at = data.find(_MARK, 8, min(8 + length, len(data)))
    at = at + len(_MARK) if at >= 0 else -1
    return at if 0 < at <= len(data) - 64 else -1


def _check_finite(arrays: Mapping[str, NDArray[Any]], path: str | PathLike[str]) -> None:
    for name, array in arrays.items():
        if (
            array.dtype.kind == "f"
            and not name.startswith(_MASKED)
            and not np.isfinite(array).all()
        ):
            count = int((~np.isfinite(array)).sum())
            raise CheckpointError(
                f"{name} holds {count} values that are not finite", path=path, count=count
            )
