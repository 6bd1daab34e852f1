"""Mesh files: guarded readers, atomic writers, and everything else that describes a surface."""

from meshconv.io.atomic import atomic_write, sha256, write_bytes_atomic
from meshconv.io.container import read_container, write_container
from meshconv.io.convert import as_surface
from meshconv.io.read import FORMATS, MeshFile, load, read
from meshconv.io.write import save

__all__ = [
    "FORMATS",
    "MeshFile",
    "as_surface",
    "atomic_write",
    "load",
    "read",
    "read_container",
    "save",
    "sha256",
    "write_bytes_atomic",
    "write_container",
]
