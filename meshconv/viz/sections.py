"""The parts of a report's page as HTML. All text that comes from outside goes through escape()."""

from __future__ import annotations

import base64
import io
import json
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from meshconv.viz import style
from meshconv.viz.curves import calibration_picture, check_predictions, metrics_table, roc_picture
from meshconv.viz.explained import Explained
from meshconv.viz.flat import flat_picture, sampling_picture
from meshconv.viz.mesh_data import mesh_data
from meshconv.viz.picture import render_views

LEFT = ("front", "three-quarter", "profile")
RIGHT = ("front", "three-quarter right", "profile right")


def figures_section(
    metrics: Any, predictions: tuple[ArrayLike, ArrayLike] | None, classes: tuple[str, ...]
) -> str:
    """Test figures with intervals, ROC curve and calibration, as far as they are given."""
    if metrics is None and predictions is None:
        return ""
    html = "<h2>Test figures</h2>"
    if metrics is not None:
        html += metrics_table(metrics)
        html += '<p class="soft">On scans that were not trained on. In brackets the 95&nbsp;% interval.</p>'
    if predictions is not None:
        y, p = check_predictions(predictions)
        roc, calibration = (
            _image(roc_picture(y, p, classes), "ROC curve"),
            _image(calibration_picture(y, p), "calibration curve"),
        )
        html += f'<div class="curves">{roc}{calibration}</div>'
    return html


def group_section(group: Explained | None, size: int) -> str:
    """The population's map from three sides."""
    if group is None:
        return ""
    return f"<h2>Where the groups differ</h2>{_row(group, size, None)}{_note(group)}"


def scans_section(
    scans: list[Explained],
    truth: list[Any],
    classes: tuple[str, ...],
    size: int,
    extent: float | None,
) -> str:
    """Every scan from three sides, its flat image and its sampling grid."""
    if not scans:
        return '<h2>Scans</h2><p class="note">There is no scan to show.</p>'
    cards = [
        f'<article><div class="head"><h3>{escape(one.name)}</h3>{_verdict(one, true, classes)}</div>'
        f"{_row(one, size, extent)}{_note(one)}</article>"
        for one, true in zip(scans, truth, strict=True)
    ]
    return f"<h2>Scans</h2>{''.join(cards)}"


def _verdict(one: Explained, true: Any, classes: tuple[str, ...]) -> str:
    html = ""
    if one.label is not None:
        html += f'<span class="verdict">class: <b>{escape(_class(one.label, classes))}</b></span>'
    if true is not None:
        wrong = one.label is not None and str(true) != str(one.label)
        style_ = ' class="miss"' if wrong else ' class="soft"'
        html += f"<span{style_}>truth: {escape(_class(true, classes))}</span>"
    if one.probabilities:
        bars = (
            f'<span>{escape(_class(k, classes))}<i><b style="width:{100 * p:.0f}%"></b></i>{p:.2f}</span>'
            for k, p in one.probabilities
        )
        html += f'<span class="odds">{"".join(bars)}</span>'
    return html


def _class(label: Any, classes: tuple[str, ...]) -> str:
    if isinstance(label, int | np.integer) and 0 <= label < len(classes):
        return classes[label]
    return str(label)


def _note(one: Explained) -> str:
    return f'<p class="note">{escape(one.note)}</p>' if one.note else ""


def _row(one: Explained, size: int, extent: float | None) -> str:
    """The three views, the colour bar in a column of its own, the flat image and the sampling
    grid.
    """
    views = _views(one)
    images = render_views(
        one.surface, one.field, views=views, field_style=one.look, size=size, extent=extent
    )
    html = "".join(
        _figure("surface", _png(image), view, f"{one.name}, {view} view")
        for image, view in zip(images, views, strict=True)
    )
    flats = [
        ("flat image", flat_picture(one, size=size)),
        ("sampling grid", sampling_picture(one, size=size)),
    ]
    html += f'<figure class="bar">{_colour_bar(one)}</figure>'
    shown = [(name, data) for name, data in flats if data is not None]
    html += "".join(_figure("flat", data, name, f"{one.name}, {name}") for name, data in shown)
    return f'<div class="row" style="--surfaces:{len(views)};--flats:{max(len(shown), 1)}">{html}</div>'


def _views(one: Explained) -> tuple[str, ...]:
    """See the subject from the left, unless clearly more of the field lies on the right."""
    if one.field is None:
        return LEFT
    x = one.surface.vertices[:, 0]
    weight = np.abs(one.field) if one.look.signed else one.field - one.field.min()
    centre = (weight * (x - (x.min() + x.max()) / 2)).sum()
    return RIGHT if centre < -0.05 * np.ptp(x) * weight.sum() else LEFT


def _figure(kind: str, png: bytes, caption: str, alt: str) -> str:
    return f'<figure class="{kind}">{_image(png, alt)}<figcaption>{escape(caption)}</figcaption></figure>'


def _colour_bar(one: Explained) -> str:
    """The colours as a small SVG, with the levels of the iso-lines."""
    if one.field is None:
        return ""
    colours = style.DIVERGING if one.look.signed else style.SEQUENTIAL
    low, high = one.look.resolve(one.field)
    share = [k / (len(colours) - 1) for k in range(len(colours))]
    key = f"ramp{abs(hash((colours, one.look.signed))) % 10**6}"
    stops = "".join(
        f'<stop offset="{s:.4f}" stop-color="{c}"/>' for s, c in zip(share, colours, strict=True)
    )
    ticks = "".join(
        f'<line x1="12" x2="29" y1="{y}" y2="{y}" stroke="#4a4038" stroke-width=".8"/>'
        f'<text x="33" y="{y + 3.5}" font-size="10" fill="#6b645c">{_tick(low + s * (high - low))}</text>'
        for s in (0.0, *style.ISO_LINES, 1.0)
        for y in [15 + 160 * (1 - s)]
    )
    return (
        f'<svg viewBox="0 0 66 190" role="img" aria-label="colour scale">'
        f'<defs><linearGradient id="{key}" x1="0" y1="1" x2="0" y2="0">{stops}</linearGradient></defs>'
        f'<rect x="12" y="15" width="14" height="160" fill="url(#{key})" stroke="#b9b1a6" stroke-width=".5"/>{ticks}'
        f'<text x="6" y="95" font-size="10" fill="#6b645c" text-anchor="middle" transform="rotate(-90 6 95)">'
        f"{escape(one.look.name)}</text></svg>"
    )


def _tick(value: float) -> str:
    return escape(f"{value:.3g}")


def skipped_section(skipped: list[Any]) -> str:
    """The scans that were left out, and why."""
    if not skipped:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(reason)}</td></tr>'
        for name, reason in map(_reason, skipped)
    )
    count = f"{len(skipped)} scan{'s' if len(skipped) > 1 else ''}"
    table = f'<div class="scroll"><table><tbody>{rows}</tbody></table></div>'
    return f"<h2>Left out</h2><p>{count} could not be used.</p>{table}"


def _reason(one: Any) -> tuple[str, str]:
    if isinstance(one, str):
        return one, ""
    if hasattr(one, "name") and hasattr(one, "error"):
        return str(one.name), str(getattr(one.error, "message", "") or one.error)
    name, reason = one
    return str(name), str(reason)


def viewer_section(scans: list[Explained], others: int) -> str:
    """The scans that can be turned, and how many more there are."""
    if not scans:
        return ""
    extent = max(float(np.ptp(one.surface.vertices, axis=0).max()) for one in scans)
    meshes = json.dumps(
        [mesh_data(one, extent=extent) for one in scans], ensure_ascii=True
    ).replace("<", "\\u003c")
    options = "".join(
        f'<option value="{k}">{escape(one.name)}</option>' for k, one in enumerate(scans)
    )
    more = f'<p class="soft">{others} more scans are shown above only.</p>' if others > 0 else ""
    return (
        f'<h2 class="interactive">Turn it yourself</h2><div id="viewer"><div class="controls">'
        f"<label>scan <select>{options}</select></label>"
        f'<label>show from <input type="range" aria-label="threshold"> <span class="level"></span></label>'
        f'<button type="button">front view</button></div>'
        f'<div class="stage"><canvas></canvas><div class="marker" hidden></div></div>'
        f"<output></output>{more}</div>"
        f'<script type="application/json" id="meshes">{meshes}</script>'
    )


def _image(png: bytes, alt: str) -> str:
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}">'


def _png(image: Any) -> bytes:
    """A PNG of at most 256 colours: a third of the size, and no difference to the eye."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).quantize(256, dither=Image.Dither.NONE).save(
        buffer, "png", optimize=True
    )
    return buffer.getvalue()
