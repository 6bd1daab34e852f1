"""What the pictures need of a result, gathered from whatever is given: surface, field, map,
words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from meshconv._check import BoolArray, FloatArray, as_array, field_array
from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.surface import Surface
from meshconv.viz.picture import SALIENCY, FieldStyle

_BORDER = 0.03  # width of the band along the border, in square roots of the area


@dataclass(frozen=True, eq=False)
class Explained:
    """A surface with a field on it and, where known, its map, its verdict and how its image was
    sampled.
    """

    surface: Surface
    field: FloatArray | None = None
    parameterization: Parameterization | None = None
    look: FieldStyle = SALIENCY
    name: str = ""
    label: Any = None
    probabilities: tuple[tuple[Any, float], ...] = ()
    image: Any = None
    sampling_grid: FloatArray | None = None
    mirrored: bool = False
    quality: Any = None
    muted: BoolArray | None = None  # (V,): not to be coloured

    @property
    def drawn(self) -> FloatArray | None:
        """The field with the colour of nothing where it is not to be coloured, (V,)."""
        if self.field is None or self.muted is None or self.muted.all():
            return None if self.field is None else self.field * (self.muted is None)
        low = 0.0 if self.look.signed else self.look.resolve(self.field[~self.muted])[0]
        return np.where(self.muted, low, self.field)

    @property
    def at_chance(self) -> bool:
        """Whether the classifier is known to be not better than chance."""
        return self.quality is not None and not self.quality.better_than_chance

    @property
    def note(self) -> str:
        """What the reader must know before looking for colour that is not there; '' if nothing."""
        mirrored = "drawn mirrored, as it lies in the frame" if self.mirrored else ""
        caution = "" if self.quality is None else self.quality.caution
        return "; ".join(filter(None, (mirrored, self._doubt(), caution)))

    def _doubt(self) -> str:
        if self.at_chance:
            return f"the classifier is {self.quality.verdict}: it has no map to show"
        if self.field is None:
            return "there is no saliency"
        if np.ptp(self.field) == 0:
            return f"the {self.look.name} is constant ({self.field[0]:.3g}): it points nowhere"
        low, high = self.look.resolve(self.field)
        if self.field.min() < low or self.field.max() > high:
            return (
                f"values reach from {self.field.min():.3g} to {self.field.max():.3g};"
                " colours end at the scale's ends"
            )
        return ""

    @property
    def verdict(self) -> str:
        """The class and its probability in words, and how good the classifier is; '' if there is
        none. Of one that is not better than chance, that alone.
        """
        if self.at_chance:
            return str(self.quality.verdict)
        if self.label is None:
            return ""
        odds = max((share for _, share in self.probabilities), default=None)
        said = str(self.label) if odds is None else f"{self.label}  (probability {odds:.2f})"
        return said if self.quality is None else f"{said}; {self.quality.verdict}"

    def facing_viewer(self) -> Explained:
        """Return the same, turned so that the map's u points right, its v up and the outside at the
        viewer.

        A registered map knows how its population stands, the scanner's coordinates need not.
        """
        if self.parameterization is None:
            return self
        turn = _rotation_to_map(self.parameterization)
        surface = Surface(self.surface.vertices @ turn.T, self.surface.faces)
        mapped = self.parameterization.surface
        flat = replace(
            self.parameterization, surface=Surface(mapped.vertices @ turn.T, mapped.faces)
        )
        return replace(self, surface=surface, parameterization=flat)

    def without_border(self) -> Explained:
        """Return the same with the band along the border of an open surface not coloured: where a
        scan was cropped differs from scan to scan, and says nothing of its shape.
        """
        loops = self.surface.boundary_loops
        if not loops:
            return self
        border = self.surface.vertices[max(loops, key=len)]
        near = cKDTree(border).query(self.surface.vertices)[0] < _BORDER * self.surface.area**0.5
        return replace(self, muted=near if self.muted is None else near | self.muted)

    def mapped_field(self) -> FloatArray | None:
        """Return the field on the vertices of the map's surface, which repair may have changed."""
        field = self.drawn
        if field is None or self.parameterization is None:
            return field
        mapped = self.parameterization.surface
        if np.array_equal(mapped.vertices, self.surface.vertices):
            return field
        return np.asarray(field[cKDTree(self.surface.vertices).query(mapped.vertices)[1]])


def as_explained(
    result: Any, field: ArrayLike | None = None, *, name: str = "", look: FieldStyle | None = None
) -> Explained:
    """Return what is to be drawn of an explanation, a `Surface` or a `Parameterization`.

    Parameters
    ----------
    result : Explanation, Surface, Parameterization or Explained
        An explanation is anything with ``surface`` and ``saliency``; its ``parameterization``,
        ``label``, ``probabilities``, ``image``, ``sampling_grid`` and ``name`` are used where they
        exist.
    field : (V,) array_like, optional
        Drawn instead of the saliency.
    name : str
        Instead of the result's own.
    look : FieldStyle, optional
        By default a saliency is drawn on 0..1, any other field on its own range.

    Raises
    ------
    ArrayTypeError
        If `result` is none of these, or the field has another length.
    NonFiniteError
        If a value is NaN or infinite.
    """
    if isinstance(result, Explained):
        known = result
    elif isinstance(result, Surface):
        known = Explained(result)
    elif isinstance(result, Parameterization):
        known = Explained(result.surface, parameterization=result)
    elif hasattr(result, "surface") and hasattr(result, "saliency"):
        known = _of_explanation(result)
    else:
        raise ArrayTypeError(
            f"cannot draw a {type(result).__name__}",
            hint=(
                "pass a Surface, a Parameterization, or an explanation with .surface and .saliency"
            ),
        )
    if field is not None:
        known = replace(
            known,
            field=_vertex_field(field, known.surface, "field"),
            look=look or FieldStyle("field"),
        )
    return replace(known, name=name or known.name, look=look or known.look)


def _of_explanation(result: Any) -> Explained:
    surface, saliency = result.surface, result.saliency
    field = None if saliency is None else _vertex_field(saliency, surface, "saliency")
    quality = getattr(result, "quality", None)
    flat = getattr(result, "parameterization", None)
    mirrored = flat is not None and not _same_place(surface, flat.surface)
    if flat is not None and mirrored:
        surface, field = flat.surface, result.resampler.to_vertices(result.saliency_image)
    known = Explained(
        surface,
        field,
        flat,
        name=str(getattr(result, "name", "")),
        label=getattr(result, "label", None),
        probabilities=_odds(getattr(result, "probabilities", None)),
        image=getattr(result, "image", None),
        sampling_grid=_sampling_grid(getattr(result, "sampling_grid", None)),
        mirrored=mirrored,
        quality=quality,
    )
    blank = known.at_chance and known.field is not None
    return replace(known, field=np.zeros_like(known.field)) if blank else known


def _same_place(surface: Surface, mended: Surface) -> bool:
    """Whether a mended surface stands where the given one does: most of its vertices are still
    there.
    """
    if np.array_equal(surface.vertices, mended.vertices):
        return True
    distance = cKDTree(surface.vertices).query(mended.vertices)[0]
    return bool(np.median(distance) <= 1e-6 * np.ptp(surface.vertices, axis=0).max())


def _odds(value: Any) -> tuple[tuple[Any, float], ...]:
    """Probabilities as pairs of class and share, from a mapping or a plain sequence."""
    if value is None:
        return ()
    pairs = (
        value.items()
        if isinstance(value, Mapping)
        else enumerate(as_array(value, "probabilities").ravel())
    )
    odds = tuple((label, float(share)) for label, share in pairs)
    for label, share in odds:
        if not -1e-3 <= share <= 1 + 1e-3:  # as half precision leaves them
            raise ArgumentError(f"the probability of {label!r} is {share}, not within 0 and 1")
    return odds


def _vertex_field(value: ArrayLike, surface: Surface, name: str) -> FloatArray:
    array = field_array(value, surface.n_vertices, name)
    if array.size != surface.n_vertices:
        raise ArrayTypeError(f"{name} must be (V,) = ({surface.n_vertices},), found {array.shape}")
    return array.ravel()


def _sampling_grid(value: Any) -> FloatArray | None:
    if value is None:
        return None
    grid = as_array(value, "sampling_grid")
    if grid.ndim != 3 or grid.shape[2] != 2 or min(grid.shape[:2]) < 2:
        raise ArrayTypeError(f"sampling_grid must be (n, n, 2), found {grid.shape}")
    if not (grid.min() >= -1e-4 and grid.max() <= 1 + 1e-4):
        raise ArgumentError(
            f"sampling_grid must hold places (u, v) in [0, 1], found {grid.min():.3g} to"
            f" {grid.max():.3g}",
            hint="(grid + 1) / 2 of a grid made for grid_sample",
        )
    return np.asarray(grid, dtype=np.float64)


def _rotation_to_map(parameterization: Parameterization) -> FloatArray:
    """Return the rotation (3, 3) that brings the surface nearest to its own map (Kabsch 1976), by
    area.
    """
    surface, xy = parameterization.surface, parameterization.coordinates
    weights = np.bincount(
        surface.faces.ravel(), np.repeat(surface.face_areas, 3), surface.n_vertices
    )
    target = np.column_stack([xy, np.zeros((len(xy), 3 - xy.shape[1]))])
    if not weights.sum() > 0:
        return np.eye(3)
    source, target = (
        points - np.average(points, axis=0, weights=weights)
        for points in (surface.vertices, target)
    )
    weights = weights / weights.sum()
    turn, *_ = Rotation.align_vectors(
        target, source / (np.abs(source).max() or 1.0), weights=weights
    )
    return np.asarray(turn.as_matrix())
