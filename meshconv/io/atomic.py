"""One atomic writer for everything: the old file stays whole until the new one is."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import signal
import stat
import tempfile
import threading
from collections.abc import Iterator
from os import PathLike
from typing import Any, BinaryIO

from meshconv.errors import AccessError, FolderError, MeshConvError, MeshIOError
from meshconv.io.source import from_os_error


@contextlib.contextmanager
def atomic_write(path: str | PathLike[str], *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file on the disk of `path` that takes its place when the block ends without
    an error.

    The data are on the disk (fsync) before the name changes. A symbolic link is followed and stays
    a link; the mode of an existing file is kept. After any failure, a full disk, Ctrl-C or a killed
    process included, the old file is as it was and the temporary one is gone (after kill -9, where
    the file system can hold a file without a name; nearly all of Linux can).

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
        new = _nameless(target) or _Named(target)
    except (OSError, ValueError) as error:
        raise _named(error, name) from error
    try:
        with os.fdopen(new.handle, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
            with _signals_wait():
                new.put(target, overwrite)
    except BaseException as error:
        if isinstance(error, OSError) and not isinstance(error, MeshConvError):
            raise _named(error, name) from error
        raise
    finally:
        new.close()
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


class _Nameless:
    """A new file that has no name before it is finished: nothing of it is left, however the process
    ends (Linux, on most file systems).
    """

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def put(self, target: str, overwrite: bool) -> None:
        """Give the finished file its name."""
        with contextlib.suppress(FileExistsError):
            self._link(target)
            return
        if not overwrite:
            raise _exists(target)
        beside = f"{_prefix(target)}{os.getpid()}.{secrets.token_hex(4)}"
        self._link(beside)  # no call links over a file: a name for the blink of a rename
        try:
            os.replace(beside, target)
        except BaseException:
            os.unlink(beside)
            raise

    def _link(self, name: str) -> None:
        # the folder, unused beside an absolute path, makes Python call linkat, which follows links
        os.link(f"/proc/self/fd/{self.handle}", name, src_dir_fd=self.handle)

    def close(self) -> None:
        """Nothing is left to clean up."""


class _Named:
    """A new file beside the target, removed by a handler if SIGTERM ends the process."""

    def __init__(self, target: str) -> None:
        folder, prefix = os.path.split(_prefix(target))
        self._before: Any = None
        self.handle, self._path = tempfile.mkstemp(prefix=prefix, dir=folder)
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            self._before = signal.signal(signal.SIGTERM, self._end)

    def put(self, target: str, overwrite: bool) -> None:
        """Give the finished file its name; without `overwrite` a file that came meanwhile is left
        alone.
        """
        if overwrite:
            os.replace(self._path, target)
            return
        try:
            os.link(self._path, target)  # fails if the name is taken, where replace would not
        except FileExistsError as error:
            raise _exists(target) from error

    def close(self) -> None:
        """Remove what is left, and the handler."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
            self._before = None

    def _end(self, number: int, _: Any) -> None:
        self.close()
        os.kill(os.getpid(), number)


def _prefix(target: str) -> str:
    folder, base = os.path.split(target)
    return os.path.join(folder, f".{base[:50]}.")


def _nameless(target: str) -> _Nameless | None:
    """Return a file without a name in the target's folder, or None where the system has none."""
    flag = getattr(os, "O_TMPFILE", None)
    if flag is None or not os.path.isdir("/proc/self/fd"):
        return None
    try:
        return _Nameless(os.open(os.path.dirname(target), flag | os.O_WRONLY, 0o600))
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):  # this file system
            return None
        raise


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Hold SIGTERM and SIGINT back for the few calls that must not be parted."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _sync_folder(folder: str) -> None:
    """Make the new name itself safe against a power cut, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
