"""
A map with a given distortion
=============================

The Beltrami coefficient mu says, for each face, how much a map squeezes and along which direction.
Given mu, `quasiconformal_map` finds the map; measuring it again gives mu back.
"""

import numpy as np

import meshconv as mc
from meshconv.mesh.shapes import face
from meshconv.viz.map_picture import map_figure

flat = mc.conformal_map(face(3000), domain="rectangle")
middle = flat.coordinates[flat.surface.faces].mean(axis=1)
mu = 0.4 * np.exp(-((middle - middle.mean(axis=0)) ** 2).sum(axis=1) / 0.05)
bent = mc.quasiconformal_map(flat, mu.astype(complex), boundary="slide")
between = mc.Parameterization(
    mc.Surface(np.column_stack([flat.coordinates, 0 * flat.z.real]), flat.surface.faces),
    bent.coordinates,
)
found = mc.beltrami_coefficient(between)
print(f"largest |mu| asked {abs(mu).max():.3f}, found {abs(found).max():.3f}")
map_figure(bent, title="squeezed along u in the middle", size=420)
