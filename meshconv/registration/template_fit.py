"""How a scan lies in a frame, and how that is found.

Plan: find the pose in space from the shape alone, bend the template smoothly onto the scan, read
the frame coordinates of every scan vertex where it touches the template, and make the planar map
one-to-one. Matching in space copes with scans that are cropped differently, where matching whole
disks onto each other cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from meshconv._check import FloatArray, IntArray
from meshconv.errors import DegenerateError, TopologyError
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.closest import closest_points
from meshconv.mesh.rigid import Pose, fit_similarity
from meshconv.mesh.surface import Surface
from meshconv.operators.threads import one_blas_thread
from meshconv.registration.bend import Bent, Marks, Schedule, bend
from meshconv.registration.closed import fit_closed
from meshconv.registration.cloud import Cloud, even_subset
from meshconv.registration.frame import Frame, blurred_curvature
from meshconv.registration.landmarks import Landmarks
from meshconv.registration.matching import CROPPED
from meshconv.registration.place import place
from meshconv.registration.pose import find_pose

_POSE_POINTS, _BEND_POINTS = 300, 1200
_BENDING = Schedule(iterations=20)
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
    """

    surface: Surface
    template: Frame
    pose: Pose
    mirrored: bool
    fitted: FloatArray
    residual: float
    landmarks: Landmarks

    @cached_property
    def upright(self) -> Surface:
        """The scan, mirrored if it was: same vertices, in its own unit and place."""
        return self.surface.mirrored() if self.mirrored else self.surface

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
        bent = Bent(self.fitted, self.pose, self.residual)
        return place(self.upright, self.template, bent, self.landmarks, start)


def fit_frame(
    surface: Surface, frame: Frame, landmarks: Landmarks, mirror: Mirror = False
) -> TemplateFit:
    """Return the fit of a frame to a scan; what `meshconv.fit_template` does once its arguments are
    checked.
    """
    tried = (False, True) if mirror == "auto" else (mirror,)
    with one_blas_thread():
        return min(
            (_fit(surface, frame, landmarks, mirrored) for mirrored in tried),
            key=lambda fit: fit.residual,
        )


def _fit(surface: Surface, frame: Frame, landmarks: Landmarks, mirrored: bool) -> TemplateFit:
    _check_topology(surface, frame)
    upright = surface.mirrored() if mirrored else surface
    if frame.parameterization.domain == "sphere" and not len(landmarks):
        bent = fit_closed(upright, frame)
    else:
        marks = Marks(landmarks.values(upright.vertices), landmarks.template_vertex)
        pose = _first_pose(upright, frame, marks)
        many = even_subset(upright, _BEND_POINTS)
        curvature = blurred_curvature(upright, frame.size / pose.scale)[many]
        normals = upright.vertex_normals[many]
        cloud = Cloud(upright.vertices[many], normals, frame.size, curvature)
        bent = bend(frame, frame.matched, cloud, pose, CROPPED, _BENDING, marks)
    return TemplateFit(surface, frame, bent.pose, mirrored, bent.vertices, bent.residual, landmarks)


def _first_pose(surface: Surface, frame: Frame, marks: Marks) -> Pose:
    """Pose by the landmarks where three or more are not on a line, else by the shape."""
    points, spread = marks.points, np.zeros(2)
    if len(points) >= 3:
        spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if spread[1] > 1e-3 * spread[0]:
        there = frame.surface.vertices[marks.vertex]
        return fit_similarity(points, there, np.ones(len(points)), with_scale=True)
    few = even_subset(surface, _POSE_POINTS)
    scan = Cloud.of(surface, few, float(np.sqrt(surface.area)))
    target = Cloud.of(frame.surface, frame.matched, frame.size)
    return find_pose(scan, target, unit_ratio(surface, frame))


def unit_ratio(surface: Surface, frame: Frame) -> float:
    """Return the template's unit of length over the scan's: a power of ten, unless the sizes say
    otherwise.

    Scans of one kind differ little in size but may be in metres or millimetres.
    """
    ratio = frame.size / float(np.sqrt(surface.area))
    power = 10.0 ** float(np.round(np.log10(ratio)))
    return power if 0.4 < ratio / power < 2.5 else 0.85 * ratio


def _check_topology(surface: Surface, template: Frame) -> None:
    domain = template.parameterization.domain
    for name, given in (("scan", surface), ("template", template.surface)):
        unused = np.flatnonzero(np.bincount(given.faces.ravel(), minlength=given.n_vertices) == 0)
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
