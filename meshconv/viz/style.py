"""The house's colours, stated once: light neutral start, never black; signed fields diverge around
a light centre.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshconv.mesh.sketch import SEQUENTIAL

if TYPE_CHECKING:
    from matplotlib.colors import LinearSegmentedColormap

DIVERGING = ("#1b3a6b", "#3f7fbf", "#a9cbe0", "#f2efe9", "#f3b58a", "#d1552f", "#7a1220")
NEUTRAL = "#d9d4cc"
ISO_LINES = (0.25, 0.5, 0.75)
SIGNED_ISO_LINES = (
    0.25,
    0.75,
)  # half way out on either side: the zero line of a signed field is mostly noise


def iso_levels(low: float, high: float, *, signed: bool = False) -> list[float]:
    """Return the values of the iso-lines on a scale from `low` to `high`."""
    return [low + (high - low) * k for k in (SIGNED_ISO_LINES if signed else ISO_LINES)]


def colormap(*, signed: bool = False) -> LinearSegmentedColormap:
    """Return the sequential colour map, or the diverging one for signed fields."""
    from matplotlib.colors import LinearSegmentedColormap

    stops = DIVERGING if signed else SEQUENTIAL
    return LinearSegmentedColormap.from_list(
        "meshconv_signed" if signed else "meshconv", list(stops)
    )


def line_colormap(*, signed: bool = False) -> LinearSegmentedColormap:
    """Return the same colours for thin lines on white: the light ones a little darker, so that they
    can be seen.
    """
    from matplotlib.colors import LinearSegmentedColormap

    colours = colormap(signed=signed)
    shades = [
        tuple(0.88 * c if max(rgb[:3]) > 0.85 else c for c in rgb[:3])
        for rgb in map(colours, range(256))
    ]
    return LinearSegmentedColormap.from_list("meshconv_lines", shades)
