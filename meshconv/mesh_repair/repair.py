"""`repair`: turn a surface into one that the maps can use, and say what was done."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Any

import numpy as np

from meshconv._check import one_of
from meshconv.errors import ArgumentError, DegenerateError, RepairWarning, TopologyError
from meshconv.io.convert import as_surface
from meshconv.mesh.surface import Surface
from meshconv.mesh_repair import steps
from meshconv.mesh_repair.degenerate import FLAT
from meshconv.mesh_repair.examine import examine
from meshconv.mesh_repair.repaired import Repaired
from meshconv.mesh_repair.report import SurfaceReport, counted, listed
from meshconv.mesh_repair.unit_frame import Frame
from meshconv.mesh_repair.work import Work
from meshconv.mesh_repair.wrap import FINENESS, Wrap, wrapped

_PASSES = 10


def repair(
    surface: Any,
    *,
    weld: bool | float = True,
    drop_degenerate: bool = True,
    orient: bool = True,
    keep: str = "largest",
    fill_holes: bool | float = True,
    split_non_manifold: bool = True,
    remove_handles: bool = False,
    target: str | None = None,
    wrap: bool | float = False,
) -> Repaired:
    """Return a manifold, oriented surface without duplicates, cracks, flat faces or small holes.

    A clean surface comes back unchanged, vertex for vertex. No vertex is moved, unless by `wrap`.

    Parameters
    ----------
    surface : Surface, path, (vertices, faces) or a mesh of trimesh, PyVista or torch-geometric
    weld : bool or float
        Stitch cracks whose sides coincide: exactly (True), or within this distance.
    drop_degenerate : bool
        Collapse or flip away faces without area; those that no such step removes are dropped.
    orient : bool
        Wind each component like its majority; closed ones outward.
    keep : {'largest', 'all'}
        The component with the most faces, or all of them.
    fill_holes : bool or float
        Close all borders but the longest of each component; a number closes those up to that
        length.
    split_non_manifold : bool
        Separate the sheets at edges of three or more faces and at vertices where sheets touch.
    remove_handles : bool
        Cut each handle along a short loop and close both ends, until the genus is 0.
    target : {None, 'disk', 'sphere'}
        What must come out. 'sphere' also closes the longest border.
    wrap : bool or float
        Instead of all this, draw a new closed surface of genus 0 around the input, at this
        resolution (True: a 128th of the diagonal of the bounding box): for soups, CT and scans of
        thousands of pieces. Gaps up to twice that wide are closed, walls inside and loose pieces
        are gone, membranes close the tunnels. ``changes`` gives the distances to the input.

    Returns
    -------
    repaired : Repaired

    Raises
    ------
    DegenerateError
        If the surface has no area.
    TopologyError
        If it is not orientable, if the two largest components are equal in size, or if `target` is
        not reached; the message counts components, borders and handles.

    Warns
    -----
    RepairWarning
        Where something is lost or cut: components or faces dropped, sheets split, handles removed.
        Stitching, turning and filling are only listed in ``changes``.

    References
    ----------
    P. Liepa, Filling holes in meshes, SGP 2003. J. Erickson, K. Whittlesey, SODA 2005 (handles).

    Examples
    --------
    >>> vertices = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 0], [0, 1, 0]]
    >>> mended = repair((vertices, [[0, 1, 2], [3, 4, 5]]))
    >>> mended.changes, mended.vertex_origin.tolist(), mended.report_after.is_disk
    (('2 vertices welded',), [0, 1, 2, 5], True)
    """
    one_of(keep, ("largest", "all"), "keep")
    if target is not None:
        one_of(target, ("disk", "sphere"), "target")
    if wrap is not False and (keep != "largest" or target == "disk"):
        raise ArgumentError(
            f"wrap gives one closed surface, asked for keep={keep!r}, target={target!r}",
            hint="cut(...) opens the wrap to a disk",
        )
    surface = as_surface(surface)
    before = examine(surface)
    if len(before.degenerate_faces) == before.n_faces:
        raise DegenerateError(
            "surface area is 0: all vertices lie in one point or on one line",
            hint="nothing can be repaired; check the file's coordinates",
        )
    frame = Frame.of(surface)
    if wrap is not False:
        return _wrapped(
            surface, frame, before, _length(wrap, frame, "wrap", everything=1 / FINENESS)
        )
    options = steps.Options(
        weld=_length(weld, frame, "weld"),
        drop_degenerate=drop_degenerate,
        orient=orient,
        keep=keep,
        longest_hole=_length(fill_holes, frame, "fill_holes", everything=np.inf),
        split=split_non_manifold,
        remove_handles=remove_handles,
        close=target == "sphere",
    )
    log = steps.Log()
    work = _start(surface, frame)
    if not _is_clean(before, options):
        work = _until_stable(work, options, log)
    mended = _finish(surface, work, frame)
    after = before if mended is surface else examine(mended)
    _require(after, target, handles_cut=remove_handles)
    left: tuple[str, ...] = ()
    if remove_handles and after.genus:
        left = (f"{counted(after.genus, 'handle')} left, at a border that every loop meets",)
    if log.losses or left:
        warnings.warn("; ".join(log.losses + left), RepairWarning, stacklevel=2)
    changes = log.sentences + left + _open_holes(after, fill_holes)
    return Repaired(mended, work.vertex_origin, work.face_origin, before, after, changes)


def _wrapped(surface: Surface, frame: Frame, before: SurfaceReport, resolution: float) -> Repaired:
    if resolution <= 0:
        raise ArgumentError("wrap must be True, False or a length > 0, found 0")
    found = wrapped(frame.to_unit(surface.vertices), surface.faces, resolution)
    mended = Surface(frame.from_unit(found.unit), found.faces)
    after = examine(mended)
    _require(after, "sphere")
    losses = [
        f"{counted(count, noun)} {done}"
        for count, noun, done in (
            (found.pieces, "piece", "left out"),
            (found.tunnels, "tunnel", "closed by membranes"),
        )
        if count
    ]
    if losses:
        warnings.warn("; ".join(losses), RepairWarning, stacklevel=3)
    new = np.full(mended.n_vertices, -1), np.full(mended.n_faces, -1)
    changes = (*_distances(found, frame.scale, resolution), *losses)
    return Repaired(mended, *new, before, after, changes, found.transfer)


def _distances(found: Wrap, scale: float, resolution: float) -> tuple[str, str]:
    """How far the wrap is from the input, and the input from the wrap."""
    middle, most, largest = np.quantile(found.distance, [0.5, 0.99, 1.0]) * scale
    deep = int((found.depth > 2 * resolution).sum())
    return (
        f"wrapped at a resolution of {resolution * scale:.4g}: distance of the wrap to the input "
        f"{middle:.4g} (median), {most:.4g} (99 %), {largest:.4g} (largest)",
        f"{counted(deep, 'vertex')} of {len(found.depth)} inside, left out or deeper than "
        f"{2 * resolution * scale:.4g} below the wrap",
    )


def _open_holes(after: SurfaceReport, fill_holes: bool | float) -> tuple[str, ...]:
    """What is said of holes that were to be filled up to some length only."""
    if isinstance(fill_holes, bool | np.bool_):
        return ()
    count = int((np.sort(after.boundary_lengths)[: -after.n_components] > fill_holes).sum())
    if not count:
        return ()
    return (f"{counted(count, 'hole')} longer than {fill_holes:g} left open",)


def _length(value: bool | float, frame: Frame, name: str, *, everything: float = 0.0) -> float:
    """Option to unit length: True means `everything`, False -1."""
    if isinstance(value, bool | np.bool_):
        return everything if value else -1.0
    if not (isinstance(value, Real) and 0 <= value < np.inf):
        raise ArgumentError(f"{name} must be True, False or a length >= 0, found {value!r}")
    return float(value) / frame.scale


def _start(surface: Surface, frame: Frame) -> Work:
    return Work(
        frame.to_unit(surface.vertices),
        surface.faces,
        np.arange(surface.n_vertices),
        np.arange(surface.n_faces),
        frame.rounding,
    )


def _is_clean(report: SurfaceReport, options: steps.Options) -> bool:
    """Whether the report alone shows that no step would change anything."""
    found = [
        report.n_components > 1,
        report.n_boundary_loops > 1,
        report.faces_to_flip,
        report.inside_out,
    ]
    found += [report.duplicate_faces, report.weldable_vertices, len(report.unreferenced_vertices)]
    found += [len(report.degenerate_faces), report.smallest_angle < 10 * FLAT]
    return (
        report.is_manifold
        and report.orientable
        and not any(found)
        and not options.asks_more(report.genus)
    )


def _until_stable(work: Work, options: steps.Options, log: steps.Log) -> Work:
    """Repeat the steps until a pass changes nothing: one step can uncover work for another."""
    for _ in range(_PASSES):
        before = work
        work = steps.run(work, options, log)
        if len(work.faces) == 0:
            raise DegenerateError(
                "no face is left: all of them have no area or repeat others",
                hint="check the file's coordinates",
            )
        if np.array_equal(work.faces, before.faces) and np.array_equal(
            work.vertex_origin, before.vertex_origin
        ):
            break
    return work


def _finish(surface: Surface, work: Work, frame: Frame) -> Surface:
    """The input itself if nothing changed; old vertices keep their coordinates to the last bit."""
    if np.array_equal(work.faces, surface.faces) and len(work.unit) == surface.n_vertices:
        return surface
    old = work.vertex_origin >= 0
    vertices = frame.from_unit(work.unit)
    vertices[old] = surface.vertices[work.vertex_origin[old]]
    return Surface(vertices, work.faces)


def _require(report: SurfaceReport, target: str | None, *, handles_cut: bool = False) -> None:
    reached = {None: True, "disk": report.is_disk, "sphere": report.is_sphere}[target]
    if reached:
        return
    loops = f"{report.n_boundary_loops} boundary loops"
    if report.n_boundary_loops:
        loops += f" ({listed(report.boundary_sizes)} vertices)"
    if report.genus and handles_cut:
        hint = "every loop around a handle meets the border: target='sphere' closes it first"
    elif report.genus:
        hint = "repair(remove_handles=True) cuts and caps handles"
    elif report.is_closed:
        hint = "closed: use domain='sphere', or cut(...) it open"
    else:
        hint = "fill_holes=True and keep='largest' leave one component with its longest border"
    found = f"{report.n_components} components, {loops}, genus {report.genus}"
    raise TopologyError(f"repair(target={target!r}) ends with {found}", hint=hint)
