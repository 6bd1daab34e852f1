"""
Holes that stay holes
=====================

Eyes of a scan are often missing. They can be closed first (`repair`), mapped as if they were closed
(`holes="fill"`), or become circles (`holes="circles"`, Koebe).
"""

import numpy as np

import meshconv as mc
from meshconv.mesh.shapes import face
from meshconv.viz.map_picture import map_figure

whole = face(3000)
middle = whole.vertices[whole.faces].mean(axis=1)
eyes = [np.hypot((middle[:, 0] - x) / 15, (middle[:, 1] - 25) / 8) < 1 for x in (-32, 32)]
scan = mc.Surface(whole.vertices, whole.faces[~np.any(eyes, axis=0)])
scan = mc.repair(scan, fill_holes=False).surface
flat = mc.conformal_map(scan, holes="circles")
map_figure(flat, title="every hole is round", size=420)
