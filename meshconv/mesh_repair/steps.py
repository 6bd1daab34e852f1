"""The steps of `repair`, in order. Each takes the work, gives it back, and notes what it did in the
log.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from meshconv._check import BoolArray, IntArray
from meshconv._progress import Meter
from meshconv.errors import TopologyError
from meshconv.mesh import borders, connectivity
from meshconv.mesh.topology import Topology
from meshconv.mesh.winding import inside_out, turn_over, winding
from meshconv.mesh_repair.degenerate import mend_flat
from meshconv.mesh_repair.handles import cut_along, handle_loops
from meshconv.mesh_repair.holes import fill_hole
from meshconv.mesh_repair.manifold import split_nonmanifold
from meshconv.mesh_repair.report import counted, listed
from meshconv.mesh_repair.weld import coincident, copies, weld_map
from meshconv.mesh_repair.work import Work

_MANY = 5  # handles take long enough to show how far one has come


@dataclass(frozen=True)
class Options:
    """What `repair` was asked to do; lengths in the unit frame, -1 for never."""

    weld: float
    drop_degenerate: bool
    orient: bool
    keep: str
    longest_hole: float
    split: bool
    remove_handles: bool
    close: bool

    def asks_more(self, genus: int | None) -> bool:
        """Whether even a clean surface with one border at most may have to be changed."""
        return self.weld > 0 or self.close or (self.remove_handles and genus != 0)


@dataclass
class Log:
    """Counts of what was done, summed over passes, in the order of first use."""

    counts: dict[tuple[str, str, bool], int] = field(default_factory=dict)

    def add(self, count: int, noun: str, done: str, *, loss: bool = False) -> None:
        """Note that `count` things were changed; `loss` marks what a user must be warned of."""
        if count:
            key = (noun, done, loss)
            self.counts[key] = self.counts.get(key, 0) + int(count)

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of it."""
        return tuple(f"{counted(n, noun)} {done}" for (noun, done, _), n in self.counts.items())

    @property
    def losses(self) -> tuple[str, ...]:
        """The part that loses or cuts something."""
        return tuple(
            f"{counted(n, noun)} {done}" for (noun, done, loss), n in self.counts.items() if loss
        )


def run(work: Work, options: Options, log: Log) -> Work:
    """One pass of all the steps."""
    work = _drop_copies(work, max(options.weld, 0.0), log)
    if options.weld >= 0:
        work = _weld(work, options.weld, log)
    if options.split:
        work = _split(work, log)
    if options.drop_degenerate:
        work = _mend(work, log)
    work = _drop_unreferenced(work, log)
    if len(work.faces) == 0:
        return work
    if options.keep == "largest":
        work = _keep_largest(work, log)
    if options.orient:
        work = _orient(work, log)
    if options.remove_handles:
        work = _remove_handles(work, log)
    if options.longest_hole >= 0 or options.close:
        work = _fill(work, options, log)
    return work


def _drop_copies(work: Work, tolerance: float, log: Log) -> Work:
    drop = copies(work.faces, coincident(work.unit, tolerance))
    log.add(int(drop.sum()), "duplicate face", "dropped")
    return work.keep(~drop) if drop.any() else work


def _weld(work: Work, tolerance: float, log: Log) -> Work:
    target = weld_map(work.faces, coincident(work.unit, tolerance))
    count = int((target != np.arange(len(target))).sum())
    log.add(count, "vertex", "welded")
    return replace(work, faces=target[work.faces]).compact() if count else work


def _split(work: Work, log: Log) -> Work:
    found = split_nonmanifold(work.unit, work.faces)
    log.add(
        len(found.unit) - len(work.unit),
        "vertex",
        "added to split non-manifold edges and vertices",
        loss=True,
    )
    log.add(len(found.faces) - len(work.faces), "face", "halved where sheets share an edge")
    if len(found.unit) == len(work.unit):
        return work
    return replace(
        work,
        unit=found.unit,
        faces=found.faces,
        vertex_origin=np.where(found.vertex < 0, -1, work.vertex_origin[found.vertex]),
        face_origin=work.face_origin[found.face],
    )


def _mend(work: Work, log: Log) -> Work:
    faces, alive, left = mend_flat(work.unit, work.faces, work.rounding)
    changed = alive & (faces != work.faces).any(axis=1)
    log.add(int((~alive).sum()), "zero-area face", "removed by edge collapse")
    log.add(int(changed.sum()), "face", "changed corners next to zero-area faces")
    log.add(
        int((alive & left).sum()), "zero-area face", "dropped, which opens the surface", loss=True
    )
    return replace(work, faces=faces).keep(alive & ~left)


def _drop_unreferenced(work: Work, log: Log) -> Work:
    out = work.compact()
    lost = np.setdiff1d(work.vertex_origin, out.vertex_origin)
    log.add(len(lost), "vertex", "dropped, no face uses them")
    return out


def _keep_largest(work: Work, log: Log) -> Work:
    part = connectivity.face_components(work.faces)
    sizes = np.bincount(part)
    if len(sizes) == 1:
        return work
    if sizes[0] == sizes[1]:
        raise TopologyError(
            f"{len(sizes)} components, the two largest equal in size: "
            f"{sizes[0]} and {sizes[1]} faces",
            count=len(sizes),
            hint="repair(keep='all'), or remove one of them first",
        )
    log.add(len(sizes) - 1, "component", f"dropped ({listed(sizes[1:].tolist())} faces)", loss=True)
    return work.keep(part == 0).compact()


def _orient(work: Work, log: Log) -> Work:
    pairs = connectivity.joints(work.faces)
    wind = winding(work.faces, pairs)
    if wind.one_sided.any():
        bad = np.flatnonzero(wind.one_sided)
        raise TopologyError(
            f"not orientable: {len(bad)} faces form a one-sided surface such as a Moebius strip",
            indices=bad[:10].tolist(),
            count=len(bad),
            hint="cut it open; no winding of the faces can agree",
        )
    log.add(int(wind.flip.sum()), "face", "turned to agree with the majority's orientation")
    faces = turn_over(work.faces, wind.flip)
    inward = _closed_parts(faces, pairs, wind.part) & inside_out(
        work.unit, faces, wind.part, work.rounding
    )
    log.add(int(inward.sum()), "closed component", "turned outward")
    return replace(work, faces=turn_over(faces, inward[wind.part]))


def _closed_parts(faces: IntArray, pairs: IntArray, part: IntArray) -> BoolArray:
    sides = np.bincount(part[pairs.ravel() // 3], minlength=int(part.max()) + 1)
    return np.asarray(sides == 3 * np.bincount(part))


def _remove_handles(work: Work, log: Log) -> Work:
    count = int(connectivity.face_components(work.faces).max()) + 1
    euler = Topology(work.unit, work.faces).component_euler
    loops = len(borders.boundary_loops(work.faces))
    most = int(2 * len(euler) - euler.sum() - loops) // 2
    meter = Meter("cut handles", "handle", most, shown=most >= _MANY)
    done = 0
    for k in range(count):
        while True:
            mine = np.flatnonzero(connectivity.face_components(work.faces) == k)
            opened, cuts = _cut_handles(work, mine)
            if not cuts:
                break
            work, done = opened, done + cuts
            meter.at(done)
            log.add(cuts, "handle", "cut and capped", loss=True)
    meter.close()
    return work


def _cut_handles(work: Work, mine: IntArray) -> tuple[Work, int]:
    """Cut handles of the component `mine` and close both ends; also return how many."""
    loops = handle_loops(work.unit, work.faces[mine])
    for some in (loops, loops[:1]):
        if some:
            part, old = cut_along(work.faces[mine], some, len(work.unit))
            faces = work.faces.copy()
            faces[mine] = part
            new = np.isin(old, np.concatenate(some))
            ends = [border for border in borders.boundary_loops(part) if new[border].all()]
            if len(ends) == 2 * len(some):
                return _close(work.copied(faces, old), ends)[0], len(some)
    return work, 0


def _fill(work: Work, options: Options, log: Log) -> Work:
    """Close the borders asked for; a patch that stays flat even after flips is taken back."""
    loops = _holes(work, options)
    while loops:
        filled, owner = _close(work, loops)
        added = len(filled.unit) - len(work.unit)
        if options.drop_degenerate:
            faces, alive, left = mend_flat(filled.unit, filled.faces, filled.rounding)
            if left.any():
                bad = np.unique(owner[left[len(work.faces) :].nonzero()[0]])
                bad = bad if len(bad) else np.arange(len(loops))
                loops = [loop for k, loop in enumerate(loops) if k not in set(bad.tolist())]
                continue
            filled = replace(filled, faces=faces).keep(alive).compact()
        log.add(
            len(loops),
            "hole",
            f"closed ({listed([len(loop) for loop in loops])} vertices, {added} new inside)",
        )
        return filled
    return work


def _holes(work: Work, options: Options) -> list[IntArray]:
    """All simple borders but the longest of each component, up to the length asked for."""
    loops = borders.boundary_loops(work.faces, work.unit)
    part_of_vertex = np.zeros(len(work.unit), dtype=np.int64)
    part_of_vertex[work.faces] = connectivity.face_components(work.faces)[:, None]
    seen: set[int] = set()
    out = []
    for loop in loops:
        part = int(part_of_vertex[loop[0]])
        longest, simple = part not in seen, len(np.unique(loop)) == len(loop) >= 3
        seen.add(part)
        if not simple or (longest and not options.close):
            continue
        if options.close or borders.loop_length(work.unit[loop]) <= options.longest_hole:
            out.append(loop)
    return out


def _close(work: Work, loops: list[IntArray]) -> tuple[Work, IntArray]:
    """Add a patch to each loop; also return which loop each new face belongs to."""
    owner = []
    for k, loop in enumerate(loops):
        patch = fill_hole(work.unit, work.faces, loop, work.rounding)
        work = work.added(patch.unit, patch.faces)
        owner.append(np.full(len(patch.faces), k))
    return work, np.concatenate(owner)
