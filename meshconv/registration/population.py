"""How a frame is made: from one surface, or as the mean of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from meshconv._check import FloatArray, IntArray, as_array, in_range, one_of, require_kind
from meshconv.errors import ArgumentError
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.maps.equalize.density_map import density_equalizing_map
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.surface import Surface
from meshconv.registration.frame import Frame
from meshconv.registration.landmarks import find_landmarks
from meshconv.registration.orientation import upright
from meshconv.registration.standing import share_a_pose, standing
from meshconv.registration.template_fit import fit_frame


@dataclass(frozen=True)
class Options:
    """How the mean of a population is made, see `meshconv.Template.from_population`."""

    domain: str = "disk"
    rounds: int = 1
    orientation: str = "any"
    pose: str = "auto"

    def __post_init__(self) -> None:
        n = self.rounds
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
            raise ArgumentError(f"rounds must be a whole number, 0 or more, found {n!r}")
        one_of(self.pose, ("first", "standard", "auto"), "pose")
        if self.pose == "standard" and self.orientation == "kept":
            raise ArgumentError(
                "orientation='kept' keeps the pose of the surfaces: "
                "it goes with pose='first' or 'auto'"
            )


def surface_frame(
    surface: Surface,
    domain: str = "disk",
    landmarks: IntArray | None = None,
    margin: float = 0.1,
    orientation: str = "any",
) -> Frame:
    """Return the frame of one surface, see `meshconv.Template.from_surface`."""
    one_of(domain, ("disk", "sphere"), "domain")
    flat = upright(conformal_map(surface, domain=domain))
    if domain == "disk":
        share = 1.0 - in_range(margin, 0.0, 0.5, "margin")
        flat = flat.with_coordinates(share * flat.coordinates)
    else:
        even = density_equalizing_map(flat)
        flat = upright(Parameterization(surface, even.coordinates, "sphere"))
    marks = np.zeros(0, dtype=np.int64) if landmarks is None else np.asarray(landmarks)
    return Frame(flat, marks, orientation)


def mean_frame(
    surfaces: Sequence[Surface], landmarks: Sequence[IntArray] | None, options: Options
) -> Frame:
    """Return the mean shape of surfaces as a frame, see `meshconv.Template.from_population`."""
    require_kind(surfaces, "surfaces", Sequence)
    for k, surface in enumerate(surfaces):
        require_kind(surface, f"surfaces[{k}]", Surface)
    if not surfaces:
        raise ArgumentError("a population needs at least one surface")
    marks = None if landmarks is None else [as_array(m, "landmarks") for m in landmarks]
    if marks is not None and len(marks) != len(surfaces):
        raise ArgumentError(
            f"landmarks must be given for each of {len(surfaces)} surfaces, found {len(marks)}"
        )
    first = None if marks is None else marks[0]
    frame = surface_frame(surfaces[0], options.domain, first, orientation=options.orientation)
    turns: list[FloatArray] = []
    for _ in range(options.rounds):
        frame, turns = _renewed(frame, surfaces, marks)
    kept = options.pose == "first" or options.orientation == "kept"
    return frame if kept or (options.pose == "auto" and share_a_pose(turns)) else stood(frame)


def _renewed(
    frame: Frame, surfaces: Sequence[Surface], marks: Sequence[IntArray] | None
) -> tuple[Frame, list[FloatArray]]:
    """Return the frame of the mean of all fits, and how each surface was turned."""
    turns, total = [], np.zeros_like(frame.surface.vertices)
    for k, surface in enumerate(surfaces):
        given = None if marks is None else marks[k]
        fit = fit_frame(surface, frame, find_landmarks(surface, frame.landmarks, given))
        total += fit.fitted / fit.pose.scale
        turns.append(fit.pose.rotation)
    mean = Surface(total / len(surfaces), frame.surface.faces)
    domain, orientation = frame.parameterization.domain, frame.orientation
    return surface_frame(mean, domain, frame.landmarks, orientation=orientation), turns


def stood(frame: Frame) -> Frame:
    """Return the frame in a standard pose, see `meshconv.Template.standing`."""
    flat = frame.parameterization
    there = Parameterization(standing(flat.surface), flat.coordinates, flat.domain)
    return replace(frame, parameterization=upright(there))
