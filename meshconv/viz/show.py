"""`show`: a window with a surface, the field on it and, where there is one, its map."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from meshconv.viz.explained import as_explained
from meshconv.viz.picture import FieldStyle
from meshconv.viz.window import (
    draw_bar,
    draw_map,
    draw_surface,
    finish,
    heading,
    new_window,
    window_title,
    write,
)


def show(
    result: Any,
    field: ArrayLike | None = None,
    *,
    title: str = "",
    look: FieldStyle | None = None,
    interactive: bool = True,
    off_screen: bool = False,
) -> Any:
    """Open a window on an explanation, a surface or a map: drag to turn, scroll to zoom, q to
    close.

    Parameters
    ----------
    result : Explanation, Surface or Parameterization
        An explanation is turned upright by its map and shows its saliency on 0..1 and its class.
        With a map the flat picture stands beside the surface.
    field : (V,) array_like, optional
        Shown instead of the saliency.
    title : str
        In place of the name and the class.
    look : FieldStyle, optional
        Name, range and signedness of the field.
    interactive : bool
        False returns at once with the drawn window, for further work on it; the caller closes it.
    off_screen : bool
        Draw without a window.

    Returns
    -------
    plotter : pyvista.Plotter or None
        The drawn plotter if not `interactive`.

    Raises
    ------
    RenderingUnavailableError, MissingDependencyError
        Without OpenGL or PyVista; the message has the apt or pip line.
    ArrayTypeError, NonFiniteError
        If `result` cannot be drawn, or a value is NaN.
    """
    explained = as_explained(result, field, look=look)
    if hasattr(result, "saliency"):
        explained = explained.facing_viewer()
    panels = 1 if explained.parameterization is None else 2
    plotter = new_window(panels, title=title or window_title(explained.name), off_screen=off_screen)
    actor = draw_surface(plotter, 0, explained)
    if panels == 2:
        draw_map(plotter, 1, explained)
    draw_bar(plotter, panels, explained, actor)
    plotter.subplot(0, 0)
    write(plotter, heading(explained, title))
    return finish(plotter, interactive=interactive)
