"""`inspect`: surface, map and image side by side; a click on one is seen on the others."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np

from meshconv._check import FloatArray
from meshconv.errors import ArgumentError
from meshconv.resample.resampler import Resampler
from meshconv.viz import style
from meshconv.viz.explained import Explained, as_explained
from meshconv.viz.linked import LinkedViews, Place
from meshconv.viz.pick_landmarks import PickedLandmarks
from meshconv.viz.picture import FieldStyle, place_camera, surface_frame
from meshconv.viz.window import (
    FRONT,
    draw_bar,
    draw_map,
    draw_surface,
    finish,
    heading,
    hold_still,
    mapping,
    new_window,
    window_title,
    write,
)

SURFACE, MAP, IMAGE = 0, 1, 2
_DRAG = 4  # pixels: a press and a release further apart than this are a turn, not a click
_MARK = "#14508c"


def inspect(
    result: Any,
    *,
    channel: str | None = None,
    size: int = 65,
    look: FieldStyle | None = None,
    landmarks: str | PathLike[str] | None = None,
    interactive: bool = True,
    off_screen: bool = False,
) -> Inspector:
    """Open a window on an explanation: click on surface, map or image, see the point on all three.

    Parameters
    ----------
    result : Explanation
        With a ``parameterization``.
    channel : str, optional
        Show this channel of the explanation's image instead of the saliency.
    size : int
        Nodes per side of the image, where the explanation has none.
    look : FieldStyle, optional
        Of the field; by default ``saliency`` on 0..1.
    landmarks : str or PathLike, optional
        ``.fcsv``, ``.mrk.json`` or ``.pp``: m keeps the place last clicked, backspace drops it.
    interactive : bool
        False returns at once with the drawn window; close it with ``.close()``.
    off_screen : bool
        Draw without a window.

    Returns
    -------
    inspector : Inspector
        ``.place`` is the point last clicked, ``.threshold`` where the slider stands.

    Raises
    ------
    ArgumentError
        If there is no map, no saliency or no such channel.
    RenderingUnavailableError, MissingDependencyError
        Without OpenGL or PyVista.
    """
    lying = as_explained(result, look=look)
    explained = lying.facing_viewer()
    if explained.parameterization is None or explained.field is None:
        missing = "parameterization" if explained.parameterization is None else "saliency"
        raise ArgumentError(f"inspect needs a {missing}", hint="show(result) draws what there is")
    image = explained.image
    size = size if image is None else image.size
    pixels = None if channel is None else _channel(image, channel)
    inspector = Inspector(explained, size, pixels, channel or "image", off_screen=off_screen)
    if landmarks is not None:
        inspector.landmarks = PickedLandmarks(inspector, mapping(lying), landmarks)
    finish(inspector.plotter, interactive=interactive)
    return inspector


def _channel(image: Any, channel: str) -> FloatArray:
    if image is None:
        raise ArgumentError(f"no channel {channel!r}: the explanation has no image")
    return np.asarray(image[channel], dtype=np.float64)


class Inspector:
    """The window of `inspect`: what is drawn, the place picked last, and the threshold.

    Attributes
    ----------
    plotter : pyvista.Plotter
    views : LinkedViews
        The geometry behind it.
    place : Place or None
        Picked last.
    threshold : float
        Values below it are drawn as neutral.
    landmarks : PickedLandmarks or None
        Kept so far, where a file for them was given.
    """

    def __init__(
        self,
        explained: Explained,
        size: int,
        pixels: FloatArray | None,
        image_name: str,
        *,
        off_screen: bool,
    ) -> None:
        self.explained = explained
        self.place: Place | None = None
        self.landmarks: PickedLandmarks | None = None
        self.field = np.asarray(explained.mapped_field())
        self.limits = explained.look.resolve(self.field)
        self.threshold = self.limits[0]
        self.views = LinkedViews(mapping(explained), size)
        self._slider: Any = None
        self._pressed: tuple[int, int] | None = None
        self.plotter = new_window(3, title=window_title(explained.name), off_screen=off_screen)
        self._draw(pixels, image_name)
        self._coloured = self._actors[: IMAGE + 1 if pixels is None else IMAGE]
        self._colours = np.array(self._actors[SURFACE].mapper.lookup_table.values)
        self._add_slider()
        self._listen()

    def close(self) -> None:
        """Close the window."""
        self.plotter.close()

    def _draw(self, pixels: FloatArray | None, image_name: str) -> None:
        flat = mapping(self.explained)
        mapped = Explained(flat.surface, self.field, flat, self.explained.look)
        self._actors = [
            draw_surface(self.plotter, SURFACE, mapped),
            draw_map(self.plotter, MAP, mapped),
        ]
        self._actors.append(self._draw_image(pixels, image_name))
        draw_bar(self.plotter, 3, mapped, self._actors[SURFACE])
        self.plotter.subplot(0, SURFACE)
        write(self.plotter, heading(self.explained))

    def _add_slider(self) -> None:
        self.plotter.subplot(0, SURFACE)
        low, high = self.limits
        self._slider = self.plotter.add_slider_widget(
            self.set_threshold,
            rng=[low, high],
            value=low,
            title="show from",
            color="#4a4038",
            fmt="%.2f",
            pointa=(0.2, 0.09),
            pointb=(0.8, 0.09),
            interaction_event="always",
            slider_width=0.02,
            tube_width=0.004,
            title_height=0.022,
        )

    def _draw_image(self, pixels: FloatArray | None, name: str) -> Any:
        """Draw the image on the unit square: the field resampled, or a channel in its own range."""
        import pyvista

        self.plotter.subplot(0, IMAGE)
        hold_still(self.plotter)
        size = self.views.size
        along = np.linspace(0.0, 1.0, size)
        square = pyvista.StructuredGrid(*np.meshgrid(along, along, [0.0], indexing="ij"))
        own = pixels is not None
        shown = (
            pixels
            if pixels is not None
            else Resampler(mapping(self.explained), size).to_image(self.field).channels[0]
        )
        square["pixels"] = shown.ravel()
        spread = FieldStyle(name).resolve(shown[np.isfinite(shown)]) if own else self.limits
        actor = self.plotter.add_mesh(
            square,
            scalars="pixels",
            cmap="gray" if own else style.colormap(signed=self.explained.look.signed),
            clim=spread,
            nan_color="white",
            lighting=False,
            show_scalar_bar=False,
            interpolate_before_map=True,
        )
        place_camera(self.plotter, FRONT, np.array([0.5, 0.5, 0.0]), 0.575)
        write(self.plotter, name)
        return actor

    def set_threshold(self, value: float) -> None:
        """Draw values below `value` as neutral, on every panel and on the colour bar."""
        low, high = self.limits
        self.threshold = float(np.clip(value, low, high))
        if self._slider is not None:
            self._slider.GetRepresentation().SetValue(self.threshold)
        table = self._colours.copy()
        neutral = table[len(table) // 2 if self.explained.look.signed else 0]
        table[: round((self.threshold - low) / (high - low) * len(table))] = neutral
        for actor in self._coloured:
            actor.mapper.lookup_table.values = table

    def _listen(self) -> None:
        """Watch press and release: a pick fires at the start of a drag too, so compare the two."""
        interactor = self.plotter.iren.interactor
        interactor.AddObserver(
            "LeftButtonPressEvent", self._on_press, 20.0
        )  # before `hold_still` ends the event
        interactor.AddObserver("LeftButtonReleaseEvent", self._on_release)
        # while it turns the surface, the style keeps the release to itself, and tells only that it
        # is done
        interactor.GetInteractorStyle().AddObserver("EndInteractionEvent", self._on_release)

    def _on_press(self, *_: Any) -> None:
        self._pressed = self.plotter.iren.interactor.GetEventPosition()

    def _on_release(self, *_: Any) -> None:
        pressed, self._pressed = self._pressed, None
        released = self.plotter.iren.interactor.GetEventPosition()
        if (
            pressed is not None
            and np.hypot(released[0] - pressed[0], released[1] - pressed[1]) <= _DRAG
        ):
            self.click(*released)

    def click(self, x: int, y: int) -> Place | None:
        """Pick what lies under a pixel of the window, from its lower left corner; None if nothing
        does.
        """
        from vtkmodules.vtkRenderingCore import vtkCellPicker

        for column, actor in enumerate(self._actors):
            renderer = self.plotter.renderers[column]
            if not renderer.IsInViewport(x, y):
                continue
            picker = vtkCellPicker()
            picker.SetTolerance(0.0005)
            picker.PickFromListOn()
            picker.AddPickList(actor)
            if picker.Pick(x, y, 0, renderer):
                point = np.array(picker.GetPickPosition())
                self.select(self._place(column, picker.GetCellId(), point))
                return self.place
        return None

    def _place(self, column: int, cell: int, point: FloatArray) -> Place | None:
        if column == SURFACE:
            return self.views.from_surface(cell, point)
        if column == MAP:
            return self.views.from_map(
                point if mapping(self.explained).domain == "sphere" else point[:2]
            )
        return self.views.from_pixel(
            point[1] * (self.views.size - 1), point[0] * (self.views.size - 1)
        )

    def select(self, place: Place | None) -> None:
        """Mark a place on all three panels and write its value."""
        if place is None:
            return
        self.place = place
        flat = np.append(place.map_point, 0.0)[:3]
        row, column = place.pixel / (self.views.size - 1)
        radius = surface_frame(self.explained.surface)[1]
        spots = [(place.point, radius), (flat, 1.0), (np.array([column, row, 0.0]), 0.5)]
        for panel, (centre, scale) in enumerate(spots):
            self._mark(panel, centre, 0.022 * scale)
        value = self.views.value(place, self.field)
        self.plotter.subplot(0, SURFACE)
        text = f"{self.explained.look.name} {value:.3f} at {place}"
        write(self.plotter, text, position="lower_left", name="readout")
        self.plotter.render()

    def _mark(self, panel: int, centre: FloatArray, radius: float) -> None:
        import pyvista

        self.plotter.subplot(0, panel)
        self.plotter.add_mesh(
            pyvista.Sphere(radius=radius, center=centre),
            color=_MARK,
            lighting=False,
            pickable=False,
            name=f"mark{panel}",
            reset_camera=False,
            show_scalar_bar=False,
        )
