"""A contact sheet: every scan of a study in its frame, the doubtful ones first, on one page."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from os import PathLike
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meshconv.errors import ArgumentError, RepairWarning
from meshconv.io.atomic import write_bytes_atomic
from meshconv.mesh.surface import Surface
from meshconv.mesh_repair.repair import repair
from meshconv.registration.frame import Frame
from meshconv.resample.standing import Standing
from meshconv.train.prepared import Prepared
from meshconv.train.scans import ScanLike, read
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
    prepared: Prepared,
    template: Frame,
    *,
    title: str = "Scans in the frame",
    size: int = 160,
    pictures: int = 2000,
    overwrite: bool = False,
) -> None:
    """Write one page with a picture of each scan as it lies in the frame, and its score.

    Doubtful scans come first, the worst at the top; then the others, the least certain first. All
    are seen from where the frame is upright, at one scale, so that a person sees in a minute what
    lies wrong. The page needs no other file.

    Parameters
    ----------
    path : str or PathLike
        An HTML file.
    scans : sequence of Scan, Surface or path
        Read one by one, and drawn as they lay when they were prepared.
    prepared : Prepared
        What `prepare` made of them in this frame.
    template : Template
        The frame.
    title : str
    size : int
        Pixels of a picture's side.
    pictures : int
        How many scans are shown, the doubtful ones and the least certain ones first, at some 15 kB
        each; the rest stand in a table.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    ArgumentError
        If it is not known how the images' scans lie in the frame, or the images are of other scans.
    RenderingUnavailableError, MissingDependencyError
        Without OpenGL, PyVista or Jinja2.
    MeshIOError
        If the file cannot be written; an existing one is then left as it was.
    """
    if prepared.standings is None:
        raise ArgumentError(
            "it is not known how these images' scans lie in the frame: they are not of `prepare`"
        )
    if len(prepared) and prepared.kept.max() >= len(scans):
        raise ArgumentError(f"{len(scans)} scans, but an image is of scan {prepared.kept.max()}")
    standings, domain = prepared.standings, template.parameterization.domain
    order = sorted(
        range(len(prepared)), key=lambda k: (not standings[k].doubts, standings[k].score)
    )
    camera = _Camera(template, size)
    shown = [
        Tile(prepared.names[k], camera(surface), f"{standings[k].score:.2f}", standings[k].doubts)
        for k, surface in _stood(scans, prepared, standings, order[:pictures], domain)
    ]
    page = render(
        "contact_sheet.html",
        title=title,
        frame=camera(template.surface),
        open_turn=template.open_turn,
        doubtful=[tile for tile in shown if tile.doubts],
        others=[tile for tile in shown if not tile.doubts],
        unseen=[
            (prepared.names[k], f"{standings[k].score:.2f}", "; ".join(standings[k].doubts))
            for k in order[pictures:]
        ],
        skipped=left_out(prepared.skipped),
    )
    write_bytes_atomic(path, page.encode("utf-8", "backslashreplace"), overwrite=overwrite)


def _stood(
    scans: Sequence[ScanLike],
    prepared: Prepared,
    standings: Sequence[Standing],
    rows: Sequence[int],
    domain: str,
) -> Iterator[tuple[int, Surface]]:
    """Yield rows of the images, each with its scan in the template's space."""
    found = read(scans, [int(prepared.kept[k]) for k in rows])
    for k, one in zip(rows, found, strict=True):
        if isinstance(one, Skipped):
            raise one.as_error()  # it was there when it was prepared
        if one[1].name != prepared.names[k]:
            raise ArgumentError(f"scan {one[0]} is {one[1].name!r}, not {prepared.names[k]!r}")
        with warnings.catch_warnings():  # what was mended was said then
            warnings.simplefilter("ignore", RepairWarning)
            clean = repair(one[1].surface, target=domain)
        yield k, standings[k].surface(clean.surface)


class _Camera:
    """Pictures of surfaces in a template's space, all from one place and at one scale."""

    def __init__(self, template: Frame, size: int) -> None:
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
