"""
A conformal map
===============

Every angle is kept, so small squares stay squares; areas are not. No triangle is turned over, and
the distortion is measured, not assumed.
"""

import meshconv as mc
from meshconv.mesh.shapes import face
from meshconv.viz.map_picture import map_figure

flat = mc.conformal_map(face(3000))
print(mc.distortion(flat))
map_figure(flat, title="conformal", size=420)
