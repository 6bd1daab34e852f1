"""A window's parts, shared by `show` and `inspect`: panels, surface, map, colour bar, words."""

from __future__ import annotations

from typing import Any

import numpy as np

from meshconv.errors import ArgumentError
from meshconv.maps.parameterization import Parameterization
from meshconv.viz.explained import Explained
from meshconv.viz.picture import add_field, add_lights, place_camera, polydata, surface_frame
from meshconv.viz.rendering import rendering_backend

FRONT = (0.0, 0.0, 1.0)
_BAR_WIDTH = 0.26  # of a panel: the colour bar has a column of its own
_SIZE = (560, 640)  # pixels of one panel, where the screen has room
_ON_SCREEN = 0.92  # of the screen that a window may take
_UNKNOWN_SCREEN = (1920, 1080)


def new_window(panels: int, *, title: str, off_screen: bool) -> Any:
    """Return a plotter with some panels and a narrow column for the colour bar, or raise if nothing
    can draw.
    """
    rendering_backend()
    import pyvista
    from vtkmodules.vtkCommonCore import vtkLogger

    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
    plotter = pyvista.Plotter(
        shape=(1, panels + 1),
        col_weights=[1.0] * panels + [_BAR_WIDTH],
        border=False,
        lighting="none",
        title=title,
        off_screen=off_screen,
        window_size=window_size(panels, _UNKNOWN_SCREEN),
    )
    if not off_screen:
        plotter.window_size = window_size(panels, plotter.render_window.GetScreenSize())
    plotter.set_background("white", all_renderers=True)
    plotter.enable_anti_aliasing("msaa")
    return plotter


def window_size(panels: int, screen: tuple[int, int]) -> list[int]:
    """Return width and height of a window of so many panels, in pixels, that fits the screen.

    >>> window_size(3, (1366, 768)), window_size(1, (3840, 2160))
    ([1256, 440], [705, 640])
    """
    wanted = np.array([_SIZE[0] * (panels + _BAR_WIDTH), _SIZE[1]])
    known = np.array(screen if min(screen) > 0 else _UNKNOWN_SCREEN)
    share = min(1.0, float((_ON_SCREEN * known / wanted).min()))
    return [int(side) for side in share * wanted]


def window_title(name: str) -> str:
    """Return the name of a scan without its folders.

    >>> window_title("/study/anna.ply"), window_title(r"C:\\study\\anna.ply"), window_title("")
    ('anna.ply', 'anna.ply', 'meshconv')
    """
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2] or "meshconv"


def draw_surface(plotter: Any, column: int, explained: Explained) -> Any:
    """Draw the surface with its field seen from the front; return its actor."""
    plotter.subplot(0, column)
    add_lights(plotter)
    actor = add_field(
        plotter, polydata(explained.surface, explained.field), explained.field, explained.look
    )
    centre, radius, _ = surface_frame(explained.surface)
    place_camera(plotter, FRONT, centre - np.array([0.0, 0.05 * radius, 0.0]), 1.18 * radius)
    return actor


def draw_map(plotter: Any, column: int, explained: Explained) -> Any:
    """Draw the map with the field in the same colours, without light; return its actor."""
    plotter.subplot(0, column)
    add_lights(plotter)
    flat = map_surface(explained)
    actor = add_field(plotter, flat, explained.mapped_field(), explained.look)
    if mapping(explained).domain != "sphere":
        actor.prop.lighting, actor.prop.ambient, actor.prop.diffuse = False, 1.0, 0.0
        hold_still(plotter)
    centre = (flat.points.max(axis=0) + flat.points.min(axis=0)) / 2
    place_camera(plotter, FRONT, centre, 1.15 * float(np.ptp(flat.points, axis=0).max()) / 2)
    write(plotter, "map")
    return actor


def hold_still(plotter: Any) -> None:
    """Keep a drag from turning the active panel: a flat picture is not for turning. The wheel still
    enlarges.
    """
    renderer, interactor = plotter.renderer, plotter.iren.interactor

    def stop(*_: Any) -> None:
        if renderer.IsInViewport(*interactor.GetEventPosition()):
            interactor.GetCommand(tag).SetAbortFlag(1)

    tag = interactor.AddObserver("LeftButtonPressEvent", stop, 10.0)


def map_surface(explained: Explained) -> Any:
    """Return the map's image as PolyData in space, z = 0 if it is flat, with its field."""
    parameterization = mapping(explained)
    xy = parameterization.coordinates
    field = explained.mapped_field()
    mesh = parameterization.surface.to_pyvista(
        **({} if field is None else {"field": np.array(field)})
    )
    mesh.points = np.column_stack([xy, np.zeros((len(xy), 3 - xy.shape[1]))])
    return mesh


def mapping(explained: Explained) -> Parameterization:
    """Return the map, which must be there."""
    if explained.parameterization is None:
        raise ArgumentError("there is no map to draw", hint="pass a result with a parameterization")
    return explained.parameterization


def draw_bar(plotter: Any, column: int, explained: Explained, actor: Any) -> None:
    """Draw the one colour bar, in the last column."""
    plotter.subplot(0, column)
    hold_still(plotter)
    if explained.field is None:
        return
    plotter.add_scalar_bar(
        title=explained.look.name,
        mapper=actor.mapper,
        vertical=True,
        n_labels=5,
        fmt="%.3g",
        color="#4a4038",
        width=0.4,
        height=0.6,
        position_x=0.2,
        position_y=0.2,
        title_font_size=13,
        label_font_size=13,
    )


def heading(explained: Explained, title: str = "") -> str:
    """Return the words above a result: name, class, and what to know before looking."""
    first = title or (window_title(explained.name) if explained.name else "")
    note = explained.note if explained.field is not None else ""
    verdict = "" if explained.at_chance else explained.verdict  # the note has it
    return "\n".join(line for line in (first, verdict, note) if line)


def write(
    plotter: Any, text: str, *, position: str = "upper_left", name: str | None = None
) -> None:
    """Write text into the active panel."""
    if text:
        plotter.add_text(text, position=position, font_size=9, color="#4a4038", name=name)


def finish(plotter: Any, *, interactive: bool) -> Any:
    """Show the window until it is closed, or draw it once and return it open."""
    if interactive:
        plotter.show()
        return None
    plotter.show(interactive=False, auto_close=False)
    return plotter
