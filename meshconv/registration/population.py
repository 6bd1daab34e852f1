"""How a frame is made: from one surface, or as the mean of many."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np

from meshconv._check import FloatArray, IntArray, as_array, in_range, one_of, require_kind
from meshconv.errors import ArgumentError, MeshConvError, RegistrationWarning
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.maps.equalize.density_map import density_equalizing_map
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.surface import Surface
from meshconv.registration.cloud import evenly
from meshconv.registration.frame import Frame, facing
from meshconv.registration.landmarks import find_landmarks
from meshconv.registration.orientation import upright
from meshconv.registration.score import score
from meshconv.registration.standing import share_a_pose, standing
from meshconv.registration.template_fit import TemplateFit, fit_frame

_GAP = 0.5  # powers of ten between sizes: scans apart by more are measured in other units
_GOOD = 0.7  # median doubt below which no other start is tried
_PROBES = 4  # of the others, by which a start is judged
_NO_RIVAL = 10.0  # times as far off: as good as none
_ITSELF = 1e-3  # a surface bent less than that is the template itself


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
    if domain == "sphere" or facing(surface) is None:
        even = density_equalizing_map(flat)
        flat = upright(Parameterization(surface, even.coordinates, domain))
    if domain == "disk":
        share = 1.0 - in_range(margin, 0.0, 0.5, "margin")
        flat = flat.with_coordinates(share * flat.coordinates)
    marks = np.zeros(0, dtype=np.int64) if landmarks is None else np.asarray(landmarks)
    return Frame(flat, marks, orientation)


def natural_domain(surface: Surface) -> str:
    """Return the domain of a surface: the sphere if it has no border, else the disk."""
    require_kind(surface, "surface", Surface)
    return "disk" if surface.boundary_loops else "sphere"


def mean_frame(
    surfaces: Sequence[Surface],
    landmarks: Sequence[IntArray] | None,
    options: Options,
    starts: Sequence[int] = (0,),
) -> Frame:
    """Return the mean shape of surfaces as a frame, see `meshconv.Template.from_population`.

    `starts` are surfaces on whose triangles it may be made: the first on which the others lie well,
    or the best of them. What does not lie as the others do is left out of the mean.
    """
    check_surfaces(surfaces)
    marks = None if landmarks is None else [as_array(m, "landmarks") for m in landmarks]
    if marks is not None and len(marks) != len(surfaces):
        raise ArgumentError(
            f"landmarks must be given for each of {len(surfaces)} surfaces, found {len(marks)}"
        )
    surfaces = in_one_unit(surfaces, starts[0])
    if options.rounds == 0:
        return _start_frame(surfaces, marks, starts[0], options)
    frame, fits = _best_start(surfaces, marks, starts, options)
    frame, turns = _renewed(frame, fits)
    every = range(len(surfaces))
    for _ in range(options.rounds - 1):
        frame, turns = _renewed(frame, [_fit(frame, surfaces, marks, k) for k in every])
    kept = options.pose == "first" or options.orientation == "kept"
    stays = kept or (options.pose == "auto" and share_a_pose(turns))
    if frame.open_turn:
        warnings.warn(frame.open_turn, RegistrationWarning, stacklevel=3)
    return frame if stays else stood(frame)


def check_surfaces(surfaces: Sequence[Surface]) -> None:
    """Refuse what is not a sequence of at least one surface, naming the first other thing."""
    require_kind(surfaces, "surfaces", Sequence)
    for k, surface in enumerate(surfaces):
        require_kind(surface, f"surfaces[{k}]", Surface)
    if not surfaces:
        raise ArgumentError("a population needs at least one surface")


def in_one_unit(surfaces: Sequence[Surface], like: int = 0) -> list[Surface]:
    """Return surfaces in the unit of one of them, where some came in millimetres, some in metres.

    Sizes of one kind of thing are spread without wide gaps; where a gap of more than half a power
    of ten parts them, the groups are in other units, a power of ten apart.

    Examples
    --------
    >>> from meshconv.mesh.shapes import cap
    >>> small, large = cap(3), Surface(1000 * cap(3).vertices, cap(3).faces)
    >>> [round(s.area / small.area, 9) for s in in_one_unit([large, small, small], like=1)]
    [1.0, 1.0, 1.0]
    """
    size = np.log10([np.sqrt(max(s.area, np.finfo(np.float64).tiny)) for s in surfaces])
    order = np.argsort(size, kind="stable")
    group = np.zeros(len(size), dtype=np.int64)
    group[order[1:]] = np.cumsum(np.diff(size[order]) > _GAP)
    middle = np.array([np.median(size[group == g]) for g in range(group.max() + 1)])
    powers = np.round(middle[group[like]] - middle)[group]
    return [
        s if power == 0 else Surface(s.vertices * 10.0**power, s.faces)
        for s, power in zip(surfaces, powers, strict=True)
    ]


def _start_frame(
    surfaces: Sequence[Surface] | Mapping[int, Surface],
    marks: Sequence[IntArray] | None,
    k: int,
    options: Options,
) -> Frame:
    given = None if marks is None else marks[k]
    return surface_frame(surfaces[k], options.domain, given, orientation=options.orientation)


def _best_start(
    surfaces: list[Surface],
    marks: Sequence[IntArray] | None,
    starts: Sequence[int],
    options: Options,
) -> tuple[Frame, list[TemplateFit]]:
    """Return the frame of the first surface on which the others lie well, and how they do."""
    best, least, failed = None, np.inf, None
    for k in starts:
        others = [j for j in evenly(len(surfaces), _PROBES + 1) if j != k] or [k]
        try:
            frame = _start_frame(surfaces, marks, k, options)
        except MeshConvError as error:
            failed = failed or error
            continue
        fits = [_fit(frame, surfaces, marks, j) for j in others]
        if 2 * sum(fit.inside_out for fit in fits) > len(fits):  # then this one is
            turned = Surface(surfaces[k].vertices, surfaces[k].faces[:, ::-1])
            frame = _start_frame({k: turned}, marks, k, options)
            fits = [_fit(frame, surfaces, marks, j) for j in others]
        doubt = _doubt(fits)
        if best is None or doubt < least:
            best, least = (frame, dict(zip(others, fits, strict=True))), doubt
        if doubt < _GOOD:
            break
    if best is None:
        raise failed or ArgumentError("no surface to start a frame with")
    frame, known = best
    every = range(len(surfaces))
    return frame, [known[k] if k in known else _fit(frame, surfaces, marks, k) for k in every]


def _doubt(fits: Sequence[TemplateFit]) -> float:
    """Return the median doubt about fits; that bowls have an open turn does not count."""
    scores = [fit.score for fit in fits]
    deep = fits[0].template.is_deep
    return float(
        np.median([max(one.strangeness, 0.0 if deep else one.ambiguity) for one in scores])
    )


def _fit(
    frame: Frame, surfaces: Sequence[Surface], marks: Sequence[IntArray] | None, k: int
) -> TemplateFit:
    given = None if marks is None else marks[k]
    return fit_frame(surfaces[k], frame, find_landmarks(surfaces[k], frame.landmarks, given))


def _renewed(frame: Frame, fits: Sequence[TemplateFit]) -> tuple[Frame, list[FloatArray]]:
    """Return the frame of the mean of the fits that agree, and how each of those was turned."""
    good = [fits[k] for k in _agreeing(frame, fits)]
    total = np.sum([fit.fitted / fit.pose.scale for fit in good], axis=0)
    mean = Surface(total / len(good), frame.surface.faces)
    domain, orientation = frame.parameterization.domain, frame.orientation
    made = surface_frame(mean, domain, frame.landmarks, orientation=orientation)
    own = [fit for fit in good if fit.score.measures.stretch > _ITSELF] or good
    table = np.array([astuple(fit.score.measures) for fit in own])
    rivals = np.array([min(fit.score.rival, _NO_RIVAL) for fit in own])
    return replace(made, population=table, rivals=rivals), [fit.pose.rotation for fit in good]


def _agreeing(frame: Frame, fits: Sequence[TemplateFit]) -> IntArray:
    """Return which fits are not strange among the others, nor of a pose that only they leave open;
    half of them at least.
    """
    table = np.array([astuple(fit.score.measures) for fit in fits])
    among = replace(frame, population=table)
    scores = [score(fit.score.measures, among, rival=fit.score.rival) for fit in fits]
    doubt = np.array([one.strangeness for one in scores])
    open_pose = np.array([one.ambiguity for one in scores])
    if np.median(open_pose) < 1:
        doubt = np.maximum(doubt, open_pose)
    level = max(1.0, float(np.median(doubt)))
    return np.flatnonzero(doubt <= level)


def stood(frame: Frame) -> Frame:
    """Return the frame in a standard pose, see `meshconv.Template.standing`."""
    flat = frame.parameterization
    there = Parameterization(standing(flat.surface), flat.coordinates, flat.domain)
    return replace(frame, parameterization=upright(there))
