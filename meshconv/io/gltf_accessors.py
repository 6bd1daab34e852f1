"""Guarded access to the parts of a glTF document: objects, buffers, views and accessors."""

from __future__ import annotations

import base64
import binascii
import os
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from meshconv.errors import (
    BadFormatError,
    BadHeaderError,
    IndexOutOfRangeError,
    MeshIOError,
    SecurityError,
    TruncatedError,
    UnsupportedFormatError,
)
from meshconv.io.source import Source, read_file
from meshconv.io.tokens import clip

_COMPONENTS = {5120: "i1", 5121: "u1", 5122: "i2", 5123: "u2", 5125: "u4", 5126: "f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}


def number_of(parent: dict[str, Any], key: str, default: int | None = None) -> int:
    """Return a whole number >= 0 of a JSON object."""
    value = parent.get(key, default)
    if type(value) is not int or not 0 <= value < 2**62:
        raise BadHeaderError(f"glTF: {key!r} is {clip(repr(value))}, not a possible number")
    return value


class Document:
    """A parsed glTF file and its buffers, read on first use."""

    def __init__(self, root: dict[str, Any], source: Source, binary: bytes | None) -> None:
        self.root, self.source, self._binary = root, source, binary
        self._buffers: dict[int, bytes] = {}
        self._checked: set[tuple[int, str]] = set()
        self.external_size = 0

    def items(self, parent: dict[str, Any], key: str) -> list[dict[str, Any]]:
        """Return a list of JSON objects, empty if there is none."""
        value = parent.get(key, [])
        if (id(value), key) in self._checked:  # long lists are looked through once only
            return value
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise BadFormatError(f"glTF: {key!r} is not a list of objects")
        if key in parent:
            self._checked.add((id(value), key))
        return value

    def table(self, parent: dict[str, Any], key: str) -> dict[str, Any]:
        """Return a JSON object, empty if there is none."""
        value = parent.get(key, {})
        if not isinstance(value, dict):
            raise BadFormatError(f"glTF: {key!r} is not an object")
        return value

    def pick(self, key: str, index: int) -> dict[str, Any]:
        """Return one entry of a top-level list."""
        entries = self.items(self.root, key)
        if not 0 <= index < len(entries):
            raise IndexOutOfRangeError(
                f"glTF: {key} {index} does not exist, there are {len(entries)}"
            )
        return entries[index]

    def accessor(self, index: int) -> dict[str, Any]:
        """Return an accessor whose count is known to be a number."""
        accessor = self.pick("accessors", index)
        number_of(accessor, "count")
        return accessor

    def array(self, index: int, kind: str, what: str) -> NDArray[Any]:
        """Return the values of an accessor, (n,) or (n, k); normalised integers become floats.

        Raises
        ------
        TruncatedError
            If the accessor reaches beyond its view, or the view beyond its buffer.
        """
        accessor = self.accessor(index)
        if "sparse" in accessor or "bufferView" not in accessor:
            raise UnsupportedFormatError(
                f"{what}: accessor {index} is sparse or compressed (as by Draco)",
                hint="export it plain",
            )
        width, component = (
            _WIDTHS.get(str(accessor.get("type"))),
            _COMPONENTS.get(number_of(accessor, "componentType", 0)),
        )
        if width is None or component is None or (kind and accessor["type"] != kind):
            found = f"{accessor.get('type')} of {accessor.get('componentType')}"
            raise BadHeaderError(
                f"{what}: accessor {index} is {clip(found)}, expected {kind or 'a known type'}"
            )
        count, item = accessor["count"], width * int(component[1])
        view, stride = self._view(number_of(accessor, "bufferView"), item)
        start = number_of(accessor, "byteOffset", 0)
        needed = start + stride * (count - 1) + item if count else start
        if needed > len(view):
            raise TruncatedError(
                f"{what}: accessor {index} expected {needed} bytes, found {len(view)}"
            )
        if not count:
            return np.empty((0, width) if width > 1 else 0, component)
        shape, strides = (count, width), (stride, int(component[1]))
        values = np.ndarray(shape, "<" + component, view, start, strides).astype(component)
        if accessor.get("normalized") is True and component[0] in "iu":
            values = np.maximum(values / np.iinfo(component).max, -1.0)
        return values if width > 1 else values[:, 0]

    def _view(self, index: int, item: int) -> tuple[bytes, int]:
        """Return the bytes of a buffer view and the step from one item to the next."""
        view = self.pick("bufferViews", index)
        stride = number_of(view, "byteStride", item)
        if not item <= stride <= 255 and stride != item:
            raise BadHeaderError(
                f"glTF: bufferView {index} has byteStride {stride} for items of {item} bytes"
            )
        start, length = number_of(view, "byteOffset", 0), number_of(view, "byteLength")
        buffer = self._buffer(number_of(view, "buffer"))
        if start + length > len(buffer):
            raise TruncatedError(
                f"bufferView {index}: expected {start + length} bytes, found {len(buffer)}"
            )
        return buffer[start : start + length], stride

    def _buffer(self, index: int) -> bytes:
        if index not in self._buffers:
            entry = self.pick("buffers", index)
            uri = entry.get("uri")
            if uri is None and index == 0 and self._binary is not None:
                data = self._binary
            elif isinstance(uri, str):
                data = self._open(uri)
            else:
                raise TruncatedError(f"buffer {index} has neither an address nor a binary chunk")
            declared = number_of(entry, "byteLength")
            if declared > len(data):
                raise TruncatedError(
                    f"buffer {index}: expected {declared} bytes, found {len(data)}"
                )
            self._buffers[index] = data[:declared]
        return self._buffers[index]

    def _open(self, uri: str) -> bytes:
        """Return the bytes behind a data: address or a file in the same folder; nothing else is
        opened.
        """
        if uri.startswith("data:"):
            head, comma, text = uri.partition(",")
            if not comma or not head.endswith(";base64"):
                raise BadFormatError("a data: address that is not base64")
            try:
                return base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError) as error:
                raise BadFormatError(f"damaged base64 in a data: address ({error})") from error
        name = unquote(uri)
        if ":" in name or name.startswith(("//", "\\\\")):
            raise SecurityError(
                f"asks for the address {clip(uri, 80)}: not opened",
                hint="only local files are read",
            )
        folder = os.path.realpath(os.path.dirname(self.source.path) or ".")
        if "\0" in name or name != name.encode("utf-8", "replace").decode():
            raise BadFormatError(f"{clip(ascii(name))} is no possible name of a buffer file")
        path = os.path.realpath(os.path.join(folder, name.replace("\\", "/")))
        inside = os.path.commonpath([folder, path]) == folder
        if not inside and not self.source.allow_outside:
            raise SecurityError(
                f"asks for {clip(name, 80)} outside its folder: not opened",
                hint="read(..., on_security='allow') opens local files anywhere",
            )
        try:
            data = read_file(path)
        except MeshIOError as error:
            raise type(error)(
                f"buffer file {clip(name, 80)}: {error.message}", hint=error.hint
            ) from error
        self.external_size += len(data)
        return data

    def check_total(self, total: int, allowed: int) -> None:
        """Refuse scenes that place the same mesh so often that the memory fills."""
        if total > max(allowed, self.external_size):
            raise SecurityError(f"the scene unfolds to more than {allowed} vertices and faces")
