"""A contact sheet: every scan of a study in its frame, the doubtful ones first, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meshconv.errors import ArgumentError
from meshconv.io.atomic import write_bytes_atomic
from meshconv.mesh.surface import Surface
from meshconv.mesh_repair.repair import repair
from meshconv.registration.fit import quiet_fit
from meshconv.registration.template import Template
from meshconv.registration.template_fit import TemplateFit
from meshconv.train.scans import EXPECTED, ScanLike, read
from meshconv.train.skipped import Skipped
from meshconv.viz import style
from meshconv.viz.picture import place_camera, polydata, quiet_plotter, surface_frame, views_extent
from meshconv.viz.sections import left_out, png
from meshconv.viz.template_engine import render

_FRONT = (0.0, 0.0, 1.0)


class Tile(NamedTuple):
    """One scan of the sheet."""

    name: str
    picture: bytes
    score: str
    doubts: tuple[str, ...]


def contact_sheet(
    path: str | PathLike[str],
    scans: Sequence[ScanLike],
    template: Template,
    *,
    title: str = "Scans in the frame",
    size: int = 160,
    overwrite: bool = False,
) -> tuple[TemplateFit | Skipped, ...]:
    """Write one page with a picture of each scan as it lies in the frame, and its score.

    Doubtful scans come first, the worst at the top; then the others, the least certain first. All
    are seen from where the frame is upright, at one scale, so that a person sees in a minute what
    lies wrong. The page needs no other file.

    Parameters
    ----------
    path : str or PathLike
        An HTML file.
    scans : sequence of Scan, Surface or path
        Read, mended and registered one by one.
    template : Template
        The frame.
    title : str
    size : int
        Pixels of a picture's side.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    fits : tuple of TemplateFit or Skipped
        How each scan lies, in the order given; why it does not, for one that cannot be used.

    Raises
    ------
    ArgumentError
        If there are no scans.
    RenderingUnavailableError, MissingDependencyError
        Without OpenGL, PyVista or Jinja2.
    MeshIOError
        If the file cannot be written; an existing one is then left as it was.
    """
    if len(scans) == 0:
        raise ArgumentError("there are no scans to show")
    camera = _Camera(template, size)
    found: list[TemplateFit | Skipped] = []
    tiles: list[tuple[float, Tile]] = []
    for one in read(scans):
        fit = one if isinstance(one, Skipped) else _fit(*one, template)
        found.append(fit)
        if isinstance(fit, TemplateFit):
            name = "" if isinstance(one, Skipped) else one[1].name
            score = fit.score.value
            seen = camera(Surface(fit.pose.points(fit.upright.vertices), fit.upright.faces))
            tiles.append((score, Tile(name, seen, f"{score:.2f}", fit.doubts)))
    ordered = [tile for _, tile in sorted(tiles, key=lambda pair: (not pair[1].doubts, pair[0]))]
    skipped = [one for one in found if isinstance(one, Skipped)]
    page = render(
        "contact_sheet.html",
        title=title,
        frame=camera(template.surface),
        open_turn=template.open_turn,
        doubtful=[tile for tile in ordered if tile.doubts],
        others=[tile for tile in ordered if not tile.doubts],
        skipped=left_out(skipped),
    )
    write_bytes_atomic(path, page.encode("utf-8", "backslashreplace"), overwrite=overwrite)
    return tuple(found)


def _fit(index: int, scan: Any, template: Template) -> TemplateFit | Skipped:
    try:
        clean = repair(scan.surface, target=template.parameterization.domain).surface
        return quiet_fit(clean, template, landmarks=None, mirror=scan.mirrored)  # the page says it
    except EXPECTED as error:
        return Skipped(index, scan.name, error)


class _Camera:
    """Pictures of surfaces in a template's space, all from one place and at one scale."""

    def __init__(self, template: Template, size: int) -> None:
        self.centre = surface_frame(template.surface)[0]
        self.extent = 1.15 * views_extent(template.surface, ("front",))
        self.plotter = quiet_plotter(size)

    def __call__(self, surface: Surface) -> bytes:
        """Return a PNG, seen from the front."""
        mesh = polydata(surface)
        actor = self.plotter.add_mesh(
            mesh, color=style.NEUTRAL, ambient=0.4, diffuse=0.7, specular=0.0
        )
        place_camera(self.plotter, _FRONT, self.centre, self.extent)
        self.plotter.render()
        image: NDArray[np.uint8] = np.asarray(self.plotter.screenshot(return_img=True))
        self.plotter.remove_actor(actor)
        return png(image)
