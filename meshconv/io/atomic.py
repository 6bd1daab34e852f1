"""One atomic writer for everything: the old file stays whole until the new one is."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from os import PathLike
from typing import BinaryIO

from meshconv.errors import AccessError, FolderError, MeshConvError, MeshIOError
from meshconv.io.source import from_os_error


@contextlib.contextmanager
def atomic_write(path: str | PathLike[str], *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` that takes its place when the block ends without an
    error.

    The data are on the disk (fsync) before the name changes. A symbolic link is followed and stays
    a link; the mode of an existing file is kept. After any failure, a full disk or Ctrl-C included,
    the old file is as it was and the temporary one is gone.

    Parameters
    ----------
    path : str or PathLike
    overwrite : bool
        Whether an existing file may be replaced.

    Yields
    ------
    file : BinaryIO
        Write the new content here.

    Raises
    ------
    MeshIOError
        If `path` is a folder, a device or a pipe, exists and `overwrite` is False, or the system
        refuses (disk full, read-only folder); an OSError with the same errno.

    Examples
    --------
    >>> path = os.path.join(tempfile.mkdtemp(), "notes.txt")
    >>> with atomic_write(path) as file:
    ...     _ = file.write(b"all or nothing")
    >>> sha256(path) == hashlib.sha256(b"all or nothing").hexdigest()
    True
    """
    name = os.fsdecode(path)
    try:
        target = os.path.realpath(name)
        mode = _mode_of(target, name, overwrite)
        handle, temporary = tempfile.mkstemp(
            prefix=f".{os.path.basename(target)[:50]}.", dir=os.path.dirname(target)
        )
    except (OSError, ValueError) as error:
        raise _named(error, name) from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        _put(temporary, target, overwrite)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and not isinstance(error, MeshConvError):
            raise _named(error, name) from error
        raise
    _sync_folder(os.path.dirname(target))


def write_bytes_atomic(path: str | PathLike[str], data: bytes, *, overwrite: bool = True) -> None:
    """Replace the content of a file at once; see `atomic_write`."""
    with atomic_write(path, overwrite=overwrite) as file:
        file.write(data)


def sha256(path: str | PathLike[str]) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal.

    Raises
    ------
    MeshIOError
        If it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise from_os_error(error, os.fsdecode(path), "read") from error


def _named(error: OSError | ValueError, name: str) -> MeshConvError:
    return error if isinstance(error, MeshConvError) else from_os_error(error, name, "write")


def _mode_of(target: str, name: str, overwrite: bool) -> int:
    """Return the permission bits the file shall have; refuse what must not be replaced."""
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
    if stat.S_ISDIR(mode):
        raise FolderError("cannot write: this is a folder", path=name)
    if not stat.S_ISREG(mode):
        raise MeshIOError("cannot write: a device, pipe or socket, not a regular file", path=name)
    if not overwrite:
        raise _exists(name)
    if not os.access(target, os.W_OK):
        raise AccessError("cannot write: the file is write-protected", path=name)
    return stat.S_IMODE(mode)


def _exists(name: str) -> MeshIOError:
    return MeshIOError(
        "cannot write: the file exists", path=name, hint="pass overwrite=True to replace it"
    )


def _put(temporary: str, target: str, overwrite: bool) -> None:
    """Give the finished file its name; without `overwrite` a file that came meanwhile is left
    alone.
    """
    if overwrite:
        os.replace(temporary, target)
        return
    try:
        os.link(temporary, target)  # fails if the name is taken, where replace would not
    except FileExistsError as error:
        raise _exists(target) from error
    os.unlink(temporary)


def _sync_folder(folder: str) -> None:
    """Make the new name itself safe against a power cut, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
