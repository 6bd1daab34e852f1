"""The flat side of a result: the field in the square, and where the network's samples lie in it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from meshconv._check import FloatArray
from meshconv.resample.grid import bilinear_weights
from meshconv.resample.resampler import Resampler
from meshconv.viz import style
from meshconv.viz.explained import Explained
from meshconv.viz.picture import pyplot

_LINES = 33  # at most so many lines each way: more would hide the colour


def flat_field(explained: Explained, size: int = 257) -> FloatArray | None:
    """Return the field on the nodes of the square, (N, N), NaN outside the map; None without map or
    field.
    """
    field = explained.mapped_field()
    if explained.parameterization is None or field is None:
        return None
    return Resampler(explained.parameterization, size).to_image(field).channels[0]


def flat_picture(explained: Explained, *, size: int = 420) -> bytes | None:
    """Return a PNG of the flat image of the field, v upwards, with its iso-lines; None if there is
    none.
    """
    image = flat_field(explained)
    if image is None:
        return None
    fig, axis = _square(size)
    low, high = _draw(axis, image, explained)
    if explained.look.iso_lines and np.nanmax(image) > np.nanmin(image):
        levels = style.iso_levels(low, high, signed=explained.look.signed)
        axis.contour(image, levels, colors="#4a4038", linewidths=0.6, extent=(0, 1, 0, 1))
    return _png(fig)


def sampling_picture(explained: Explained, *, size: int = 420) -> bytes | None:
    """Return a PNG of the sampling grid over the flat image in the same colours; None without a
    grid.
    """
    image = flat_field(explained)
    if image is None or explained.sampling_grid is None:
        return None
    from matplotlib.collections import LineCollection

    uv = explained.sampling_grid
    fig, axis = _square(size)
    _draw(axis, image, explained, alpha=0.4)
    low, high = explained.look.resolve(np.asarray(explained.drawn))
    segments = np.concatenate([_segments(uv), _segments(uv.swapaxes(0, 1))])
    colours = _sample(image, segments.mean(axis=1))
    lines = LineCollection(
        list(segments), cmap=style.line_colormap(signed=explained.look.signed), linewidths=0.9
    )
    lines.set_array(colours)
    lines.set_clim(low, high)
    axis.add_collection(lines)
    return _png(fig)


def _segments(uv: FloatArray) -> FloatArray:
    """Pieces (K, 2, 2) of some lines along the second axis."""
    step = max(1, -(-(len(uv) - 1) // (_LINES - 1)))
    chosen = uv[::step]
    return np.stack([chosen[:, :-1], chosen[:, 1:]], axis=2).reshape(-1, 2, 2)


def _sample(image: FloatArray, points: FloatArray) -> FloatArray:
    """Bilinear values at points (P, 2) = (u, v), the map's outside counted as 0."""
    nodes, weights = bilinear_weights(points, len(image))
    return np.asarray((np.nan_to_num(image).ravel()[nodes] * weights).sum(axis=1))


def _square(size: int) -> tuple[Any, Any]:
    fig = pyplot().figure(figsize=(size / 100, size / 100), dpi=100)
    axis = fig.add_axes((0.02, 0.02, 0.96, 0.96))
    axis.set_axis_off()
    axis.set_xlim(-0.005, 1.005)
    axis.set_ylim(-0.005, 1.005)
    axis.set_aspect("equal")
    return fig, axis


def _draw(
    axis: Any, image: FloatArray, explained: Explained, *, alpha: float = 1.0
) -> tuple[float, float]:
    low, high = explained.look.resolve(np.asarray(explained.drawn))
    half = 0.5 / (
        len(image) - 1
    )  # nodes lie on the border, so that the outer pixels reach half over it
    axis.imshow(
        image,
        cmap=style.colormap(signed=explained.look.signed),
        vmin=low,
        vmax=high,
        origin="lower",
        extent=(-half, 1 + half, -half, 1 + half),
        interpolation="nearest",
        alpha=alpha,
    )
    return low, high


def _png(fig: Any) -> bytes:
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", facecolor="white")
    pyplot().close(fig)
    return buffer.getvalue()
