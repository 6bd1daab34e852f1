"""Packed bytes, unpacked within limits."""

from __future__ import annotations

import zlib

import numpy as np

from meshconv.errors import BadFormatError, EmptyFileError, SecurityError, TruncatedError
from meshconv.io.scanners import count_tokens

MAX_RATIO = 50  # text of meshes packs 3 to 20 times; a bomb 1000 times
FREE_SIZE = 8 << 20  # below this, no ratio is dangerous
_GZIP, _WINDOW = 31, 1 << 18
_SHARE, _FREE = 20, 200 << 20  # memory that reading may take: times the file's size, and always
_HELD, _OF_TOKEN, _OF_BYTE = 2, 36, 8  # copies of a text, bytes for each token; of binary data


def inflate(
    data: bytes | memoryview, what: str, *, at: int = 0, wbits: int = 15, limit: int | None = None
) -> tuple[bytes, int]:
    """Return one unpacked zlib or gzip stream that begins at byte `at`, and where it ends.

    Raises
    ------
    SecurityError
        If it unpacks to more than `limit` bytes, by default MAX_RATIO times the size of `data`.
    BadFormatError, TruncatedError
        If the stream is damaged or ends early.
    """
    engine = zlib.decompressobj(wbits)
    allowed = max(FREE_SIZE, MAX_RATIO * len(data)) if limit is None else limit
    parts, total, window, start, view = [], 0, 512, at, memoryview(data)
    while not engine.eof:
        piece = view[at : at + window]
        if not len(piece):
            raise TruncatedError(
                f"{what} ends early: {total} bytes decompressed from {len(data) - start}"
            )
        try:
            parts.append(engine.decompress(piece, allowed - total + 1))
        except zlib.error as error:
            raise BadFormatError(f"{what} is damaged: it cannot be decompressed") from error
        at += len(piece) - len(engine.unused_data) - len(engine.unconsumed_tail)
        total += len(parts[-1])
        if total > allowed:
            raise SecurityError(
                f"{what}: {len(data)} bytes decompress to more than {allowed}",
                hint="a decompression bomb?",
            )
        window = min(2 * window, _WINDOW)  # small first: what is left over is copied each time
    return b"".join(parts), at


def gunzip(data: bytes, warnings: list[str]) -> bytes:
    """Return what a .gz file of one or more members holds."""
    parts, at, total = [], 0, 0
    most = min(max(FREE_SIZE, MAX_RATIO * len(data)), _allowed(len(data)) // 3)
    while data[at : at + 2] == b"\x1f\x8b":
        part, at = inflate(data, "the gzip data", at=at, wbits=_GZIP, limit=most - total)
        parts.append(part)
        total += len(part)
        while data[at : at + 1] == b"\0":
            at += 1
    if at < len(data):
        warnings.append(f"ignored {len(data) - at} bytes after the gzip data")
    out = b"".join(parts)
    if not out:
        raise EmptyFileError("the gzip data holds an empty file (0 bytes)")
    _check_need(out, len(data))
    return out


def _allowed(size: int) -> int:
    return _SHARE * size + _FREE


def _check_need(out: bytes, size: int) -> None:
    """Refuse what takes more memory to read than a file of this size may."""
    if (_HELD + _OF_TOKEN) * len(out) <= _allowed(size):
        return
    if b"\0" in out[:1024]:
        need = _OF_BYTE * len(out)
    else:
        need = _HELD * len(out) + _OF_TOKEN * count_tokens(np.frombuffer(out, np.uint8))
    if need > _allowed(size):
        raise SecurityError(
            f"the gzip data: {size} bytes decompress to {len(out)}, which take up to {need >> 20}"
            " MiB of memory to read",
            hint="decompress it first, if you trust it",
        )
