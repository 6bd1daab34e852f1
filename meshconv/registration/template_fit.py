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
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.rigid import Pose
from meshconv.mesh.surface import Surface
from meshconv.operators.threads import one_blas_thread
from meshconv.registration.aside import poses_about, poses_aside
from meshconv.registration.bend import NO_MARKS, Marks, Schedule, bend, fit_closed
from meshconv.registration.cloud import Cloud, even_subset
from meshconv.registration.frame import Bent, Frame, blurred_curvature
from meshconv.registration.landmarks import Landmarks, pose_by_landmarks
from meshconv.registration.matching import CROPPED, SIZED, Matcher
from meshconv.registration.place import Nearest, nearest, place, reach
from meshconv.registration.pose import find_poses, pose_near
from meshconv.registration.preparation import (
    TAME,
    check_topology,
    seen,
    tamed,
    unit_known,
    unit_ratio,
)
from meshconv.registration.score import LEVEL, MOST, FitScore, landed, measure, score

_POSE_POINTS, _BEND_POINTS = 300, 1200
_BENDING, _TRIAL = Schedule(20), Schedule(6, 16, 20)
_OTHER = 1 + 2 * np.cos(np.radians(30))  # trace of a turn by 30 degrees: another pose
_AS_IT_CAME = 1.2  # times as far off as the best, and yet taken of bowls if it turns them less
_FAR_OFF = 0.06  # of the size: what reaches farther beyond the template is named
_SCALE = 0.12  # that a part may be larger or smaller than its unit says, as people are
_APART = 0.05  # of the size: a place farther away is another
_CLOSE = 1.15  # ratio of residuals below which a shape does not tell from its mirror image
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
        return seen(self.surface, self.mirrored, self.inside_out)

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

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is as usual in this frame and yet should be known, in words."""
        rival = f"another pose is only {max(self.score.rival, 1):.2f} times as far off"
        turn = (f"its turn is not determined by its shape, as usual in this frame ({rival})",)
        return (turn if self.score.usual_turn else ()) + self.cut_off

    @property
    def cut_off(self) -> tuple[str, ...]:
        """In words, what of the scan lies far off the template and is not seen as it is."""
        count, farthest = self.off_template
        if farthest <= _FAR_OFF * self.template.size:
            return ()
        return (
            f"{count} of its vertices reach up to {farthest / self.pose.scale:.3g} off the "
            "template: they are cut off, drawn in or into the margin of the frame",
        )

    @cached_property
    def off_template(self) -> tuple[int, float]:
        """Number of vertices that do not touch the template, and largest distance, in its unit."""
        distance = self._nearest.distance
        return int((distance > reach(self.template, self._bent)).sum()), float(distance.max())

    def aligned(self) -> Surface:
        """Return the scan in the template's pose, size kept (mirrored if it was)."""
        points = self.pose.points(self.upright.vertices)
        return Surface(points / self.pose.scale, self.upright.faces)

    def correspondence(self) -> Nearest:
        """Return what is nearest to each scan vertex on the template."""
        return self._nearest

    @cached_property
    def _nearest(self) -> Nearest:  # once, for the map and for what is said of it
        return nearest(self.template, self._bent, self.pose.points(self.upright.vertices))

    @property
    def _bent(self) -> Bent:
        return Bent(self.fitted, self.pose, self.residual)

    def parameterization(self, start: Parameterization | None = None) -> Parameterization:
        """Return the scan's vertices in the frame, no face folded.

        Parameters
        ----------
        start : Parameterization, optional
            A map of the scan without folds, from which to reach the frame where nothing else helps.
        """
        scan, unit = tamed(self.upright)
        pose = Pose(self.pose.rotation, self.pose.translation, self.pose.scale * unit)
        bent = replace(self._bent, pose=pose)
        domain = self.template.parameterization.domain

        def own_map() -> Parameterization:
            return start or conformal_map(scan, domain=domain)

        coordinates = place(scan, self.template, bent, self._nearest, self.landmarks, own_map)
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
        if fit.score.value >= LEVEL or (frame.is_deep and fit.score.strangeness < 1):
            return fit
        other = _nearer([_fit(surface, frame, landmarks, one, inside_out=True) for one in tried])
        return other if other.score.value > max(LEVEL, fit.score.value) else fit


def _nearer(fits: list[TemplateFit]) -> TemplateFit:
    """Return the nearest of one or two fits, and in it how near the other is."""
    best, *other = sorted(fits, key=lambda fit: fit.residual)
    if not other:
        return best
    return replace(best, mirror_rival=other[0].residual / max(best.residual, TAME))


def _fit(
    surface: Surface, frame: Frame, landmarks: Landmarks, mirrored: bool, inside_out: bool = False
) -> TemplateFit:
    scan, unit = tamed(seen(surface, mirrored, inside_out))
    check_topology(scan, frame)
    marks = Marks(landmarks.values(scan.vertices), landmarks.template_vertex)
    there = frame.surface.vertices[marks.vertex]
    pose, rival = pose_by_landmarks(marks.points, there), np.inf
    ratio = unit_ratio(scan, frame) if pose is None else pose.scale
    curvature = blurred_curvature(scan, frame.size / ratio)
    cloud, few = (
        _cloud(scan, frame, even_subset(scan, count), curvature)
        for count in (_BEND_POINTS, _POSE_POINTS)
    )
    aside = np.inf
    if frame.parameterization.domain == "sphere" and not len(landmarks):
        bent, rival = fit_closed(scan, frame)
    else:
        if pose is None:
            pose, rival = _first_pose(few, frame, marks, ratio)
        bent = bend(frame, frame.matched, cloud, pose, _matcher(frame), _BENDING, marks)
        if not (len(marks.points) or frame.is_deep or measure(frame, bent, cloud).coverage > MOST):
            bent, aside = _as_part(frame, bent, cloud, few, ratio)
            aside = aside if unit_known(scan, frame) else 1.0
    found = score(measure(frame, bent, cloud), frame, rival=rival, aside=aside)
    pose = Pose(bent.pose.rotation, bent.pose.translation, bent.pose.scale / unit)
    fitted, residual = bent.vertices, bent.residual
    return TemplateFit(
        surface, frame, pose, mirrored, fitted, residual, landmarks, inside_out, found
    )


def _matcher(frame: Frame) -> Matcher:
    return SIZED if frame.is_deep else CROPPED


def _cloud(surface: Surface, frame: Frame, rows: IntArray, curvature: FloatArray) -> Cloud:
    points, normals = surface.vertices[rows], surface.vertex_normals[rows]
    return Cloud(points, normals, frame.size, curvature[rows])


def _first_pose(few: Cloud, frame: Frame, marks: Marks, ratio: float) -> tuple[Pose, float]:
    """Pose by the shape, and how much worse the best other one is.

    Poses that the rigid distance finds are bent a little, and the nearest after that is taken: a
    face upside down has the same outline, but no nose where one should be.
    """
    target = _target(frame)
    poses = find_poses(few, target, ratio)
    if frame.is_deep:
        poses = [pose_near(few, target, ratio, np.eye(3)), *poses[:1]]
        poses += poses_about(poses[1], few)
    trials, cost = _tried(frame, few, poses, _matcher(frame), marks)
    turns = [trial.pose.rotation for trial in trials]
    best = _least_turned(cost, turns) if frame.is_deep else int(cost.argmin())
    other = [
        c for c, turn in zip(cost, turns, strict=True) if np.trace(turn @ turns[best].T) < _OTHER
    ]
    return poses[best], float(min(other) / cost[best]) if other else np.inf


def _target(frame: Frame) -> Cloud:
    return _cloud(frame.surface, frame, frame.matched, frame.curvature)


def _tried(
    frame: Frame, few: Cloud, poses: list[Pose], matcher: Matcher, marks: Marks = NO_MARKS
) -> tuple[list[Bent], FloatArray]:
    """Return the template bent a little onto the scan in each pose, and how far off it is then."""
    trials = [bend(frame, frame.matched, few, pose, matcher, _TRIAL, marks) for pose in poses]
    return trials, np.array([measure(frame, trial, few).mismatch for trial in trials])


def _as_part(
    frame: Frame, bent: Bent, cloud: Cloud, few: Cloud, ratio: float
) -> tuple[Bent, float]:
    """Return the fit of a scan that covers a part of the template, and how much worse the best
    other place aside of it is.

    A part does not tell its size: free to shrink, it fits in many a place. And as the template
    bends, one with little relief fits nearly as well aside, which is tried.
    """
    middle = few.points.mean(axis=0)
    there = bent.pose.points(middle[None])[0]
    turn = bent.pose.rotation
    pose = Pose(turn, there - ratio * turn @ middle, ratio)
    trials, cost = _tried(frame, few, [pose, *poses_aside(pose, few, _target(frame))], SIZED)
    best = int(cost.argmin())
    places = np.array([landed(frame, trial, few) for trial in trials])
    away = np.median(np.linalg.norm(places - places[best], axis=2), axis=1)
    apart = away > _APART * frame.size
    if apart[0] or abs(np.log(bent.pose.scale / ratio)) > _SCALE:
        start = trials[best].pose if apart[0] else pose
        bent = bend(frame, frame.matched, cloud, start, SIZED, _BENDING)
    return bent, float(cost[apart].min() / cost[best]) if apart.any() else np.inf


def _least_turned(cost: FloatArray, turns: list[FloatArray]) -> int:
    """Return which of the poses that fit nearly as well as the best turns a bowl least: its shape
    hardly tells the turn about its axis, and the scanner knew better.
    """
    even = np.flatnonzero(cost <= _AS_IT_CAME * cost.min())
    return int(even[np.argmax([np.trace(turns[k]) for k in even])])
