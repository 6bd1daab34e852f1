"""A surface beside its map: a checkerboard carried back to the surface, and what the map does to
angles and areas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from meshconv._check import FloatArray
from meshconv.maps.distortion import distortion
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.sketch import DARK, LIGHT
from meshconv.viz import style
from meshconv.viz.picture import place_camera, pyplot, quiet_plotter, surface_frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SQUARES = 24  # of the checkerboard across the domain


def map_figure(parameterization: Parameterization, *, title: str = "", size: int = 700) -> Figure:
    """Return a figure: checkerboard on the surface and in the plane, angle error, and area ratio.

    Parameters
    ----------
    parameterization : Parameterization
        A map to the plane; on the sphere, the image is seen from +z and from -z.
    title : str
        Printed as text.
    size : int
        Pixels of the rendered surface.
    """
    plt = pyplot()
    report = distortion(parameterization)
    fig, axes = plt.subplots(
        1, 4, figsize=(17, 4.6), gridspec_kw={"width_ratios": [1, 1, 1.13, 1.13]}
    )
    axes[0].imshow(_checkered(parameterization, size))
    axes[0].set_title("surface", fontsize=9, color="#6b645c")
    flat, faces = _flat(parameterization)
    _draw_board(axes[1], parameterization)
    axes[1].set_title(
        f"map ({parameterization.domain}), {len(report.folds)} folds", fontsize=9, color="#6b645c"
    )
    angle = report.angle_error.mean(axis=1)[: len(faces)]
    _field(
        fig,
        axes[2],
        flat,
        faces,
        angle,
        (0.0, max(5.0, float(np.quantile(angle, 0.95)))),
        "angle error (degrees)",
    )
    ratio = np.clip(report.log_area_ratio / np.log(2.0), -20, 20)[: len(faces)]
    reach = max(1.0, float(np.quantile(np.abs(ratio), 0.98)))
    _field(fig, axes[3], flat, faces, ratio, (-reach, reach), "log2 area ratio", signed=True)
    for axis in axes:
        axis.set_axis_off()
        axis.set_aspect("equal")
    mean = (
        f"angle error {report.angle_mean:.2f} deg mean, misplaced area {report.misplaced_area:.3f}"
    )
    fig.suptitle(f"{title}   {mean}" if title else mean, parse_math=False, fontsize=11)
    return fig


def _field(
    fig: Any,
    axis: Any,
    xy: FloatArray,
    faces: Any,
    value: FloatArray,
    limits: Any,
    name: str,
    *,
    signed: bool = False,
) -> None:
    shade = axis.tripcolor(
        *xy.T,
        faces,
        value,
        vmin=limits[0],
        vmax=limits[1],
        cmap=style.colormap(signed=signed),
        rasterized=True,
    )
    fig.colorbar(shade, ax=axis, fraction=0.046, pad=0.02)
    axis.set_title(name, fontsize=9, color="#6b645c")


def _flat(parameterization: Parameterization) -> tuple[FloatArray, Any]:
    """Plane coordinates and the faces to draw there; of a sphere, the half that is seen from +z."""
    faces = parameterization.surface.faces
    if parameterization.domain != "sphere":
        return parameterization.coordinates, faces
    xyz = parameterization.coordinates
    return xyz[:, :2], faces[xyz[faces][:, :, 2].mean(axis=1) > 0]


def _draw_board(axis: Any, parameterization: Parameterization) -> None:
    """The checkerboard in the plane, inside the outline of the map."""
    from matplotlib.patches import Circle, Polygon

    uv = parameterization.coordinates[:, :2]
    low, high = np.floor(uv.min(axis=0) * _SQUARES / 2), np.ceil(uv.max(axis=0) * _SQUARES / 2)
    cells = [np.arange(a, b).astype(np.int64) for a, b in zip(low, high, strict=True)]
    board = np.add.outer(cells[1], cells[0]) % 2
    extent = np.array([low[0], high[0], low[1], high[1]]) * 2 / _SQUARES
    image = axis.imshow(
        board, origin="lower", extent=extent, cmap=_two_tone(), interpolation="nearest"
    )
    line: dict[str, Any] = {"fill": False, "color": "#4a4038", "lw": 0.8}
    if parameterization.domain == "sphere":
        outline: Any = Circle((0, 0), 1.0, **line)
    else:
        outline = Polygon(uv[parameterization.surface.boundary_loops[0]], **line)
    axis.add_patch(outline)
    image.set_clip_path(outline)


def _two_tone() -> Any:
    from matplotlib.colors import ListedColormap

    return ListedColormap([np.array(LIGHT) / 255, np.array(DARK) / 255])


def _checkered(parameterization: Parameterization, size: int) -> Any:
    """Render the surface with the checkerboard of its map as a texture."""
    import pyvista

    surface = parameterization.surface
    mesh = surface.to_pyvista()
    uv = parameterization.coordinates[:, :2]
    span = float(np.abs(uv).max()) or 1.0
    cells = 2 * int(np.ceil(span * _SQUARES / 2))  # an even number, so that the board is centred
    mesh.active_texture_coordinates = (uv / (2 * span * (cells / (span * _SQUARES))) + 0.5).astype(
        np.float32
    )
    parity = np.add.outer(np.arange(cells), np.arange(cells)) % 2
    pixels = np.where(parity[..., None] == 1, DARK, LIGHT).astype(np.uint8)
    pixels = pixels[::-1].repeat(16, axis=0).repeat(16, axis=1)
    plotter = quiet_plotter(size)
    plotter.add_mesh(
        mesh, texture=pyvista.Texture(pixels), smooth_shading=False, ambient=0.35, diffuse=0.7
    )
    centre, radius, forward = surface_frame(surface)
    place_camera(plotter, forward, centre, radius)
    image = np.asarray(plotter.screenshot(return_img=True))[:, :, :3]
    plotter.close()
    return image
