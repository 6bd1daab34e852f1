"""The bytes of a file: opened with care, unpacked from gzip within limits, and recognised by
content.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field

from meshconv.errors import (
    AccessError,
    BadFormatError,
    EmptyFileError,
    FolderError,
    MeshConvError,
    MeshIOError,
    MissingFileError,
    SecurityError,
    UnsupportedFormatError,
)

_FREE, _SHARE = 64 << 20, 8  # bytes that arrays may fill, whatever the file's size; times its size

_FOREIGN = (
    (b"\x1f\x8b", "gzip data", "rename it to .gz, or decompress it"),
    (b"x\x01", "zlib data", "decompress it first"),
    (b"x\x9c", "zlib data", "decompress it first"),
    (b"x\xda", "zlib data", "decompress it first"),
    (b"BZh", "bzip2 data", "decompress it first"),
    (b"\xfd7zXZ", "xz data", "decompress it first"),
    (b"7z\xbc\xaf", "a 7z archive", "decompress it first"),
    (b"\x28\xb5\x2f\xfd", "zstd data", "decompress it first"),
    (b"version https://git-lfs", "a git-lfs pointer", "run git lfs pull"),
    (b"\x89PNG", "a PNG picture", ""),
    (b"\xff\xd8\xff", "a JPEG picture", ""),
    (b"%PDF", "a PDF document", ""),
    (b"\x89HDF", "HDF5 data", ""),
    (b"\x93NUMPY", "a NumPy array", "load it with numpy and make a Surface"),
    (b"\x7fELF", "a program", ""),
    (b"Kaydara FBX", "Autodesk FBX", "convert it to PLY, OBJ or GLB"),
    (b"ISO-10303", "a STEP model", "convert it to PLY, OBJ or STL"),
    (b"#VRML", "VRML", "convert it to PLY, OBJ or GLB"),
)


@dataclass
class Source:
    """The unpacked bytes of one file and where they came from."""

    path: str
    data: bytes
    allow_outside: bool = False
    warnings: list[str] = field(default_factory=list)
    spent: int = 0
    beside_files: dict[str, bytes] = field(default_factory=dict)  # that belong to this one

    def spend(self, size: int, what: str) -> None:
        """Count bytes that are about to be allocated; what is read many times counts many times.

        Raises
        ------
        SecurityError
            If all of them are more than a file of this size can mean.
        """
        self.spent += size
        beside = sum(len(data) for data in self.beside_files.values())
        allowed = _FREE + _SHARE * (len(self.data) + beside)
        if self.spent > allowed:
            raise SecurityError(
                f"{what}: the file unfolds to more than {allowed} bytes",
                hint="one block is used many times, or much is declared that is not there",
            )

    def beside(self, name: str) -> bool:
        """Tell whether a file of that name lies in the same folder."""
        try:
            return os.path.exists(os.path.join(os.path.dirname(self.path) or ".", name))
        except ValueError:  # a NUL in the name
            return False


def from_os_error(error: OSError | ValueError, path: str, verb: str) -> MeshConvError:
    """Return our error for one of the system's, with the file named and the system's reason
    kept.
    """
    number = getattr(error, "errno", None)
    reason = getattr(error, "strerror", None) or str(error)
    kinds: dict[int | None, type[MeshIOError]] = {
        errno.ENOENT: MissingFileError,
        errno.ENOTDIR: MissingFileError,
        errno.EISDIR: FolderError,
        errno.EACCES: AccessError,
        errno.EPERM: AccessError,
        errno.EROFS: AccessError,
    }
    kind = (
        kinds.get(number, MeshIOError) if isinstance(error, OSError) else MissingFileError
    )  # a NUL in the name
    out = kind(f"cannot {verb}: {reason}", path=path)
    out.errno = number
    return out


def read_file(path: str) -> bytes:
    """Return the bytes of a regular file.

    Raises
    ------
    MissingFileError, FolderError, AccessError, EmptyFileError, UnsupportedFormatError
        If it is not there, is a folder, may not be read, has no bytes, or is a device or pipe.
    """
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise FolderError("cannot read: this is a folder", path=path)
        if not stat.S_ISREG(mode):
            raise UnsupportedFormatError(
                "cannot read: a device, pipe or socket, not a regular file", path=path
            )
        with open(path, "rb") as file:
            data = file.read()
    except MeshConvError:
        raise
    except (OSError, ValueError) as error:
        raise from_os_error(error, path, "read") from error
    if not data:
        raise EmptyFileError(f"{os.path.basename(path)} is empty (0 bytes)", path=path)
    return data


def to_utf8(data: bytes, warnings: list[str]) -> bytes:
    """Return text without its byte-order mark; UTF-16 is recoded."""
    if data.startswith(b"\xef\xbb\xbf"):
        return data[3:]
    codec = ""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        codec = "utf-16"
    elif len(data) >= 8 and not data[:2].startswith(b"\0\0"):
        head = data[: min(len(data), 64) // 2 * 2]
        even, odd = head[::2], head[1::2]
        if not any(odd) and all(9 <= c < 127 for c in even):
            codec = "utf-16-le"
        elif not any(even) and all(9 <= c < 127 for c in odd):
            codec = "utf-16-be"
    if not codec:
        return data
    try:
        text = data.decode(codec)
    except UnicodeDecodeError as error:
        raise BadFormatError(
            "looks like UTF-16 text, but is damaged", hint="save it as UTF-8"
        ) from error
    warnings.append("read as UTF-16 text")
    return text.encode("utf-8", "replace")


def refuse_foreign(data: bytes, name: str) -> None:
    """Refuse content that is known to be something else than a mesh, and say what.

    Raises
    ------
    SecurityError
        For ZIP archives, which are never opened.
    BadFormatError
        For anything else.
    """
    head = data[:1024].lstrip()
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        raise SecurityError(
            "is a ZIP archive; archives are not opened", hint="extract the mesh from it"
        )
    lower = head.lower()
    if lower.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or b"<html" in lower:
        raise BadFormatError(
            f"no {name} content: looks like an HTML page", hint="was a web page saved instead?"
        )
    for magic, what, hint in _FOREIGN:
        if data.startswith(magic):
            raise BadFormatError(f"no {name} content: looks like {what}", hint=hint)
