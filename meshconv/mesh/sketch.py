"""What a notebook shows of an object: a card of rows, and pictures drawn without a renderer."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from meshconv._types import FloatArray, IntArray

SIDE = 168  # pixels of a picture
_PER_PIXEL = 8  # points on the surface for each pixel of the picture
# the house's colours: of a saliency from nothing to all, and the fields of a checkerboard
SEQUENTIAL = ("#e8e4df", "#f6d55c", "#ee8a2f", "#d1361f", "#6b0f1a")
LIGHT, DARK = (232, 228, 223), (138, 160, 178)


def card(title: str, rows: Iterable[tuple[str, object]], pictures: Sequence[bytes] = ()) -> str:
    """Return HTML: a title, a table of names and values, pictures (PNG) side by side.

    All text is escaped; nothing is loaded from elsewhere.
    """
    lines = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(str(value))}</td></tr>"
        for name, value in rows
    )
    images = "".join(
        f"<img alt='' width='{SIDE}' style='vertical-align:top'"
        f" src='data:image/png;base64,{b64encode(one).decode('ascii')}'>"
        for one in pictures
    )
    return f"<div><b>{escape(title)}</b><div>{images}</div><table>{lines}</table></div>"


def drawing(
    points: FloatArray, faces: IntArray, colours: FloatArray | None = None, *, flat: bool = False
) -> bytes:
    """Return a PNG of faces, shaded and seen from the side that they face, or from +z.

    Parameters
    ----------
    points : (V, 3) float64
        With y up.
    faces : (F, 3) int64
    colours : (V, 3), or (V, 2) float64, optional
        Red, green and blue, 0..255; or places on a checkerboard of sixteen squares a unit.
    flat : bool
        Seen from +z, without shade.
    """
    if not len(faces):
        return _png(np.full((1, 1, 3), 255, np.uint8))
    corners = points[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    size = np.linalg.norm(normals, axis=1)
    towards = np.array([0.0, 0.0, 1.0])
    if not flat and np.linalg.norm(normals.sum(axis=0)) > 0.05 * size.sum():
        towards = normals.sum(axis=0)
    axes = _camera(towards)
    face, weights = _samples(size)
    place = np.einsum("nk,nkd->nd", weights, corners[face]) @ axes.T
    tint = np.array(LIGHT, float) if colours is None else _tint(weights, colours[faces[face]])
    light = np.ones(len(face)) if flat else _light((normals @ axes.T)[face], size[face])
    return _png(_z_buffer(place, tint * light[:, None]))


def heat(values: FloatArray) -> FloatArray:
    """Return colours (V, 3), 0..255, of values 0..1."""
    table = np.array([[int(stop[k : k + 2], 16) for k in (1, 3, 5)] for stop in SEQUENTIAL], float)
    at = np.linspace(0, 1, len(table))
    return np.column_stack([np.interp(values, at, channel) for channel in table.T])


def _camera(towards: FloatArray) -> FloatArray:
    """Right, up and towards the viewer, (3, 3); y stays up unless one looks along it."""
    forward = towards / np.linalg.norm(towards)
    up = np.array([0.0, 1.0, 0.0] if abs(forward[1]) < 0.9 else [0.0, 0.0, 1.0])
    right = np.cross(up, forward)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])


def _samples(size: FloatArray) -> tuple[IntArray, FloatArray]:
    """Points spread evenly over the area, always the same: their faces and weights (n, 3)."""
    n = _PER_PIXEL * SIDE * SIDE
    rng = np.random.default_rng(0)
    share = np.cumsum(size / (size.sum() or 1.0))
    face = np.minimum(np.searchsorted(share, (np.arange(n) + 0.5) / n), len(size) - 1)
    a, b = rng.random((2, n))
    root = np.sqrt(a)
    return face, np.column_stack([1 - root, root * (1 - b), root * b])


def _tint(weights: FloatArray, corner: FloatArray) -> FloatArray:
    value = np.einsum("nk,nkd->nd", weights, corner)
    if value.shape[1] == 3:
        return np.asarray(value)
    odd = (np.floor(16 * value).sum(axis=1) % 2).astype(int)
    return np.array([LIGHT, DARK], float)[odd]


def _light(normals: FloatArray, size: FloatArray) -> FloatArray:
    unit = normals / np.maximum(size, np.finfo(float).tiny)[:, None]
    toward_light = np.array([0.3, 0.5, 0.81])
    return np.asarray(0.45 + 0.55 * np.abs(unit @ toward_light))


def _z_buffer(place: FloatArray, colour: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype]:
    """The nearest point in each pixel, white where there is none."""
    low, high = place[:, :2].min(axis=0), place[:, :2].max(axis=0)
    span = float((high - low).max()) or 1.0
    centred = (place[:, :2] - (low + high) / 2) / span * 0.96 + 0.5
    column = np.clip((centred[:, 0] * SIDE).astype(int), 0, SIDE - 1)
    row = np.clip(((1 - centred[:, 1]) * SIDE).astype(int), 0, SIDE - 1)
    image = np.full((SIDE, SIDE, 3), 255, np.uint8)
    order = np.argsort(place[:, 2], kind="stable")  # the nearest is written last
    image[row[order], column[order]] = np.clip(np.rint(colour[order]), 0, 255).astype(np.uint8)
    return image


def _png(image: np.ndarray[tuple[int, ...], np.dtype]) -> bytes:
    """An image (rows, columns, 3) uint8 as PNG (ISO 15948)."""
    rows, columns, _ = image.shape
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), image.reshape(rows, -1)], axis=1)
    head = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
