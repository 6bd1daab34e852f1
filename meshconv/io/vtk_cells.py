"""What legacy VTK and VTP share: cells by offsets, and polygons with strips into one mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshconv._check import FloatArray, IntArray
from meshconv.errors import BadFormatError
from meshconv.io.raw_mesh import Fields, RawMesh
from meshconv.io.source import Source
from meshconv.io.strips import strip_triangles, without_repeats

_OF_ITEM = 24  # bytes of memory of an item of a strip
_ORDER = ("verts", "lines", "polys", "strips")  # in which cell data follow each other


@dataclass(frozen=True)
class Cells:
    """Corners of all cells of one kind, one after the other, and how many each has."""

    corners: IntArray
    counts: IntArray

    @classmethod
    def none(cls) -> Cells:
        """Return no cells."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64))

    @classmethod
    def from_offsets(cls, corners: IntArray, offsets: IntArray) -> Cells:
        """Split the connectivity at the offsets, the end of each cell."""
        counts = np.diff(offsets, prepend=0)
        if (counts < 0).any() or (len(offsets) and not 0 <= offsets[-1] <= len(corners)):
            raise BadFormatError(
                f"cell offsets do not climb from 0 to {len(corners)}, the number of corners"
            )
        return cls(corners[: int(offsets[-1]) if len(offsets) else 0], counts)


def polygons(
    vertices: FloatArray,
    cells: dict[str, Cells],
    points: Fields,
    faces: Fields,
    source: Source,
) -> RawMesh:
    """Return polygons and unrolled strips as one mesh; cell data follow the polygons."""
    warnings = source.warnings
    sizes = {kind: len(cells[kind].counts) if kind in cells else 0 for kind in _ORDER}
    polys, strips = cells.get("polys", Cells.none()), cells.get("strips", Cells.none())
    corners, counts = polys.corners, polys.counts
    if sizes["strips"]:
        source.spend(_OF_ITEM * len(strips.corners), "triangle strips")
        unrolled = without_repeats(
            strip_triangles(strips.corners, np.cumsum(strips.counts) - strips.counts, strips.counts)
        )
        warnings.append(f"unrolled {sizes['strips']} strips into {len(unrolled)} triangles")
        corners = np.concatenate([corners, unrolled.reshape(-1)])
        counts = np.concatenate([counts, np.full(len(unrolled), 3)])
    if (sizes["lines"] or sizes["verts"]) and len(counts):
        warnings.append(f"ignored {sizes['lines']} lines and {sizes['verts']} points")
    raw = RawMesh(vertices, corners, counts)
    raw.vertex_fields = _of_length(points, len(vertices), "point", warnings)
    before, total = sizes["verts"] + sizes["lines"], sum(sizes.values())
    if faces and sizes["strips"]:
        warnings.append("cell data dropped: strips were unrolled")
    else:
        whole = _of_length(faces, total, "cell", warnings)
        raw.face_fields = {
            name: value[before : before + sizes["polys"]] for name, value in whole.items()
        }
    return raw


def _of_length(fields: Fields, n: int, per: str, warnings: list[str]) -> Fields:
    wrong = {name: None for name, value in fields.items() if len(value) != n}
    if wrong:
        warnings.append(
            f"{per} data dropped, not one value per {per} ({n}): {', '.join(wrong)[:80]}"
        )
    return {name: value for name, value in fields.items() if name not in wrong}
