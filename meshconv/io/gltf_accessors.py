"""Guarded access to the parts of a glTF document: objects, views and accessors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv.errors import (
    BadFormatError,
    BadHeaderError,
    IndexOutOfRangeError,
    TruncatedError,
    UnsupportedFormatError,
)
from meshconv.io.gltf_buffers import open_address
from meshconv.io.source import Source
from meshconv.io.tokens import clip

_COMPONENTS = {5120: "i1", 5121: "u1", 5122: "i2", 5123: "u2", 5125: "u4", 5126: "f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}


def _unfolded(component: str) -> int:
    """Return the bytes a number takes when it is used: indices, positions and normalised values of
    one or two bytes become eight.
    """
    size = int(component[1])
    return size if size > 2 else 8


def number_of(parent: dict[str, Any], key: str, default: int | None = None) -> int:
    """Return a whole number >= 0 of a JSON object."""
    value = parent.get(key, default)
    if type(value) is not int or not 0 <= value < 2**62:
        raise BadHeaderError(f"glTF: {key!r} is {clip(repr(value))}, not a possible number")
    return value


class Document:
    """A parsed glTF file and its buffers, read on first use."""

    def __init__(self, root: dict[str, Any], source: Source, binary: memoryview | None) -> None:
        self.root, self.source, self._binary = root, source, binary
        self._buffers: dict[int, memoryview] = {}
        self._checked: set[tuple[int, str]] = set()

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

    def array(self, index: int, kind: str, what: str) -> NDArray[Any]:
        """Return the values of an accessor, (n,) or (n, k); normalised integers become floats, but
        for colours of one byte.

        Raises
        ------
        TruncatedError
            If the accessor reaches beyond its view, or the view beyond its buffer.
        """
        accessor = self.pick("accessors", index)
        count, name = number_of(accessor, "count"), f"{what}: accessor {index}"
        if "sparse" not in accessor and "bufferView" not in accessor:
            raise UnsupportedFormatError(
                f"{name} has no data (compressed, as by Draco?)", hint="export it plain"
            )
        width = _WIDTHS.get(str(accessor.get("type")))
        component = _COMPONENTS.get(number_of(accessor, "componentType", 0))
        if width is None or component is None or (kind and accessor["type"] != kind):
            found = f"{accessor.get('type')} of {accessor.get('componentType')}"
            raise BadHeaderError(f"{name} is {clip(found)}, expected {kind or 'a known type'}")
        if "bufferView" in accessor:
            values = self._block(accessor, count, width, component, name)
        else:
            self.source.spend(count * width * _unfolded(component), name)
            values = np.zeros((count, width), component)
        if "sparse" in accessor:
            self._replace(values, self.table(accessor, "sparse"), name)
        whole = component[0] in "iu" and not (what == "COLOR_0" and component == "u1")
        if whole and accessor.get("normalized") is True:
            values = np.maximum(values / np.iinfo(component).max, -1.0)
        return values if width > 1 else values[:, 0]

    def _block(
        self, parent: dict[str, Any], count: int, width: int, component: str, name: str
    ) -> NDArray[Any]:
        """Return `count` rows of a buffer view, (count, width), as a copy."""
        item = width * int(component[1])
        view, stride = self._view(number_of(parent, "bufferView"), item)
        start = number_of(parent, "byteOffset", 0)
        needed = start + stride * (count - 1) + item if count else start
        if needed > len(view):
            raise TruncatedError(f"{name} expected {needed} bytes, found {len(view)}")
        self.source.spend(count * width * _unfolded(component), name)
        if not count:
            return np.empty((0, width), component)
        shape, strides = (count, width), (stride, int(component[1]))
        return np.ndarray(shape, "<" + component, view, start, strides).astype(component)

    def _replace(self, values: NDArray[Any], sparse: dict[str, Any], name: str) -> None:
        """Put the values of a sparse accessor where its indices say."""
        count, where, what = (
            number_of(sparse, "count"),
            self.table(sparse, "indices"),
            self.table(sparse, "values"),
        )
        component = _COMPONENTS.get(number_of(where, "componentType", 0), "")
        if not component.startswith("u"):
            raise BadHeaderError(f"{name}: sparse indices of an unknown type")
        rows = self._block(where, count, 1, component, f"{name}, sparse indices")[:, 0]
        if (np.diff(rows.astype(np.int64)) <= 0).any() or (count and rows[-1] >= len(values)):
            raise IndexOutOfRangeError(
                f"{name}: sparse indices do not climb within 0..{len(values) - 1}"
            )
        kind = values.dtype.str[1:]
        values[rows] = self._block(what, count, values.shape[1], kind, f"{name}, sparse values")

    def _view(self, index: int, item: int) -> tuple[memoryview, int]:
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

    def _buffer(self, index: int) -> memoryview:
        if index not in self._buffers:
            entry = self.pick("buffers", index)
            uri = entry.get("uri")
            if uri is None and index == 0 and self._binary is not None:
                data = self._binary
            elif isinstance(uri, str):
                data = memoryview(open_address(uri, self.source))
            else:
                raise TruncatedError(f"buffer {index} has neither an address nor a binary chunk")
            declared = number_of(entry, "byteLength")
            if declared > len(data):
                raise TruncatedError(
                    f"buffer {index}: expected {declared} bytes, found {len(data)}"
                )
            self._buffers[index] = data[:declared]
        return self._buffers[index]
