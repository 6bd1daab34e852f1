"""Static pictures of a surface with a field on it: one scale, three views, one colour bar."""

from __future__ import annotations

import io
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from meshconv._check import FloatArray, field_array
from meshconv.errors import MissingDependencyError
from meshconv.mesh.surface import Surface
from meshconv.viz import style
from meshconv.viz.drawn_vertices import drawn_vertices
from meshconv.viz.rendering import rendering_backend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

View = Literal["front", "three-quarter", "profile", "three-quarter right", "profile right"]
# direction from the surface to the camera, in a frame with x to the subject's left, y up, z forward
_VIEWS: dict[str, tuple[float, float, float]] = {
    "front": (0.0, 0.0, 1.0),
    "three-quarter": (0.7, 0.1, 0.7),
    "profile": (1.0, 0.0, 0.0),
    "three-quarter right": (-0.7, 0.1, 0.7),
    "profile right": (-1.0, 0.0, 0.0),
}


@dataclass(frozen=True)
class FieldStyle:
    """How a field is drawn: its range, its name, and whether it is signed."""

    name: str = "saliency"
    limits: tuple[float, float] | None = None
    signed: bool = False
    iso_lines: bool = True

    def resolve(self, field: FloatArray) -> tuple[float, float]:
        """Return the colour limits: as given, symmetric if signed, else from the 0.5 % to the 99.5
        % quantile.
        """
        if self.limits is not None:
            return self.limits
        low, high = np.quantile(field, [0.005, 0.995])
        if self.signed:
            low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
        return (float(low), float(high)) if high > low else (float(low) - 0.5, float(low) + 0.5)


SALIENCY = FieldStyle("saliency", (0.0, 1.0))


def render_views(
    surface: Surface,
    field: FloatArray | None = None,
    *,
    views: tuple[str, ...] = ("front", "three-quarter", "profile"),
    field_style: FieldStyle | None = None,
    size: int = 600,
    extent: float | None = None,
) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Return one (size, size, 3) uint8 image a view: parallel projection, white ground, one scale
    for all.

    Half a picture's height is 1.04 `extent` long; by default what holds all the views
    (`views_extent`).
    """
    look = field_style or FieldStyle()
    mesh = polydata(surface, field)
    centre, _, _ = surface_frame(surface)
    radius = extent or views_extent(surface, views)
    plotter = quiet_plotter(size)
    add_field(plotter, mesh, field, look)
    images = []
    for view in views:
        place_camera(plotter, _VIEWS[view], centre, radius)
        plotter.render()  # a later screenshot shows the last render, not the moved camera
        images.append(np.array(plotter.screenshot(return_img=True))[:, :, :3])
    plotter.close()
    return images


def polydata(surface: Surface, field: FloatArray | None = None) -> Any:
    """Return the surface as PolyData with its normals and, if given, the point array ``field``."""
    mesh = surface.to_pyvista(
        **({} if field is None else {"field": np.array(field, dtype=np.float64)})
    )
    mesh.points = drawn_vertices(surface)
    mesh.point_data.active_normals = np.array(surface.vertex_normals)
    return mesh


def views_extent(surface: Surface, views: tuple[str, ...]) -> float:
    """Return half the side of the square that holds the surface in each of the views."""
    centre, _, _ = surface_frame(surface)
    around = drawn_vertices(surface) - centre
    return max(_half_extent(around, _VIEWS[view]) for view in views) or 1.0


def quiet_plotter(size: int) -> Any:
    """Return an off-screen plotter on white ground with the house's two lights, or raise if nothing
    can draw.
    """
    rendering_backend()
    import pyvista
    from vtkmodules.vtkCommonCore import vtkLogger

    vtkLogger.SetStderrVerbosity(
        vtkLogger.VERBOSITY_OFF
    )  # a missing X server is no news: EGL steps in
    plotter = pyvista.Plotter(off_screen=True, window_size=(size, size), lighting="none")
    plotter.set_background("white")
    plotter.enable_anti_aliasing("ssaa")
    add_lights(plotter)
    return plotter


def add_lights(plotter: Any) -> None:
    """Light the active renderer softly from the viewer's upper right, and fill in from the left."""
    import pyvista

    for position, intensity in (
        ((0.4, 0.7, 1.0), 0.55),
        ((-0.8, 0.1, 0.6), 0.35),
        ((0.1, -1.0, 0.6), 0.2),
    ):
        plotter.renderer.add_light(
            pyvista.Light(position=position, light_type="camera light", intensity=intensity)
        )


def surface_frame(surface: Surface) -> tuple[FloatArray, float, tuple[float, float, float]]:
    """Return the middle of the bounding box, the radius around it, and the direction an open
    surface faces.
    """
    vertices = drawn_vertices(surface)
    centre = (vertices.max(axis=0) + vertices.min(axis=0)) / 2
    radius = float(np.linalg.norm(vertices - centre, axis=1).max()) or 1.0
    facing = surface.face_area_vectors.sum(axis=0)
    if np.linalg.norm(facing) < 0.05 * surface.area:  # closed, or nearly so
        return centre, radius, _VIEWS["front"]
    return centre, radius, (float(facing[0]), float(facing[1]), float(facing[2]))


def add_field(plotter: Any, mesh: Any, field: FloatArray | None, look: FieldStyle) -> Any:
    """Add a PolyData whose point array ``field`` is to be coloured, with its iso-lines; return the
    actor.
    """
    shade = {"ambient": 0.4, "diffuse": 0.7, "specular": 0.0, "show_scalar_bar": False}
    if field is None:
        return _smooth(plotter.add_mesh(mesh, color=style.NEUTRAL, **shade), mesh)
    low, high = look.resolve(np.asarray(field))
    colours = style.colormap(signed=look.signed)
    actor = plotter.add_mesh(mesh, scalars="field", cmap=colours, clim=(low, high), **shade)
    if look.iso_lines:
        add_iso_lines(plotter, mesh, style.iso_levels(low, high, signed=look.signed))
    return _smooth(actor, mesh)


def add_iso_lines(plotter: Any, mesh: Any, levels: list[float]) -> Any:
    """Add the thin lines of some levels of the point array ``field``."""
    lines = mesh.contour(levels, scalars="field")
    if not lines.n_points:
        return None
    if (
        lines.point_data.active_normals is not None
    ):  # lifted a little, or the surface would swallow parts of them
        lines.points += 0.003 * mesh.length * lines.point_data.active_normals
    return plotter.add_mesh(lines, color="#4a4038", line_width=1.6, lighting=False, pickable=False)


def _smooth(actor: Any, mesh: Any) -> Any:
    """Shade by the normals of the points, where the mesh has them."""
    if mesh.point_data.active_normals is not None:
        actor.prop.interpolation = "Phong"
    return actor


def _half_extent(offsets: FloatArray, direction: tuple[float, float, float]) -> float:
    """Half the side of the square, around the centre, that holds the points seen from
    `direction`.
    """
    x, _, z = direction
    across = (offsets[:, 0] * z - offsets[:, 2] * x) / np.hypot(x, z)
    return float(max(np.abs(across).max(), np.abs(offsets[:, 1]).max()))


def place_camera(
    plotter: Any, direction: tuple[float, float, float], centre: FloatArray, radius: float
) -> None:
    """Look along -`direction` in parallel projection, y (or, from above, z) up, the radius filling
    the picture.
    """
    towards = np.asarray(direction) / np.linalg.norm(direction)
    plotter.camera.focal_point = tuple(centre)
    plotter.camera.position = tuple(centre + 10 * radius * towards)
    plotter.camera.up = (0.0, 1.0, 0.0) if abs(towards[1]) < 0.9 else (0.0, 0.0, 1.0)
    plotter.enable_parallel_projection()
    plotter.camera.parallel_scale = 1.04 * radius
    plotter.reset_camera_clipping_range()


def figure(
    surface: Surface,
    field: FloatArray | None = None,
    *,
    title: str = "",
    views: tuple[str, ...] = ("front", "three-quarter", "profile"),
    field_style: FieldStyle | None = None,
    size: int = 600,
) -> Figure:
    """Return a matplotlib figure: the views side by side and the colour bar in a column of its own.

    Parameters
    ----------
    surface : Surface
        V vertices; drawn with x to the right, y up, z towards the viewer.
    field : (V,) array_like, optional
        Coloured on the surface; without it the surface is plain.
    title : str
        Printed above, as text (never as mathematics or markup).
    views : tuple of {'front', 'three-quarter', 'profile', 'three-quarter right', 'profile right'}
        Left to right; the subject's left side is seen unless the right one is named.
    field_style : FieldStyle, optional
        Name, limits and signedness of the field.
    size : int
        Pixels per view.

    Raises
    ------
    RenderingUnavailableError, MissingDependencyError
        Without OpenGL or without PyVista and matplotlib.
    """
    plt = pyplot()
    values = None if field is None else field_array(field, surface.n_vertices, "field")
    look = field_style or FieldStyle()
    images = render_views(surface, values, views=views, field_style=look, size=size)
    widths = [1.0] * len(images) + ([] if values is None else [0.045])
    fig, axes = plt.subplots(
        1,
        len(widths),
        figsize=(3.4 * sum(widths) + 0.6, 3.9),
        gridspec_kw={"width_ratios": widths},
        squeeze=False,
    )
    for axis, image, view in zip(axes[0], images, views, strict=False):
        axis.imshow(image)
        axis.set_axis_off()
        axis.set_title(view, fontsize=9, color="#6b645c")
    if values is not None:
        low, high = look.resolve(values)
        scale = plt.cm.ScalarMappable(plt.Normalize(low, high), style.colormap(signed=look.signed))
        fig.colorbar(scale, cax=axes[0, -1]).set_label(look.name)
        if np.ptp(values) == 0:
            fig.text(
                0.5, 0.02, f"the field is constant ({values[0]:.4g})", ha="center", color="#7a1220"
            )
    if title:
        fig.suptitle(title, parse_math=False, fontsize=12)
    return fig


def save_figure(fig: Figure, path: str | PathLike[str], *, dpi: int = 150) -> None:
    """Write a figure whole or not at all; the format follows the name (.png, .svg, .pdf)."""
    from pathlib import Path

    from meshconv.io.atomic import atomic_write

    buffer = io.BytesIO()
    fig.savefig(
        buffer,
        format=Path(path).suffix.lstrip(".") or "png",
        dpi=dpi,
        bbox_inches="tight",
        facecolor="white",
    )
    pyplot().close(fig)
    with atomic_write(path) as handle:
        handle.write(buffer.getvalue())


def pyplot() -> Any:
    """Return matplotlib.pyplot without a window system, or say how to install it."""
    try:
        import matplotlib
    except ImportError as error:
        raise MissingDependencyError(
            "matplotlib is not installed", hint="pip install 'meshconv[view]'"
        ) from error
    matplotlib.use("Agg", force=False)
    import matplotlib.pyplot as plt

    return plt
