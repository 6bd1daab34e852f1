"""What is done with a scan before its pose is sought: its hand and winding, its unit, whether it is
of the frame's kind.
"""

from __future__ import annotations

import numpy as np

from meshconv.errors import DegenerateError, TopologyError
from meshconv.mesh.surface import Surface
from meshconv.registration.frame import Frame

TAME = 1e-100  # coordinates beyond this, or beyond its inverse, are measured in another unit
_LEAST_MATCHED = 4  # points not in one plane: fewer do not tell a pose


def seen(surface: Surface, mirrored: bool, inside_out: bool) -> Surface:
    """Return the scan with x negated if mirrored, its faces reversed if it is inside out."""
    scan = surface.mirrored() if mirrored else surface
    return Surface(scan.vertices, scan.faces[:, ::-1]) if inside_out else scan


def tamed(surface: Surface) -> tuple[Surface, float]:
    """Return the surface in a unit in which squares neither overflow nor vanish, and that unit."""
    largest = float(np.abs(surface.vertices).max())
    if TAME < largest < 1 / TAME or largest == 0:
        return surface, 1.0
    unit = 10.0 ** float(np.floor(np.log10(largest)))
    return Surface(surface.vertices / unit, surface.faces), unit


def unit_ratio(surface: Surface, frame: Frame) -> float:
    """Return the template's unit of length over the scan's: a power of ten, unless the sizes say
    otherwise.

    Scans of one kind differ little in size but may be in metres or millimetres. Deep bowls are cut
    at a border of their own, so that their areas tell the sizes.
    """
    ratio = size_ratio(surface, frame)
    if frame.is_deep:
        return ratio
    return power_of_ten(ratio) if unit_known(surface, frame) else 0.85 * ratio


def unit_known(surface: Surface, frame: Frame) -> bool:
    """Return whether the scan, if it is about complete, is in a unit a power of ten apart."""
    ratio = size_ratio(surface, frame)
    return 0.4 < ratio / power_of_ten(ratio) < 2.5


def size_ratio(surface: Surface, frame: Frame) -> float:
    """Return how many times as large as the surface the template is, by square roots of areas."""
    return frame.size / float(np.sqrt(surface.area))


def power_of_ten(ratio: float) -> float:
    """Return the power of ten nearest to a ratio."""
    return float(10.0 ** np.round(np.log10(ratio)))


def check_topology(surface: Surface, template: Frame) -> None:
    """Refuse a scan or a template that cannot be matched, or not with each other."""
    domain = template.parameterization.domain
    for name, given in (("scan", surface), ("template", template.surface)):
        unused = np.flatnonzero(~given.topology.used)
        if len(unused):
            raise TopologyError(
                f"{len(unused)} vertices of the {name} belong to no face, first vertex {unused[0]}",
                indices=unused[:10].tolist(),
                count=len(unused),
                hint="meshconv.repair drops them",
            )
        if not given.face_areas.any():
            raise DegenerateError(
                f"the area of the {name} is 0: all vertices lie in one point or on one line"
            )
    matched = len(template.matched)
    if matched < _LEAST_MATCHED:
        raise DegenerateError(
            f"the template has {matched} vertices to be matched ({template.surface.n_vertices} in"
            f" all), {_LEAST_MATCHED} at least are needed to tell how a scan lies",
            count=matched,
            hint="subdivide its faces",
        )
    loops = len(surface.boundary_loops)
    if domain == "sphere" and loops:
        raise TopologyError(
            f"the template is a sphere, the scan has {loops} boundary loops",
            hint="close them: repair(target='sphere')",
        )
    if domain == "disk" and not loops:
        raise TopologyError(
            "the template is a disk, the scan is closed", hint="cut it, or use a sphere template"
        )
