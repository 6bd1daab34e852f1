"""What the parts of a report's page show, as plain values; ``page/report.html`` lays them out."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray
from meshconv.mesh.sketch import SEQUENTIAL
from meshconv.viz import style
from meshconv.viz.explained import Explained
from meshconv.viz.flat import flat_picture, sampling_picture
from meshconv.viz.mesh_data import mesh_data
from meshconv.viz.picture import FieldStyle, render_views

LEFT = ("front", "three-quarter", "profile")
RIGHT = ("front", "three-quarter right", "profile right")


class Picture(NamedTuple):
    """A PNG with the words under it and those that stand for it."""

    png: bytes
    caption: str
    alt: str


class ColourBar(NamedTuple):
    """The colours of a field by share of the scale, and the levels of its iso-lines by height."""

    name: str
    key: str
    stops: list[tuple[float, str]]
    ticks: list[tuple[float, str]]


class Row(NamedTuple):
    """A surface from three sides, its colours, its flat image and its sampling grid."""

    views: list[Picture]
    bar: ColourBar | None
    flats: list[Picture]
    note: str


class Card(NamedTuple):
    """One scan: the verdict, the truth and the odds where they are known, and its pictures."""

    name: str
    label: str
    truth: str
    wrong: bool
    odds: list[tuple[str, float]]
    row: Row


class Thumbnail(NamedTuple):
    """One of many scans: what is said of it, and one small picture, or none."""

    name: str
    label: str
    truth: str
    wrong: bool
    odds: list[tuple[str, float]]
    png: bytes | None


def card(
    one: Explained, true: Any, classes: tuple[str, ...], size: int, extent: float | None
) -> Card:
    """Return what is shown of one scan."""
    return Card(*_said(one, true, classes), row(one, size, extent))


def thumbnail(
    one: Explained, true: Any, classes: tuple[str, ...], size: int, extent: float | None
) -> Thumbnail:
    """Return what is shown of one of many scans; no picture if `size` is 0."""
    made = None
    if size:
        (view,) = render_views(
            one.surface,
            one.field,
            views=("front",),
            field_style=one.look,
            size=size,
            extent=extent,
        )
        made = png(view)
    return Thumbnail(*_said(one, true, classes), made)


def _said(
    one: Explained, true: Any, classes: tuple[str, ...]
) -> tuple[str, str, str, bool, list[tuple[str, float]]]:
    return (
        one.name,
        "" if one.label is None or one.at_chance else _class(one.label, classes),
        "" if true is None else _class(true, classes),
        one.label is not None and not one.at_chance and str(true) != str(one.label),
        [(_class(k, classes), share) for k, share in one.probabilities if not one.at_chance],
    )


def _class(label: Any, classes: tuple[str, ...]) -> str:
    if isinstance(label, int | np.integer) and 0 <= label < len(classes):
        return classes[label]
    return str(label)


def row(one: Explained, size: int, extent: float | None) -> Row:
    """Return the pictures of one surface, `size` pixels each, at the scale of `extent`."""
    views = _views(one)
    images = render_views(
        one.surface, one.drawn, views=views, field_style=one.look, size=size, extent=extent
    )
    flats = {
        "flat image": flat_picture(one, size=size),
        "sampling grid": sampling_picture(one, size=size),
    }
    return Row(
        [
            Picture(png(image), view, f"{one.name}, {view} view")
            for image, view in zip(images, views, strict=True)
        ],
        None if one.drawn is None else _colour_bar(one.drawn, one.look),
        [
            Picture(png, name, f"{one.name}, {name}")
            for name, png in flats.items()
            if png is not None
        ],
        one.note,
    )


def _views(one: Explained) -> tuple[str, ...]:
    """See the subject from the left, unless clearly more of the field lies on the right."""
    if one.drawn is None:
        return LEFT
    x = one.surface.vertices[:, 0]
    weight = np.abs(one.drawn) if one.look.signed else one.drawn - one.drawn.min()
    centre = (weight * (x - (x.min() + x.max()) / 2)).sum()
    return RIGHT if centre < -0.05 * np.ptp(x) * weight.sum() else LEFT


def _colour_bar(field: FloatArray, look: FieldStyle) -> ColourBar:
    colours = style.DIVERGING if look.signed else SEQUENTIAL
    low, high = look.resolve(field)
    shares = np.linspace(0, 1, len(colours)).tolist()
    return ColourBar(
        look.name,
        "diverging" if look.signed else "sequential",
        list(zip(shares, colours, strict=True)),
        [
            (15 + 160 * (1 - share), f"{low + share * (high - low):.3g}")
            for share in (0.0, *style.ISO_LINES, 1.0)
        ],
    )


def left_out(skipped: Iterable[Any]) -> list[tuple[str, str]]:
    """Return (name, reason) of the scans that were left out."""
    return [_reason(one) for one in skipped]


def _reason(one: Any) -> tuple[str, str]:
    if isinstance(one, str):
        return one, ""
    if hasattr(one, "name") and hasattr(one, "error"):
        return str(one.name), str(getattr(one.error, "message", "") or one.error)
    name, reason = one
    return str(name), str(reason)


def meshes(scans: list[Explained]) -> list[dict[str, Any]]:
    """Return the meshes that can be turned, at one scale."""
    extent = max((float(np.ptp(one.surface.vertices, axis=0).max()) for one in scans), default=1.0)
    return [mesh_data(one, extent=extent) for one in scans]


def png(image: NDArray[np.uint8]) -> bytes:
    """A PNG of at most 256 colours: a third of the size, and no difference to the eye."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).quantize(256, dither=Image.Dither.NONE).save(
        buffer, "png", optimize=True
    )
    return buffer.getvalue()
