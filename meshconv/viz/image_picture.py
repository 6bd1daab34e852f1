"""The channels of a geometry image side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meshconv.resample.geometry_image import GeometryImage
from meshconv.viz import style
from meshconv.viz.picture import pyplot

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def image_figure(image: GeometryImage, *, title: str = "") -> Figure:
    """Return a figure with one panel a channel, v upwards, each coloured around its own median;
    white off the mask.
    """
    plt = pyplot()
    columns = min(5, len(image.names))
    rows = -(-len(image.names) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(2.6 * columns, 2.9 * rows), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, name, channel in zip(axes.flat, image.names, image.channels, strict=False):
        values = channel[image.mask]
        middle = float(np.median(values))
        reach = float(np.quantile(np.abs(values - middle), 0.98)) or 1.0
        shown = np.where(image.mask, channel, np.nan)
        axis.imshow(
            shown,
            origin="lower",
            cmap=style.colormap(signed=True),
            vmin=middle - reach,
            vmax=middle + reach,
        )
        axis.set_title(name, fontsize=9, color="#6b645c")
    if title:
        fig.suptitle(title, parse_math=False, fontsize=11)
    return fig
