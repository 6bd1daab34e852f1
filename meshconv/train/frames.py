"""The frame of a population, made from its own scans."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice

import numpy as np

from meshconv.datasets.scan import Scan
from meshconv.errors import ArgumentError
from meshconv.mesh.surface import Surface
from meshconv.mesh_repair.repair import repair
from meshconv.registration.population import Options, in_one_unit, mean_frame
from meshconv.registration.template import Template
from meshconv.train.scans import EXPECTED, NumberedScan, ScanLike, all_of, read
from meshconv.train.skipped import Skipped

_TRIED = 3  # scans whose triangles are tried, at most


def population_template(
    scans: Sequence[ScanLike],
    *,
    count: int = 8,
    on_error: str = "raise",
    domain: str | None = None,
    orientation: str = "any",
    rounds: int = Options.rounds,
    pose: str = Options.pose,
) -> Template:
    """Return a frame made from scans themselves: the mean of a few, on the mesh of one of them.

    They are spread evenly over the list, so that in a table sorted by class the frame is of all
    classes. Of open scans the one of the largest area is the most complete and lends its triangles;
    of closed ones the one of median area; if the others do not lie well on it (it is broken, or of
    something else), the next. Scans that are unlike the others are left out of the mean, and scans
    in another unit of length are brought to that of most.

    Parameters
    ----------
    scans : sequence of Scan, Surface or path
    count : int
        How many sound scans are used.
    on_error : {'raise', 'skip'}
        What a bad scan leads to: an error that names every bad one, or the next in its place.
    domain : {'disk', 'sphere'}, optional
        What the scans are; what most of these are if None.
    orientation : {'any', 'kept'}
        Whether closed scans are all turned alike, see `Template`.
    rounds : int
        How often the mean is renewed.
    pose : {'auto', 'first', 'standard'}
        How the frame stands in space, see `Template.from_population`: by default as the scans do if
        they share a pose, else upright as far as that can be told. `Template.turned` corrects what
        came out wrong.
    """
    found = read(scans, _evenly_first(len(scans), count))
    first = list(islice(found, count))
    shape = domain or _majority(first)
    surfaces: list[Surface] = []
    bad: list[Skipped] = []
    for one in chain(first, found):
        sound = one if isinstance(one, Skipped) else _sound(*one, shape)
        if isinstance(sound, Skipped):
            bad.append(sound)
        elif len(surfaces) < count:
            surfaces.append(sound)
        if len(surfaces) == count and not (bad and on_error == "raise"):
            break
    if bad and on_error == "raise":  # then all have been tried, so that each bad one is named
        bad.sort(key=lambda one: one.index)
        raise all_of(bad, len(scans)) from bad[0].error
    if not surfaces:
        raise ArgumentError("no scan is sound enough to make a template of")
    options = Options(shape, rounds, orientation, pose)
    return Template.of(mean_frame(surfaces, None, options, _lenders(surfaces, shape)))


def _lenders(surfaces: Sequence[Surface], domain: str) -> list[int]:
    """Return which surfaces may lend the frame their triangles, the likeliest first: the largest of
    open ones, for it is the most complete; of closed ones those of about median size.
    """
    sizes = [surface.area for surface in in_one_unit(surfaces, _median(surfaces))]
    order = np.argsort(sizes, kind="stable")
    if domain == "disk":
        return order[::-1][:_TRIED].tolist()
    middle = len(order) // 2
    return order[np.argsort(np.abs(np.arange(len(order)) - middle), kind="stable")][
        :_TRIED
    ].tolist()


def _median(surfaces: Sequence[Surface]) -> int:
    return int(
        np.argsort([surface.area for surface in surfaces], kind="stable")[len(surfaces) // 2]
    )


def _evenly_first(n: int, count: int) -> list[int]:
    """Return 0..n-1: first `count` of them at even distances, then the others, for where some are
    bad.
    """
    first = list(
        dict.fromkeys(np.linspace(0, max(n - 1, 0), min(n, count)).round().astype(int).tolist())
    )
    return [*first, *sorted(set(range(n)) - set(first))]


def _majority(scans: Sequence[NumberedScan | Skipped]) -> str:
    """Return ``sphere`` if most of the surfaces are closed, else ``disk``."""
    closed = [not one[1].surface.boundary_loops for one in scans if not isinstance(one, Skipped)]
    return "sphere" if 2 * sum(closed) > len(closed) else "disk"


def _sound(index: int, scan: Scan, domain: str) -> Surface | Skipped:
    """Return the mended scan, mirrored back if it is said to be a mirror image."""
    try:
        clean = repair(scan.surface, target=domain).surface
    except EXPECTED as error:
        return Skipped(index, scan.name, error)
    return clean.mirrored() if scan.mirrored else clean
