"""
A body with a handle, cut open
==============================

A torus is no disk. `cut` opens it along short seams, and then it has a conformal map.
"""

import meshconv as mc
from meshconv.mesh.shapes import torus
from meshconv.viz.map_picture import map_figure

opened = mc.cut(torus(n_major=72, n_minor=32))
print(mc.check(opened.surface))
flat = mc.conformal_map(opened.surface, domain="free")
map_figure(flat, title="a torus, cut open and laid flat", size=420)
