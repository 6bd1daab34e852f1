"""How a scan lies in a frame, and how that is found.

Plan: find the pose in space from the shape alone, bend the template smoothly onto the scan, read
the frame coordinates of every scan vertex where it touches the template, and make the planar map
one-to-one. Matching in space copes with scans that are cropped differently, where matching whole
disks onto each other cannot.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from meshconv._check import FloatArray, IntArray
from meshconv.errors import DegenerateError, TopologyError
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.closest import closest_points
from meshconv.mesh.rigid import Pose, fit_similarity
from meshconv.mesh.surface import Surface
from meshconv.operators.threads import one_blas_thread
from meshconv.registration.bend import Marks, Schedule, bend, fit_closed
from meshconv.registration.cloud import Cloud, even_subset
from meshconv.registration.frame import Bent, Frame, blurred_curvature
from meshconv.registration.landmarks import Landmarks
from meshconv.registration.matching import CROPPED, SIZED, Matcher
from meshconv.registration.place import place
from meshconv.registration.pose import find_poses
from meshconv.registration.score import LEVEL, FitScore, measure, score

_POSE_POINTS, _BEND_POINTS = 300, 1200
_BENDING, _TRIAL = Schedule(20), Schedule(6, 16, 20)
_TAME = 1e-100  # coordinates beyond this, or beyond its inverse, are measured in another unit
_OTHER = 1 + 2 * np.cos(np.radians(30))  # trace of a turn by 30 degrees: another pose
_CLOSE = 1.15  # ratio of residuals below which a shape does not tell from its mirror image
_LEAST_MATCHED = 4  # points not in one plane: fewer do not tell a pose
Mirror = bool | Literal["auto"]


@dataclass(frozen=True, eq=False)
class TemplateFit:
    """How a scan lies in the frame of a template.

    Attributes
    ----------
    surface : Surface
        The scan as it was given, V vertices.
    template : Template
        The frame.
    pose : Pose
        Similarity from the scan (after mirroring, if any) to the template's space.
    mirrored : bool
        Whether the scan's x was negated and its faces reversed first.
    fitted : (Vt, 3) float64
        The template's vertices bent onto the scan, in the template's space.
    residual : float
        Median distance between the two surfaces, in the template's unit of length.
    landmarks : Landmarks
        Points of the scan that were matched to the template's landmarks.
    inside_out : bool
        Whether the faces were reversed because the scan fits only that way.
    score : FitScore
        How good the fit is: ``score.value`` from 0 to 1, doubtful below 0.5.
    mirror_rival : float
        With ``mirror='auto'``: residual of the other hand over that of the one taken, at least 1;
        infinite where only one was tried.
    """

    surface: Surface
    template: Frame
    pose: Pose
    mirrored: bool
    fitted: FloatArray
    residual: float
    landmarks: Landmarks
    inside_out: bool
    score: FitScore
    mirror_rival: float = np.inf

    @cached_property
    def upright(self) -> Surface:
        """The scan, mirrored if it was, its faces reversed if it was inside out: same vertices, in
        its own unit and place.
        """
        return _seen(self.surface, self.mirrored, self.inside_out)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What a person should look at, in words; nothing if nothing is doubtful."""
        turned = ("it is inside out: its faces are taken the other way round",)
        either = (
            f"whether it is a mirror image is not determined by its shape: the other hand is only "
            f"{self.mirror_rival:.2f} times as far off",
        )
        return (
            (turned if self.inside_out else ())
            + (either if self.mirror_rival < _CLOSE else ())
            + self.score.doubts
        )

    def aligned(self) -> Surface:
        """Return the scan in the template's pose, size kept (mirrored if it was)."""
        points = self.pose.points(self.upright.vertices)
        return Surface(points / self.pose.scale, self.upright.faces)

    def correspondence(self) -> tuple[IntArray, FloatArray, FloatArray]:
        """Return for each scan vertex the template face (V,), barycentric coordinates (V, 3), and
        distance (V,).
        """
        points = self.pose.points(self.upright.vertices)
        face, weights, nearest = closest_points(points, self.fitted, self.template.surface.faces)
        return face, weights, np.linalg.norm(nearest - points, axis=1)

    def parameterization(self, start: Parameterization | None = None) -> Parameterization:
        """Return the scan's vertices in the frame, no face folded.

        Parameters
        ----------
        start : Parameterization, optional
            A map of the scan without folds, from which to reach the frame where nothing else helps.
        """
        scan, unit = _tamed(self.upright)
        pose = Pose(self.pose.rotation, self.pose.translation, self.pose.scale * unit)
        bent = Bent(self.fitted, pose, self.residual)
        domain = self.template.parameterization.domain

        def own_map() -> Parameterization:
            return start or conformal_map(scan, domain=domain)

        coordinates = place(scan, self.template, bent, self.landmarks, own_map)
        return Parameterization(self.upright, coordinates, domain)


def fit_frame(
    surface: Surface, frame: Frame, landmarks: Landmarks, mirror: Mirror = False
) -> TemplateFit:
    """Return the fit of a frame to a scan; what `meshconv.fit_template` does once its arguments are
    checked.
    """
    tried = (False, True) if mirror == "auto" else (mirror,)
    with one_blas_thread():
        fit = _nearer([_fit(surface, frame, landmarks, one) for one in tried])
        if fit.score.value >= LEVEL:
            return fit
        other = _nearer([_fit(surface, frame, landmarks, one, inside_out=True) for one in tried])
        return other if other.score.value > max(LEVEL, fit.score.value) else fit


def _nearer(fits: list[TemplateFit]) -> TemplateFit:
    """Return the nearest of one or two fits, and in it how near the other is."""
    best, *other = sorted(fits, key=lambda fit: fit.residual)
    if not other:
        return best
    return replace(best, mirror_rival=other[0].residual / max(best.residual, _TAME))


def _fit(
    surface: Surface, frame: Frame, landmarks: Landmarks, mirrored: bool, inside_out: bool = False
) -> TemplateFit:
    scan, unit = _tamed(_seen(surface, mirrored, inside_out))
    _check_topology(scan, frame)
    marks = Marks(landmarks.values(scan.vertices), landmarks.template_vertex)
    pose, rival = _pose_of(marks, frame), np.inf
    ratio = unit_ratio(scan, frame) if pose is None else pose.scale
    curvature = blurred_curvature(scan, frame.size / ratio)
    cloud = _cloud(scan, frame, even_subset(scan, _BEND_POINTS), curvature)
    if frame.parameterization.domain == "sphere" and not len(landmarks):
        bent, rival = fit_closed(scan, frame)
    else:
        if pose is None:
            pose, rival = _first_pose(scan, frame, marks, ratio, curvature)
        bent = bend(frame, frame.matched, cloud, pose, _matcher(frame), _BENDING, marks)
    found = score(measure(frame, bent, cloud), rival, frame)
    pose = Pose(bent.pose.rotation, bent.pose.translation, bent.pose.scale / unit)
    fitted, residual = bent.vertices, bent.residual
    return TemplateFit(
        surface, frame, pose, mirrored, fitted, residual, landmarks, inside_out, found
    )


def _matcher(frame: Frame) -> Matcher:
    return SIZED if frame.is_deep else CROPPED


def _seen(surface: Surface, mirrored: bool, inside_out: bool) -> Surface:
    """Return the scan with x negated if mirrored, its faces reversed if it is inside out."""
    scan = surface.mirrored() if mirrored else surface
    return Surface(scan.vertices, scan.faces[:, ::-1]) if inside_out else scan


def _tamed(surface: Surface) -> tuple[Surface, float]:
    """Return the surface in a unit in which squares neither overflow nor vanish, and that unit."""
    largest = float(np.abs(surface.vertices).max())
    if _TAME < largest < 1 / _TAME or largest == 0:
        return surface, 1.0
    unit = 10.0 ** float(np.floor(np.log10(largest)))
    return Surface(surface.vertices / unit, surface.faces), unit


def _cloud(surface: Surface, frame: Frame, rows: IntArray, curvature: FloatArray) -> Cloud:
    points, normals = surface.vertices[rows], surface.vertex_normals[rows]
    return Cloud(points, normals, frame.size, curvature[rows])


def _pose_of(marks: Marks, frame: Frame) -> Pose | None:
    """Pose by the landmarks, where three or more are not on a line."""
    points, spread = marks.points, np.zeros(2)
    if len(points) >= 3:
        spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if not spread[1] > 1e-3 * spread[0]:
        return None
    there = frame.surface.vertices[marks.vertex]
    return fit_similarity(points, there, np.ones(len(points)), with_scale=True)


def _first_pose(
    surface: Surface, frame: Frame, marks: Marks, ratio: float, curvature: FloatArray
) -> tuple[Pose, float]:
    """Pose by the shape, and how much worse the best other one is.

    Poses that the rigid distance finds are bent a little, and the nearest after that is taken: a
    face upside down has the same outline, but no nose where one should be.
    """
    few = even_subset(surface, _POSE_POINTS)
    cloud = _cloud(surface, frame, few, curvature)
    target = _cloud(frame.surface, frame, frame.matched, frame.curvature)
    poses = find_poses(cloud, target, ratio)
    matcher = _matcher(frame)
    trials = [bend(frame, frame.matched, cloud, pose, matcher, _TRIAL, marks) for pose in poses]
    cost = np.array([measure(frame, trial, cloud).mismatch for trial in trials])
    best = int(cost.argmin())
    turns = [trial.pose.rotation for trial in trials]
    other = [
        c for c, turn in zip(cost, turns, strict=True) if np.trace(turn @ turns[best].T) < _OTHER
    ]
    return poses[best], float(min(other) / cost[best]) if other else np.inf


def unit_ratio(surface: Surface, frame: Frame) -> float:
    """Return the template's unit of length over the scan's: a power of ten, unless the sizes say
    otherwise.

    Scans of one kind differ little in size but may be in metres or millimetres. Deep bowls are cut
    at a border of their own, so that their areas tell the sizes.
    """
    ratio = frame.size / float(np.sqrt(surface.area))
    if frame.is_deep:
        return ratio
    power = 10.0 ** float(np.round(np.log10(ratio)))
    return power if 0.4 < ratio / power < 2.5 else 0.85 * ratio


def _check_topology(surface: Surface, template: Frame) -> None:
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
