"""Surfaces that cost time to make, kept in files."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from meshconv.errors import CacheWarning, CheckpointError
from meshconv.io.container import read_container, write_container
from meshconv.mesh.surface import Surface


def kept_surface(folder: Path | None, name: str, made: Callable[[], Surface]) -> Surface:
    """Return the surface kept under a name in a folder; it is made where there is none, or it is
    damaged.

    Warns
    -----
    CacheWarning
        If it is damaged.
    """
    if folder is None:
        return made()
    path = folder / f"{name}.npz"
    if path.exists():
        try:
            with read_container(path, "surface") as (_, arrays):
                return Surface(arrays["vertices"], arrays["faces"])
        except CheckpointError as error:
            warnings.warn(f"cached surface made anew: {error}", CacheWarning, stacklevel=4)
    surface = made()
    folder.mkdir(parents=True, exist_ok=True)
    write_container(path, "surface", {}, {"vertices": surface.vertices, "faces": surface.faces})
    return surface
