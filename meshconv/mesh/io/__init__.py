"""Mesh files: guarded readers, atomic writers, and everything else that describes a surface."""

from meshconv.mesh.io.atomic import atomic_write, sha256, write_bytes_atomic
from meshconv.mesh.io.convert import as_surface
from meshconv.mesh.io.read import FORMATS, MeshFile, load, read
from meshconv.mesh.io.write import save

__all__ = [
    "FORMATS",
    "MeshFile",
    "as_surface",
    "atomic_write",
    "load",
    "read",
    "save",
    "sha256",
    "write_bytes_atomic",
]
