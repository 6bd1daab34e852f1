"""
A texture by the map
====================

A map gives every vertex a place in a picture: (u, v). Written as OBJ with ``vt``, it opens in
MeshLab, Blender or 3D Slicer.
"""

import tempfile
from pathlib import Path

import numpy as np

import meshconv as mc
from meshconv.mesh.shapes import face
from meshconv.viz.picture import FieldStyle, figure

flat = mc.conformal_map(face(4000))
uv = flat.uv()
folder = Path(tempfile.mkdtemp())
mc.save(folder / "face.obj", flat.surface, corner_uv=uv[flat.surface.faces])
print(mc.read(folder / "face.obj").corner_uv.shape)

rings = np.cos(30 * np.linalg.norm(uv - 0.5, axis=1))
figure(
    flat.surface,
    rings,
    title="rings around the middle",
    field_style=FieldStyle("", iso_lines=False),
    size=420,
)
