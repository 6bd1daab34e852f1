"""`Placed`: one scan in the frame of a population, with all that is needed to come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from numpy.typing import ArrayLike

from meshconv._check import FloatArray, IntArray, require_kind
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.surface import Surface
from meshconv.mesh_repair.repair import repair
from meshconv.mesh_repair.repaired import Repaired
from meshconv.registration.fit import fit_template
from meshconv.registration.frame import Frame
from meshconv.registration.template_fit import Mirror, TemplateFit
from meshconv.resample.alignment import Alignment, align
from meshconv.resample.channels import chosen, field_names, fields_of
from meshconv.resample.geometry_image import GeometryImage
from meshconv.resample.resampler import Resampler


@dataclass(frozen=True, eq=False)
class Placed:
    """One scan in the frame: made once, read by channels, images, explanations and reports.

    Attributes
    ----------
    given : Surface
        The scan as it came.
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
    repaired: Repaired | None
    fit: TemplateFit
    parameterization: Parameterization
    resampler: Resampler

    @property
    def surface(self) -> Surface:
        """The surface that lies in the frame: mended, and mirrored if that was said."""
        return self.parameterization.surface

    @property
    def vertex_origin(self) -> IntArray | None:
        """Which vertex of `given` each vertex of `surface` was, see `Repaired`; None if it is that
        one.
        """
        return None if self.repaired is None else self.repaired.vertex_origin

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

    def image(self, names: Sequence[str] | None = None) -> GeometryImage:
        """Return channels as an image in the frame."""
        return self.resampler.to_image(self.channels(names))


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
        In any pose and unit.
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

    Examples
    --------
    >>> from meshconv import Template
    >>> from meshconv.mesh.shapes import face
    >>> placed = place(face(400), Template.from_surface(face(500)), size=17)
    >>> placed.image(["difference_z"]).channels.shape
    (1, 17, 17)
    """
    require_kind(template, "template", Frame)
    mended = repair(surface, target=template.parameterization.domain) if mend else None
    clean = surface if mended is None else mended.surface
    fit = fit_template(clean, template, landmarks=landmarks, mirror=mirror)
    flat = fit.parameterization()
    return Placed(surface, mended, fit, flat, Resampler(flat, size))
