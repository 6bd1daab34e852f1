"""`Parameterization`: a surface, and where each of its vertices lies in the plane or on the
sphere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from meshconv._check import (
    ComplexArray,
    FloatArray,
    IntArray,
    field_array,
    one_of,
    read_only,
    require_kind,
)
from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.maps.face_maps import Distortion, image_sides, measured
from meshconv.maps.folds import folded, signed_areas
from meshconv.mesh.sketch import card, drawing
from meshconv.mesh.surface import Surface

if TYPE_CHECKING:
    import trimesh

DOMAINS = ("disk", "rectangle", "plane", "sphere")
_SLACK = 1e-9  # rounding allowed outside a unit domain


@dataclass(frozen=True, eq=False)
class Parameterization:
    """A piecewise linear map from a surface to a flat domain, or to the unit sphere.

    Parameters
    ----------
    surface : Surface
        The source, V vertices.
    coordinates : (V, 2) or (V, 3) array_like
        Image of each vertex: (V, 2) in the plane, (V, 3) unit vectors on the sphere. Kept read-only
        float64.
    domain : {'disk', 'rectangle', 'plane', 'sphere'}
        ``disk``: the unit disk |z| <= 1. ``rectangle``: [0, 1] x [0, h], any h > 0. ``plane``: no
        border set.

    Raises
    ------
    ArrayTypeError, NonFiniteError, ArgumentError
        If shapes disagree, a value is not finite, or a vertex lies outside the domain.

    Notes
    -----
    Orientation: a face that is counter-clockwise seen from outside the surface is counter-clockwise
    in the plane (and seen from outside the sphere). A face where this fails is flipped; none is
    hidden.
    """

    surface: Surface
    coordinates: FloatArray
    domain: str = "plane"

    def __post_init__(self) -> None:
        require_kind(self.surface, "surface", Surface)
        one_of(self.domain, DOMAINS, "domain")
        width = 3 if self.domain == "sphere" else 2
        array = field_array(self.coordinates, self.surface.n_vertices, "coordinates")
        if array.ndim != 2 or array.shape[1] != width:
            raise ArrayTypeError(
                f"coordinates in the {self.domain} must be (V, {width}), found {array.shape}"
            )
        object.__setattr__(self, "coordinates", read_only(array, np.float64, self.coordinates))
        self._check_domain()

    def _check_domain(self) -> None:
        uv = self.coordinates
        if self.domain == "disk":
            outside = uv[:, 0] ** 2 + uv[:, 1] ** 2 > (1 + _SLACK) ** 2
        elif self.domain == "sphere":
            outside = np.abs(np.sqrt(uv[:, 0] ** 2 + uv[:, 1] ** 2 + uv[:, 2] ** 2) - 1) > 1e-6
        elif self.domain == "rectangle":
            outside = (uv < -_SLACK).any(axis=1) | (uv[:, 0] > 1 + _SLACK)
        else:
            return
        if outside.any():
            k = int(outside.argmax())
            raise ArgumentError(
                f"vertex {k} at {uv[k].tolist()} lies outside the {self.domain} "
                f"({int(outside.sum())} such vertices)"
            )

    def __repr__(self) -> str:
        surface = self.surface
        counts = f"{surface.n_vertices} vertices, {surface.n_faces} faces"
        return f"{type(self).__name__}({counts}, on the {self.domain})"

    def _repr_html_(self) -> str:
        """The checkerboard on the surface and in the domain, and the map's figures: for
        notebooks.
        """
        surface, places = self.surface, self.coordinates
        unit = surface.vertices / (np.abs(surface.vertices).max() or 1.0)
        board = places[:, :2] / (np.ptp(places[:, :2]) or 1.0) + 2.0
        lifted = np.column_stack([places, np.zeros((len(places), 3 - places.shape[1]))])
        pictures = [
            drawing(unit, surface.faces, board),
            drawing(lifted, surface.faces, board, flat=True),
        ]
        rows = [("domain", self.domain), ("vertices", f"{surface.n_vertices:,}")]
        return card(type(self).__name__, [*rows, ("distortion", str(self.distortion()))], pictures)

    @property
    def z(self) -> ComplexArray:
        """The plane coordinates as complex numbers x + iy, (V,)."""
        return np.asarray(self.coordinates[:, 0] + 1j * self.coordinates[:, 1])

    @cached_property
    def face_areas(self) -> FloatArray:
        """Signed area of each image face, (F,); negative where flipped; chordal on the sphere."""
        return signed_areas(self.coordinates, self.surface.faces)

    def flipped_faces(self) -> IntArray:
        """Return the indices of the faces whose image is turned over or has no area."""
        return folded(self.coordinates, self.surface.faces)

    def distortion(self) -> Distortion:
        """Return what the map does to angles and areas, and where it folds."""
        surface = self.surface
        return measured(surface.vertices, surface.faces, self.image_sides(), self.flipped_faces())

    def image_sides(self) -> ComplexArray:
        """Return the images of sides 01 and 02 of each face as complex numbers (F, 2)."""
        return image_sides(self.coordinates, self.surface.faces, self.face_areas)

    def uv(self) -> FloatArray:
        """Return the coordinates in the unit square, (V, 2), as textures are addressed: the disk
        touches its sides, a map of the plane keeps its shape.

        Raises
        ------
        ArgumentError
            On the sphere, which no square covers without a seam.
        """
        if self.domain == "sphere":
            raise ArgumentError("a map on the sphere has no (u, v)", hint="cut the surface open")
        low, high = self.coordinates.min(axis=0), self.coordinates.max(axis=0)
        if self.domain == "disk":
            low, high = np.full(2, -1.0), np.full(2, 1.0)
        return np.clip((self.coordinates - low) / (high - low).max(), 0.0, 1.0)

    def to_trimesh(self, image: Any = None) -> trimesh.Trimesh:
        """Return a `trimesh.Trimesh` of the surface, textured by the map.

        Its ``export`` writes OBJ with ``vt`` and a material, and GLB with the texture in it.

        Parameters
        ----------
        image : PIL.Image or path, optional
            Laid over the unit square, its lower left corner at (0, 0); a checkerboard, which shows
            what the map does, if None.
        """
        from PIL import Image
        from trimesh.visual import TextureVisuals

        mesh = self.surface.to_trimesh()
        if image is None:
            tiles = np.indices((16, 16)).sum(axis=0) % 2
            image = Image.fromarray(np.kron(tiles * 90 + 140, np.ones((32, 32))).astype(np.uint8))
        elif isinstance(image, str | PathLike):
            image = Image.open(image)
        mesh.visual = TextureVisuals(uv=self.uv(), image=image)
        return mesh

    def with_coordinates(
        self, coordinates: FloatArray, domain: str | None = None
    ) -> Parameterization:
        """Return the same surface elsewhere in the plane."""
        return replace(self, coordinates=coordinates, domain=domain or self.domain)
