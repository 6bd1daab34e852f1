"""`Repaired`: a mended surface, and what it has to do with the one that came in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse.linalg import splu

from meshconv._check import FloatArray, IntArray, field_array
from meshconv.mesh.surface import Surface
from meshconv.mesh_repair.report import SurfaceReport


@dataclass(frozen=True, eq=False)
class Repaired:
    """A mended surface, and what it has to do with the one that came in."""

    surface: Surface
    vertex_origin: IntArray
    """(V',) index in the input of each vertex; -1 where it is new."""
    face_origin: IntArray
    """(F',) the same for faces; a flipped or turned face keeps its origin."""
    report_before: SurfaceReport
    report_after: SurfaceReport
    changes: tuple[str, ...]
    """One sentence with a count for each thing done; empty if nothing was."""
    transfer: sparse.csr_array | None = None
    """(V', V) weights of the input's vertices for each vertex of a wrap; None for other repairs."""

    def moved(self, field: ArrayLike) -> FloatArray:
        """Carry a vertex field (V, ...) of the input to the repaired surface, (V', ...) float64.

        New vertices get the average of their neighbours (harmonic on the edge graph), those of a
        wrap the value at the nearest point of the input; the values stay within the range of the
        field.
        """
        values = field_array(field, self.report_before.n_vertices, "field")
        if self.transfer is not None:
            flat = self.transfer @ values.reshape(len(values), -1)
            return np.asarray(flat.reshape(-1, *values.shape[1:]))
        new = self.vertex_origin < 0
        out = values[self.vertex_origin]
        if new.any():
            i, j = self.surface.edges.T
            n = self.surface.n_vertices
            link = sparse.coo_array(
                (np.ones(2 * len(i)), (np.r_[i, j], np.r_[j, i])), shape=(n, n)
            ).tocsr()
            laplacian: Any = (
                sparse.diags_array(np.asarray(link.sum(axis=1)).ravel()) - link
            ).tocsr()[new]
            known = out[~new].reshape(int((~new).sum()), -1)
            solved = splu(laplacian[:, new].tocsc()).solve(-(laplacian[:, ~new] @ known))
            out[new] = solved.reshape(-1, *out.shape[1:])
        return out
