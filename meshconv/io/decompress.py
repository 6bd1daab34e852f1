"""Packed bytes, unpacked within limits."""

from __future__ import annotations

import zlib

from meshconv.errors import BadFormatError, EmptyFileError, SecurityError, TruncatedError

MAX_RATIO = 50  # text of meshes packs 3 to 20 times; a bomb 1000 times
FREE_SIZE = 8 << 20  # below this, no ratio is dangerous
_GZIP, _WINDOW = 31, 1 << 18


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
    while data[at : at + 2] == b"\x1f\x8b":
        limit = max(FREE_SIZE, MAX_RATIO * len(data)) - total
        part, at = inflate(data, "the gzip data", at=at, wbits=_GZIP, limit=limit)
        parts.append(part)
        total += len(part)
        while data[at : at + 1] == b"\0":
            at += 1
    if at < len(data):
        warnings.append(f"ignored {len(data) - at} bytes after the gzip data")
    out = b"".join(parts)
    if not out:
        raise EmptyFileError("the gzip data holds an empty file (0 bytes)")
    return out
