"""
A lens for the nose
===================

A density says how much room each place gets. Here the nose gets eight times its share.
"""

import meshconv as mc
from meshconv.mesh.shapes import face, face_effect
from meshconv.viz.map_picture import map_figure

surface = face(3000)
flat = mc.conformal_map(surface)
density = 1 + 7 * face_effect("nose_tip", 3000)
lens = mc.density_equalizing_map(flat, density)
inside = density[surface.faces].mean(axis=1) > 2
gain = lens.face_areas[inside].sum() / flat.face_areas[inside].sum()
print(f"the nose has {gain:.1f} times the room; {len(lens.flipped_faces())} folds")
map_figure(lens, title="a lens for the nose", size=420)
