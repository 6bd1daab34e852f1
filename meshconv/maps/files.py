"""Maps on disk: one checksummed container, written whole or not at all."""

from __future__ import annotations

from os import PathLike

from meshconv._check import require_kind
from meshconv.io.container import read_container, write_container
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.surface import Surface

_KIND = "parameterization"


def save_parameterization(path: str | PathLike[str], parameterization: Parameterization) -> None:
    """Write a map with its surface to an .npz file, which `numpy.load` opens as well.

    Parameters
    ----------
    path : path-like
        Replaced if it exists.
    parameterization : Parameterization
        Kept bit for bit.
    """
    require_kind(parameterization, "parameterization", Parameterization)
    surface = parameterization.surface
    arrays = {
        "vertices": surface.vertices,
        "faces": surface.faces,
        "coordinates": parameterization.coordinates,
    }
    write_container(path, _KIND, {"domain": parameterization.domain}, arrays)


def load_parameterization(path: str | PathLike[str]) -> Parameterization:
    """Read a map with its surface.

    Raises
    ------
    MissingFileError
        If there is none.
    CheckpointError
        If the file is damaged or something else.
    """
    with read_container(path, _KIND) as (head, arrays):
        surface = Surface(arrays["vertices"], arrays["faces"])
        return Parameterization(surface, arrays["coordinates"], head["domain"])
