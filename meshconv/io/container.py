"""The one container for templates, maps, images, classifiers and caches: arrays, a JSON head, and a
checksum of every byte.

A container is an ``.npz`` file as NumPy knows it (a ZIP of uncompressed ``.npy`` members, so that
`numpy.load` opens it), written in one way only: the same content always gives the same bytes. The
first member, ``head.json``, names every array with its dtype and shape; the archive's comment is
the SHA-256 of all bytes before it. The reader trusts nothing else: sizes follow from the head and
must add up to the file's before anything is allocated, and every byte that is no array must be the
one that the writer would have put there. So no flipped, added or left-out byte is accepted, and
neither is a file that is signed but odd. There is no pickle, and nothing is run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import zlib
from collections.abc import Iterator, Mapping
from os import PathLike
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from meshconv.errors import ArgumentError, ArrayTypeError, CheckpointError, MissingFileError
from meshconv.io.atomic import atomic_write
from meshconv.io.json_text import parse_json
from meshconv.io.npz_layout import SIGNATURE, TAIL, Member, directory, local_header, npy_lead

FORMAT = 1
Arrays = dict[str, NDArray[Any]]
Head = dict[str, Any]

_DTYPES = frozenset(
    f"{order}{kind}"
    for order, kinds in (("|", ("b1", "i1", "u1")), ("<", ("i2", "u2", "i4", "u4", "i8", "u8")))
    for kind in kinds
) | {"<f2", "<f4", "<f8", "<c8", "<c16"}
_NAME = re.compile(r"[\w.-]{1,200}", re.ASCII)
_HEAD_NAME = "head.json"
_MAX_HEAD = 16 << 20


def write_container(
    path: str | PathLike[str],
    kind: str,
    head: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
) -> None:
    """Write named arrays and a head to one file, whole or not at all.

    Parameters
    ----------
    path : path-like
        Replaced if it exists.
    kind : str
        What the file is, such as ``"template"``; `read_container` asks for the same.
    head : mapping
        Anything that JSON holds.
    arrays : mapping of str to array
        Booleans, integers, floats and complex numbers of any shape, kept bit for bit.

    Raises
    ------
    ArgumentError, ArrayTypeError
        If the head is no JSON, or an array has a name or dtype that the container does not hold.
    MeshIOError
        If the system refuses; the old file is then as it was.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/a.npz"
    >>> write_container(path, "example", {"unit": "mm"}, {"length": np.arange(3)})
    >>> with read_container(path, "example") as (head, arrays):
    ...     print(head["unit"], arrays["length"])
    mm [0 1 2]
    """
    kept = {name: _storable(name, array) for name, array in arrays.items()}
    table = [[name, array.dtype.str, list(array.shape)] for name, array in kept.items()]
    text = _head_text({"kind": kind, "format": FORMAT, "arrays": table, "head": dict(head)})
    with atomic_write(path) as file:
        out = _Writer(file)
        out.member(_HEAD_NAME, text, b"")
        for name, array in kept.items():
            lead = npy_lead(name, array.dtype.str, array.shape, out.at)
            out.member(f"{name}.npy", lead, array.reshape(-1).view(np.uint8).data)
        out.write(directory(out.members, out.at) + SIGNATURE)
        file.write(out.digest.hexdigest().encode())


@contextlib.contextmanager
def read_container(path: str | PathLike[str], kind: str) -> Iterator[tuple[Head, Arrays]]:
    """Yield the head and the arrays of a file that `write_container` wrote.

    Whatever goes wrong in the block is the file's fault (a head without what belongs there, arrays
    that are no surface), and is raised as a CheckpointError that names the file.

    Raises
    ------
    MissingFileError
        If there is none.
    CheckpointError
        If it is cut, changed, foreign, of another kind or format, or describes nothing sound.
    """
    name = os.fsdecode(path)
    try:
        yield _read(name, kind)
    except (MissingFileError, CheckpointError) as error:
        raise error.at(name).with_traceback(error.__traceback__) from error.__cause__
    except MemoryError as error:
        raise CheckpointError("needs more memory than there is", path=name) from error
    except OSError as error:
        reason = getattr(error, "message", None) or error.strerror or error
        raise CheckpointError(f"cannot be read ({reason})", path=name) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
        raise CheckpointError(f"not a sound {kind} file ({reason})", path=name) from error


def _storable(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return an array as it is stored: rows in C order, little-endian."""
    if not _NAME.fullmatch(name):
        raise ArgumentError(f"array name {name!r} must be 1 to 200 of A-Z a-z 0-9 _ . -")
    out = np.asarray(array, order="C")
    if out.dtype.byteorder == ">":
        out = out.astype(out.dtype.newbyteorder("<"))
    if out.dtype.str not in _DTYPES:
        raise ArrayTypeError(f"array {name!r} of dtype {out.dtype} cannot be stored")
    return out


def _head_text(head: Head) -> bytes:
    """Return the head in the one way it is written."""
    try:
        plain = json.loads(json.dumps(head, allow_nan=False))  # every key a string, then sorted
        return json.dumps(plain, separators=(",", ":"), sort_keys=True).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"the head is not JSON ({error})") from error


class _Writer:
    """Writes members one after the other, and keeps the checksum."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.at, self.digest = file, 0, hashlib.sha256()
        self.members: list[Member] = []

    def write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self.digest.update(data)
        self.at += len(data)

    def member(self, name: str, lead: bytes, data: bytes | memoryview) -> None:
        crc = zlib.crc32(data, zlib.crc32(lead))
        one = Member(name.encode(), len(lead) + len(data), crc, self.at)
        self.members.append(one)
        for part in (local_header(one), lead, data):
            self.write(part)


class _Reader:
    """Reads members one after the other; each must lie there as the writer puts it."""

    def __init__(self, file: BinaryIO, size: int, kind: str) -> None:
        self._file, self._size, self._kind, self.at = file, size, kind, 0
        self._digest, self._members = hashlib.sha256(), list[Member]()

    def refuse(self, what: str) -> CheckpointError:
        """Return the error to raise."""
        return CheckpointError(f"not a {self._kind} file, or damaged: {what}")

    def take(self, n: int) -> bytearray:
        """Return the next n bytes; never more than the file has."""
        if n > self._size - self.at:
            raise self.refuse(f"expected {n} bytes at {self.at}, the file ends at {self._size}")
        out = bytearray(n)
        self._take_into(memoryview(out))
        return out

    def _take_into(self, out: memoryview) -> None:
        if self._file.readinto(out) != len(out):  # type: ignore[attr-defined]
            raise self.refuse("it became shorter while it was read")
        self._digest.update(out)
        self.at += len(out)

    def expect(self, wanted: bytes) -> None:
        """Pass over bytes that follow from what was read before."""
        if self.take(len(wanted)) != wanted:
            raise self.refuse("the checksum does not match")

    def head(self) -> Head:
        """Return the head, the first member."""
        blank = local_header(Member(_HEAD_NAME.encode(), 0, 0, 0))
        found = self.take(len(blank))
        size = int.from_bytes(found[-8:], "little")
        if size > _MAX_HEAD:
            raise self.refuse(f"a head of {size} bytes")
        text = bytes(self.take(size))
        self._keep(_HEAD_NAME, found, size, zlib.crc32(text), 0)
        out = parse_json(text)
        if _head_text(out) != text:
            raise self.refuse("its head is not as meshconv writes it")
        return out

    def array(self, name: str, dtype: str, shape: tuple[int, ...], nbytes: int) -> NDArray[Any]:
        """Return the array of the next member."""
        start, lead = self.at, npy_lead(name, dtype, shape, self.at)
        found = self.take(len(local_header(Member(f"{name}.npy".encode(), 0, 0, 0))))
        self.expect(lead)
        out = np.empty(shape, dtype)
        view = out.reshape(-1).view(np.uint8)
        self._take_into(view.data)
        self._keep(
            f"{name}.npy", found, len(lead) + nbytes, zlib.crc32(view.data, zlib.crc32(lead)), start
        )
        if dtype == "|b1" and view.max(initial=0) > 1:
            raise self.refuse(f"{name} holds bytes that are neither true nor false")
        return out

    def _keep(self, name: str, found: bytearray, size: int, crc: int, start: int) -> None:
        member = Member(name.encode(), size, crc, start)
        if found != local_header(member):
            raise self.refuse("the checksum does not match")
        self._members.append(member)

    def finish(self) -> None:
        """Check the end of the archive and the checksum of everything."""
        self.expect(directory(self._members, self.at) + SIGNATURE)
        digest = self._digest.hexdigest().encode()
        if self.take(64) != digest or self.at != self._size:
            raise self.refuse("the checksum does not match")


def _read(name: str, kind: str) -> tuple[Head, Arrays]:
    try:
        status = os.stat(name)
        if not stat.S_ISREG(status.st_mode):
            raise CheckpointError("cannot be read (not a regular file)")
        with open(name, "rb") as file:
            return _read_open(file, os.fstat(file.fileno()).st_size, kind)
    except FileNotFoundError as error:
        raise MissingFileError(f"no such {kind} file") from error


def _read_open(file: BinaryIO, size: int, kind: str) -> tuple[Head, Arrays]:
    reader = _Reader(file, size, kind)
    file.seek(max(0, size - TAIL))
    if not file.read(TAIL).startswith(SIGNATURE):
        raise CheckpointError(f"not a {kind} file of meshconv, or cut short")
    file.seek(0)
    head = reader.head()
    if head.get("kind") != kind or repr(head.get("format")) != repr(FORMAT):  # True is no 1
        found = f"{head.get('kind')!s:.40} of format {head.get('format')!s:.40}"
        raise CheckpointError(f"expected a {kind} of format {FORMAT}, found {found}")
    table = _table(head, size - reader.at, reader)
    arrays = {name: reader.array(name, *spec) for name, spec in table.items()}
    reader.finish()
    if not isinstance(head.get("head"), dict):
        raise reader.refuse("it has no head")
    return head["head"], arrays


def _table(head: Head, room: int, reader: _Reader) -> dict[str, tuple[str, tuple[int, ...], int]]:
    """Return dtype, shape and bytes of every array, after comparing them with the file's size."""
    table: dict[str, tuple[str, tuple[int, ...], int]] = {}
    for entry in head.get("arrays", ()):
        name, dtype, shape = entry
        if name in table or not _NAME.fullmatch(name) or dtype not in _DTYPES or len(shape) > 32:
            raise reader.refuse(f"an array {name!a:.40} of type {dtype!a:.20}")
        if not all(type(side) is int and 0 <= side < 1 << 48 for side in shape):
            raise reader.refuse(f"array {name} has an impossible shape")
        most = np.dtype(dtype).itemsize
        for side in shape:
            most *= max(side, 1)
        nbytes = 0 if 0 in shape else most
        room -= nbytes
        if most >= 1 << 62 or room < 0:
            raise reader.refuse(f"array {name} is larger than the file")
        table[name] = (dtype, tuple(shape), nbytes)
    return table
