"""Whatever describes a triangle surface, as a `Surface`."""

from __future__ import annotations

from os import PathLike
from typing import Any

from meshconv.errors import ArrayTypeError
from meshconv.io.read import load
from meshconv.mesh.surface import Surface

_ACCEPTED = (
    "a path, a Surface, a (vertices, faces) pair, a trimesh, a PyVista or a torch-geometric mesh"
)


def as_surface(mesh: Any) -> Surface:
    """Return a surface from whatever holds one; the input is never changed, vertices are never
    reordered.

    Parameters
    ----------
    mesh : path, Surface, (vertices, faces), trimesh.Trimesh, pyvista.DataSet or
        torch_geometric.data.Data
        A Surface is returned as it is, everything else is copied.

    Returns
    -------
    surface : Surface

    Raises
    ------
    ArrayTypeError
        If it is none of these; also a TypeError.
    MeshDataError, MeshIOError
        See `Surface` and `load`.

    Examples
    --------
    >>> as_surface(([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]]))
    Surface(3 vertices, 1 faces)
    """
    if isinstance(mesh, Surface):
        return mesh
    if isinstance(mesh, str | PathLike):
        return load(mesh)
    if isinstance(mesh, tuple | list):
        if len(mesh) != 2:
            raise ArrayTypeError(f"expected a pair (vertices, faces), found {len(mesh)} entries")
        return Surface(*mesh)
    if hasattr(mesh, "vertices") and hasattr(mesh, "faces"):
        return Surface.from_trimesh(mesh)
    if hasattr(mesh, "points") and hasattr(mesh, "point_data"):
        return Surface.from_pyvista(mesh)
    if hasattr(mesh, "pos") and hasattr(mesh, "face"):
        return Surface.from_torch_geometric(mesh)
    raise ArrayTypeError(f"expected {_ACCEPTED}, found {type(mesh).__name__}")
