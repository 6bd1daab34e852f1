"""The bytes of an uncompressed .npz archive other than its numbers: .npy headers, ZIP64 headers and
the directory, always the same for the same content.
"""

from __future__ import annotations

import struct
import zipfile
from os import PathLike
from typing import NamedTuple

SIGNATURE = b"meshconv sha256 "
TAIL = len(SIGNATURE) + 64  # of the comment, which ends the file
_LINE = 64  # arrays begin at multiples of this, so that they can be mapped into memory
_FULL, _DAY, _VERSION = 0xFFFFFFFF, 0x21, 45  # sizes are in the ZIP64 fields; 1 January 1980


class Member(NamedTuple):
    """One member of the archive."""

    name: bytes
    size: int
    crc: int
    offset: int


def npy_lead(name: str, dtype: str, shape: tuple[int, ...], at: int) -> bytes:
    """Return the .npy header of an array whose member begins at byte `at`, so long that its numbers
    begin aligned.
    """
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    start = at + len(local_header(Member(f"{name}.npy".encode(), 0, 0, 0))) + 10
    text += b" " * (-(start + len(text) + 1) % _LINE) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def local_header(member: Member) -> bytes:
    """Return what stands before each member."""
    flags = (0x04034B50, _VERSION, 0, 0, 0, _DAY, member.crc, _FULL, _FULL)
    start = struct.pack("<IHHHHHIIIHH", *flags, len(member.name), 20)
    return start + member.name + struct.pack("<HHQQ", 1, 16, member.size, member.size)


def directory(members: list[Member], at: int) -> bytes:
    """Return the end of an archive, which begins at byte `at`, but for its comment."""
    parts = []
    for one in members:
        flags = (0x02014B50, _VERSION, _VERSION, 0, 0, 0, _DAY, one.crc, _FULL, _FULL)
        rest = (len(one.name), 28, 0, 0, 0, 0, _FULL)
        parts.append(struct.pack("<IHHHHHHIIIHHHHHII", *flags, *rest) + one.name)
        parts.append(struct.pack("<HHQQQ", 1, 24, one.size, one.size, one.offset))
    table, n = b"".join(parts), len(members)
    far = (0x06064B50, 44, _VERSION, _VERSION, 0, 0, n, n, len(table), at)
    end = struct.pack("<IQHHIIQQQQ", *far)
    end += struct.pack("<IIQI", 0x07064B50, 0, at + len(table), 1)
    end += struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, _FULL, _FULL, TAIL)
    return table + end


def numbers_begin(path: str | PathLike[str], name: str) -> int:
    """Return at which byte of an archive the numbers of an array begin."""
    with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        file.seek(archive.getinfo(f"{name}.npy").header_offset)
        of_name, extra = struct.unpack("<26xHH", file.read(30))
        file.seek(of_name + extra, 1)
        (more,) = struct.unpack("<8xH", file.read(10))
        return file.tell() + int(more)
