"""`Placed`: one scan in the frame of a population, with all that is needed to come back."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from meshconv._check import FloatArray, IntArray, in_range, require_kind
from meshconv.errors import RegistrationWarning
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.surface import Surface
from meshconv.mesh_repair.repair import repair
from meshconv.mesh_repair.repaired import Repaired
from meshconv.registration.fit import quiet_fit
from meshconv.registration.frame import Frame
from meshconv.registration.preparation import power_of_ten, size_ratio
from meshconv.registration.template_fit import Mirror, TemplateFit
from meshconv.resample.alignment import Alignment, align
from meshconv.resample.channels import chosen, field_names, fields_of
from meshconv.resample.detail import image_at, needed
from meshconv.resample.geometry_image import GeometryImage
from meshconv.resample.resampler import Resampler
from meshconv.resample.standing import Standing

_NEAR = 2.0  # times the template's size: a scan in another unit is as near once it is converted
_NAMED = 20  # doubtful scans in a warning
_FAR = 3.2  # times the template's size, beyond which scans of one kind hardly differ
_FAR_CLOSED = 8.0  # the same of closed surfaces: nodules of one unit differ by as much


@dataclass(frozen=True, eq=False)
class Placed:
    """One scan in the frame: made once, read by channels, images, explanations and reports.

    Attributes
    ----------
    given : Surface
        The scan as it came.
    unit : float
        What it was multiplied by to be in the template's unit of length: a power of ten, mostly 1.
    repaired : Repaired or None
        What was mended; None where mending was not asked for.
    fit : TemplateFit
        Pose, residual, whether it was mirrored, of the mended scan.
    parameterization : Parameterization
        Where its vertices lie in the frame; its surface is the mended scan, mirrored if that was
        said.
    resampler : Resampler
        From its vertices to the nodes of the image and back.

    See Also
    --------
    place : how one is made.
    """

    given: Surface
    unit: float
    repaired: Repaired | None
    fit: TemplateFit
    parameterization: Parameterization
    resampler: Resampler

    @property
    def surface(self) -> Surface:
        """The surface that lies in the frame: mended, in the template's unit, and mirrored if that
        was said.
        """
        return self.parameterization.surface

    @property
    def vertex_origin(self) -> IntArray | None:
        """Which vertex of `given` each vertex of `surface` was, see `Repaired`; None if it is that
        one.
        """
        return None if self.repaired is None else self.repaired.vertex_origin

    @property
    def doubts(self) -> tuple[str, ...]:
        """What a person should look at: of the unit of length and of the fit, and what lies beyond
        the frame.
        """
        ratio = 1.0 / size_ratio(self.surface, self.fit.template)
        far = _FAR_CLOSED if self.parameterization.domain == "sphere" else _FAR
        converted = f"it is in another unit of length: converted to the frame's by {self.unit:g}"
        strange = f"it is {ratio:.3g} times as large as the frame: in another unit of length?"
        return (
            ((converted,) if self.unit != 1.0 else ())
            + (() if 1 / far < ratio < far else (strange,))
            + (self.fit.doubts or self.fit.cut_off)
        )

    @property
    def standing(self) -> Standing:
        """How the scan as it came lies in the frame: what is kept when the surface is let go."""
        fit, pose = self.fit, self.fit.pose
        seen = pose.scale * pose.rotation * ([-1.0, 1.0, 1.0] if fit.mirrored else 1.0)
        return Standing(
            np.column_stack([seen * self.unit, pose.translation]),
            fit.mirrored != fit.inside_out,
            fit.score.value,
            self.doubts,
        )

    @cached_property
    def alignment(self) -> Alignment:
        """How the scan stands on the template, its pose taken out."""
        return align(self.parameterization, self.fit.template.parameterization)

    def channels(
        self, names: Sequence[str] | None = None, *, rings: int = 2
    ) -> dict[str, FloatArray]:
        """Return fields on the vertices of `surface`, as `meshconv.channels` does.

        Raises
        ------
        ArgumentError
            If there is no field of a name.
        """
        there = field_names(self.surface, mapped=True, framed=True)
        asked = chosen(names, there)
        return fields_of(self.surface, self.parameterization, self.alignment, asked, rings)

    def image(self, names: Sequence[str] | None = None, *, detail: float = 0.0) -> GeometryImage:
        """Return channels as an image in the frame.

        Parameters
        ----------
        names : sequence of str, optional
            As of `channels`.
        detail : float
            0: fields as the vertices have them, linear between these. Else positions and
            differences are read to second order, and normals are those of the surface in the image,
            blurred to this standard deviation, a share of the side, where its mesh does not blur it
            by more: meshes of any density look alike. What classifiers use is in `PrepareConfig`.

        Raises
        ------
        ArgumentError
            If there is no field of a name, or the detail is not in 0..0.25.
        """
        detail = float(in_range(detail, 0.0, 0.25, "detail"))
        if not detail:
            return self.resampler.to_image(self.channels(names))
        asked = chosen(names, field_names(self.surface, mapped=True, framed=True))
        return image_at(self.resampler, self.channels(needed(asked)), asked, detail)


def place(
    surface: Surface,
    template: Frame,
    *,
    size: int = 129,
    mend: bool = True,
    landmarks: ArrayLike | None = None,
    mirror: Mirror = False,
) -> Placed:
    """Return one scan in the frame of a population.

    Parameters
    ----------
    surface : Surface
        In any pose. An open one whose size is that of the template but for a power of ten (metres
        among millimetres) is converted, with a warning; lengths in the image are in the template's
        unit. Closed ones, whose sizes may truly differ as much, keep theirs.
    template : Template
        The frame.
    size : int
        Nodes per side of the image.
    mend : bool
        Repair the scan first (`meshconv.repair`); landmarks that are vertex numbers then need a
        scan whose vertices all stay, points do not.
    landmarks, mirror
        As in `meshconv.fit_template`.

    Raises
    ------
    MeshConvError
        If the scan cannot be mended, or cannot be brought into the frame; see `meshconv.register`.

    Warns
    -----
    RegistrationWarning
        If it is doubtful whether the scan lies right, see `meshconv.fit_template`; if it was
        converted to the template's unit, or is so large or small that it may be in another.

    Examples
    --------
    >>> from meshconv import Template
    >>> from meshconv.mesh.shapes import face
    >>> placed = place(face(400), Template.from_surface(face(500)), size=17)
    >>> placed.image(["difference_z"]).channels.shape
    (1, 17, 17)
    """
    placed = quietly_placed(
        surface, template, size=size, mend=mend, landmarks=landmarks, mirror=mirror
    )
    if placed.doubts:
        text = f"the scan should be looked at in the frame: {'; '.join(placed.doubts)}"
        warnings.warn(text, RegistrationWarning, stacklevel=2)
    return placed


def quietly_placed(
    surface: Surface,
    template: Frame,
    *,
    size: int,
    mend: bool,
    landmarks: ArrayLike | None = None,
    mirror: Mirror = False,
) -> Placed:
    """Return what `place` does; its doubts are for whoever asked to say."""
    require_kind(template, "template", Frame)
    require_kind(surface, "surface", Surface)
    mended = repair(surface, target=template.parameterization.domain) if mend else None
    clean = surface if mended is None else mended.surface
    unit = _unit(clean, template)
    if unit != 1.0:
        clean = Surface(clean.vertices * unit, clean.faces)
        landmarks = _converted(landmarks, unit)
    fit = quiet_fit(clean, template, landmarks=landmarks, mirror=mirror)
    flat = fit.parameterization()
    return Placed(surface, unit, mended, fit, flat, Resampler(flat, size))


def say_doubts(found: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Warn, from where the caller was called, of all scans that may lie wrong, by name.

    Warns
    -----
    RegistrationWarning
        One for all of them: how many of how many, and what a person should look at.
    """
    doubtful = [f"{name}: {'; '.join(doubts)}" for name, doubts in found if doubts]
    if doubtful:
        more = [f"and {len(doubtful) - _NAMED} more"] if len(doubtful) > _NAMED else []
        lines = "\n  ".join([*doubtful[:_NAMED], *more])
        text = f"{len(doubtful)} of {len(found)} scans should be looked at in the frame:\n  {lines}"
        warnings.warn(text, RegistrationWarning, stacklevel=3)


def _unit(surface: Surface, template: Frame) -> float:
    """Return the power of ten by which a scan is to be multiplied to have the template's size; 1
    where none brings it there, or sizes say nothing of units: of closed surfaces.
    """
    if template.parameterization.domain == "sphere":
        return 1.0
    ratio = size_ratio(surface, template) if surface.area > 0.0 else 1.0
    power = power_of_ten(ratio)
    return power if 1 / _NEAR < ratio / power < _NEAR else 1.0


def _converted(landmarks: ArrayLike | None, unit: float) -> ArrayLike | None:
    """Return points in another unit; numbers of vertices as they are."""
    if landmarks is None or np.ndim(landmarks) != 2:
        return landmarks
    return np.asarray(landmarks, dtype=np.float64) * unit
