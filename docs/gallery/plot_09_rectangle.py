"""
Onto a rectangle
================

Four places of the border become corners. The height is no choice: it is the conformal modulus of
the surface with these corners.
"""

import meshconv as mc
from meshconv.mesh.shapes import face
from meshconv.viz.map_picture import map_figure

flat = mc.conformal_map(face(3000), domain="rectangle")
print(f"1 : {flat.coordinates[:, 1].max():.3f}")
map_figure(flat, title="rectangle", size=420)
