"""Bring a scan into the frame of a population, with landmarks or without any: the doors."""

from __future__ import annotations

import warnings

from numpy.typing import ArrayLike

from meshconv._check import require_kind
from meshconv.errors import ArgumentError, RegistrationWarning
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.surface import Surface
from meshconv.registration.frame import Frame
from meshconv.registration.landmarks import find_landmarks
from meshconv.registration.template_fit import Mirror, TemplateFit, fit_frame


def fit_template(
    surface: Surface,
    template: Frame,
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

    Warns
    -----
    RegistrationWarning
        If it is doubtful whether the scan lies right: unlike the scans the frame is made for, in a
        pose or, with ``mirror='auto'``, of a hand that the shape does not determine, a part whose
        place is not certain, or wound inside out (which is put right). And if it reaches far beyond
        the template: neck, hair, flaps, spikes.

    References
    ----------
    Besl, McKay, 1992, A method for registration of 3-D shapes. doi:10.1109/34.121791
    Amberg, Romdhani, Vetter, 2007, Optimal step nonrigid ICP. doi:10.1109/CVPR.2007.383165
    """
    fit = quiet_fit(surface, template, landmarks=landmarks, mirror=mirror)
    if fit.doubts:
        text = f"the scan may lie wrong in the frame: {'; '.join(fit.doubts)}"
        warnings.warn(text, RegistrationWarning, stacklevel=2)
    elif fit.cut_off:
        text = f"the scan reaches beyond the frame: {fit.cut_off[0]}"
        warnings.warn(text, RegistrationWarning, stacklevel=2)
    return fit


def quiet_fit(
    surface: Surface, template: Frame, *, landmarks: ArrayLike | None, mirror: Mirror
) -> TemplateFit:
    """Return what `fit_template` does; its doubts are for whoever asked to say."""
    if not isinstance(mirror, bool) and mirror != "auto":
        raise ArgumentError(f"mirror must be True, False or 'auto', found {mirror!r}")
    require_kind(surface, "surface", Surface)
    require_kind(template, "template", Frame)
    marks = find_landmarks(surface, template.landmarks, landmarks)
    return fit_frame(surface, template, marks, mirror)


def register(
    parameterization: Parameterization | Surface,
    template: Frame,
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

    Warns
    -----
    RegistrationWarning
        As `fit_template` does.

    Examples
    --------
    >>> from meshconv import Template
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
