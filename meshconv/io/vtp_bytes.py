"""The bytes of a VTP array, plain or in base64, taken piece by piece."""

from __future__ import annotations

import base64
import binascii

from meshconv.errors import BadFormatError, TruncatedError


class Packed:
    """A place in a block of bytes, or of the letters of base64 runs, each padded to four."""

    def __init__(self, data: memoryview, at: int, what: str, *, raw: bool) -> None:
        self._data, self._at, self._what, self._raw = data, at, what, raw

    @property
    def left(self) -> int:
        """Bytes or letters that are left, an upper bound of what can be taken."""
        return max(0, len(self._data) - self._at)

    def peek(self, n: int) -> bytes:
        """Return the next n bytes and stay before them."""
        return self._decode(n)[0][:n]

    def take(self, n: int) -> bytes:
        """Return the next n bytes; those of one base64 run."""
        out, used = self._decode(n)
        self._at += used
        return out[:n]

    def _decode(self, n: int) -> tuple[bytes, int]:
        used = n if self._raw else -(-n // 3) * 4
        if used > self.left:
            found = self.left if self._raw else self.left * 3 // 4
            raise TruncatedError(f"{self._what}: expected {n} bytes, found {found}")
        part = bytes(self._data[self._at : self._at + used])
        if self._raw:
            return part, used
        try:
            out = base64.b64decode(part, validate=True)
        except binascii.Error as error:
            raise BadFormatError(f"{self._what}: damaged base64 ({error})") from error
        if len(out) < n:
            raise TruncatedError(f"{self._what}: expected {n} bytes, found {len(out)}")
        return out, used
