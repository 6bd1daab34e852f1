"""
Area-preserving
===============

The conformal map shrinks what is far from its middle. A density-equalizing flow moves the vertices
until each face has its share of the area, without a fold.
"""

import meshconv as mc
from meshconv.mesh.shapes import face
from meshconv.viz.map_picture import map_figure

flat = mc.conformal_map(face(3000))
even = mc.density_equalizing_map(flat)
before = mc.misplaced_mass(flat, flat.surface.face_areas)
print(f"area misplaced: {before:.3f} before, {even.misplaced_mass:.4f} after")
map_figure(even, title="area-preserving", size=420)
