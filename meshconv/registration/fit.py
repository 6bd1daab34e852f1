"""Bring a scan into the frame of a population, with landmarks or without any.

Plan: find the pose in space from the shape alone, bend the template smoothly onto the scan, read
the frame coordinates of every scan vertex where it touches the template, and make the planar map
one-to-one. Matching in space copes with scans that are cropped differently, where matching whole
disks onto each other cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from meshconv._check import FloatArray, IntArray, one_of, require_kind
from meshconv.errors import ArgumentError, DegenerateError, TopologyError
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.closest import closest_points
from meshconv.mesh.surface import Surface
from meshconv.operators.threads import one_blas_thread
from meshconv.registration import bend as bending
from meshconv.registration import place as placing
from meshconv.registration.closed import fit_closed
from meshconv.registration.landmarks import Landmarks, find_landmarks
from meshconv.registration.pose import Pose, find_pose, fit_similarity
from meshconv.registration.template import Template, blurred_curvature

_POSE_POINTS, _BEND_POINTS, _CLOSED_POINTS = 300, 1200, 500
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
    template: Template
    pose: Pose
    mirrored: bool
    fitted: FloatArray
    residual: float
    landmarks: Landmarks

    def aligned(self) -> Surface:
        """Return the scan in the template's pose, size kept (mirrored if it was)."""
        upright = _mirror(self.surface) if self.mirrored else self.surface
        return Surface(self.pose.points(upright.vertices) / self.pose.scale, upright.faces)

    def correspondence(self) -> tuple[IntArray, FloatArray, FloatArray]:
        """Return for each scan vertex the template face (V,), barycentric coordinates (V, 3), and
        distance (V,).
        """
        upright = _mirror(self.surface) if self.mirrored else self.surface
        points = self.pose.points(upright.vertices)
        face, weights, nearest = closest_points(points, self.fitted, self.template.surface.faces)
        return face, weights, np.linalg.norm(nearest - points, axis=1)

    def parameterization(self, start: Parameterization | None = None) -> Parameterization:
        """Return the scan's vertices in the frame, no face folded.

        Parameters
        ----------
        start : Parameterization, optional
            A map of the scan without folds, from which to reach the frame where nothing else helps.
        """
        upright = _mirror(self.surface) if self.mirrored else self.surface
        return placing.place(self, upright, start)


def fit_template(
    surface: Surface,
    template: Template,
    *,
    landmarks: ArrayLike | None = None,
    mirror: Mirror = False,
) -> TemplateFit:
    """Fit a template to a scan: pose from the shape alone, or from landmarks; then a smooth
    bending.

    Closed surfaces without landmarks are taken to be complete: each has to account for all of the
    other, and the scale of the pose is that of their areas. Open ones may be cropped differently.

    Parameters
    ----------
    surface : Surface
        One component; may be cropped more or less than the template; any pose, any unit of length.
    template : Template
        The frame.
    landmarks : (K,) int or (K, 3) float array_like, optional
        Vertices of `surface`, or points on it, one for each of the template's landmarks, in order;
        -1 or NaN where one is missing.
    mirror : bool or 'auto'
        True: the scan is a mirror image (a left organ among right ones). ``auto``: try both, keep
        the closer.

    Raises
    ------
    ArgumentError, IndexOutOfRangeError
        If the landmarks do not fit the template's, or name a vertex twice.
    DegenerateError
        If the scan has no area, or the template too few vertices to be matched.

    References
    ----------
    Besl, McKay, 1992, A method for registration of 3-D shapes. doi:10.1109/34.121791
    Amberg, Romdhani, Vetter, 2007, Optimal step nonrigid ICP. doi:10.1109/CVPR.2007.383165
    """
    if not isinstance(mirror, bool) and mirror != "auto":
        raise ArgumentError(f"mirror must be True, False or 'auto', found {mirror!r}")
    require_kind(surface, "surface", Surface)
    require_kind(template, "template", Template)
    marks = find_landmarks(surface, template.landmarks, landmarks)
    tried = (False, True) if mirror == "auto" else (mirror,)
    with one_blas_thread():
        return min(
            (_fit(surface, template, marks, mirrored) for mirrored in tried),
            key=lambda fit: fit.residual,
        )


def register(
    parameterization: Parameterization | Surface,
    template: Template,
    *,
    landmarks: ArrayLike | None = None,
    mirror: Mirror = False,
) -> Parameterization:
    """Return the scan's coordinates in the population's frame; no face is folded.

    Parameters
    ----------
    parameterization : Parameterization or Surface
        A scan with or without a map of its own. A map (conformal, without folds) is used where the
        frame cannot be reached otherwise.
    template : Template
        The frame.
    landmarks : (K,) int or (K, 3) float array_like, optional
        As in `fit_template`. Four or more land exactly where the template has them, unless that
        would fold a face.
    mirror : bool or 'auto'
        Whether the scan is a mirror image; see `fit_template`. The faces of a mirrored scan are
        counter-clockwise in the frame after reversal: the returned surface is the mirrored one.

    Returns
    -------
    registered : Parameterization
        Domain as the template's. On the disk the template fills the radius ``1 - margin``; the scan
        need not reach the border, and what reaches beyond the template lies in the margin.

    Raises
    ------
    ArgumentError, IndexOutOfRangeError
        As in `fit_template`.
    TopologyError, DegenerateError
        If the scan has several components, vertices in no face or no area, or is closed where the
        template is a disk.
    FoldError
        If no map without folds was found.

    Examples
    --------
    >>> from meshconv.mesh.shapes import face
    >>> scan = face(900, identity=1, triangulation=1)
    >>> template = Template.from_surface(face(1200))
    >>> len(register(scan, template).flipped_faces())
    0
    """
    require_kind(parameterization, "parameterization", Surface, Parameterization)
    if isinstance(parameterization, Parameterization):
        surface, start = parameterization.surface, parameterization
    else:
        surface, start = parameterization, None
    return fit_template(surface, template, landmarks=landmarks, mirror=mirror).parameterization(
        start
    )


def _fit(surface: Surface, template: Template, landmarks: Landmarks, mirrored: bool) -> TemplateFit:
    _check_topology(surface, template)
    upright = _mirror(surface) if mirrored else surface
    if template.parameterization.domain == "sphere" and not len(landmarks):
        rows, chosen = (even_subset(s, _CLOSED_POINTS) for s in (upright, template.surface))
        bent = fit_closed(upright, rows, template, chosen)
        return TemplateFit(
            surface, template, bent.pose, mirrored, bent.vertices, bent.residual, landmarks
        )
    marks = landmarks.values(surface, upright.vertices)
    pose = _first_pose(upright, template, marks, landmarks.template_vertex)
    many = even_subset(upright, _BEND_POINTS)
    curvature = blurred_curvature(upright, template.size / pose.scale)
    cloud = bending.Cloud(upright.vertices[many], upright.vertex_normals[many], curvature[many])
    bent = bending.bend(template, cloud, pose, marks, landmarks.template_vertex)
    return TemplateFit(
        surface, template, bent.pose, mirrored, bent.vertices, bent.residual, landmarks
    )


def _first_pose(surface: Surface, template: Template, marks: FloatArray, vertex: IntArray) -> Pose:
    """Pose by the landmarks where three or more are not on a line, else by the shape."""
    spread = (
        np.linalg.svd(marks - marks.mean(axis=0), compute_uv=False)
        if len(marks) >= 3
        else np.zeros(2)
    )
    if spread[1] > 1e-3 * spread[0]:
        return fit_similarity(
            marks, template.surface.vertices[vertex], np.ones(len(marks)), with_scale=True
        )
    few, chosen = even_subset(surface, _POSE_POINTS), bending.subset(template)
    return find_pose(
        surface.vertices[few],
        surface.vertex_normals[few],
        template.surface.vertices[chosen],
        template.surface.vertex_normals[chosen],
        template.size,
        unit_ratio(surface, template),
    )


def unit_ratio(surface: Surface, template: Template) -> float:
    """Return the template's unit of length over the scan's: a power of ten, unless the sizes say
    otherwise.

    Scans of one kind differ little in size but may be in metres or millimetres.
    """
    ratio = template.size / float(np.sqrt(surface.area))
    power = 10.0 ** float(np.round(np.log10(ratio)))
    return power if 0.4 < ratio / power < 2.5 else 0.85 * ratio


def even_subset(surface: Surface, count: int) -> IntArray:
    """`count` vertices, each standing for the same area; the same ones in every pose, unit and
    numbering.
    """
    area = np.bincount(surface.faces.ravel(), np.repeat(surface.face_areas, 3), surface.n_vertices)
    centre = area @ surface.vertices / area.sum()
    order = np.argsort(((surface.vertices - centre) ** 2).sum(axis=1), kind="stable")
    order = order[area[order] > 0]
    share = np.cumsum(area[order])
    picked = np.searchsorted(share, share[-1] * (np.arange(count) + 0.5) / count)
    return order[np.unique(np.minimum(picked, len(order) - 1))]


def _mirror(surface: Surface) -> Surface:
    return Surface(surface.vertices * np.array([-1.0, 1.0, 1.0]), surface.faces[:, ::-1])


def _check_topology(surface: Surface, template: Template) -> None:
    domain = one_of(template.parameterization.domain, ("disk", "sphere"), "the template's domain")
    for name, given in (("scan", surface), ("template", template.surface)):
        unused = np.flatnonzero(np.bincount(given.faces.ravel(), minlength=given.n_vertices) == 0)
        if len(unused):
            raise TopologyError(
                f"{len(unused)} vertices of the {name} belong to no face, first vertex {unused[0]}",
                indices=unused[:10].tolist(), count=len(unused), hint="meshconv.repair drops them",
            )  # fmt: skip
        if not given.face_areas.any():
            raise DegenerateError(
                f"the area of the {name} is 0: all vertices lie in one point or on one line"
            )
    matched = len(bending.subset(template))
    if matched < _LEAST_MATCHED:
        raise DegenerateError(
            f"the template has {matched} vertices to be matched ({template.surface.n_vertices} in all), "
            f"{_LEAST_MATCHED} at least are needed to tell how a scan lies",
            count=matched, hint="subdivide its faces",
        )  # fmt: skip
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
