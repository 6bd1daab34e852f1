"""Surfaces: the type, files, topology, checks and repair."""

from meshconv.mesh.surface import Surface

__all__ = ["Surface"]
