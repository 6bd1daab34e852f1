"""
A closed surface on the sphere
==============================

Organs have no border. A closed surface of genus 0 goes to the unit sphere, its mass centred.
"""

import numpy as np

import meshconv as mc
from meshconv.mesh.shapes import icosphere
from meshconv.viz.map_picture import map_figure

ball = icosphere(4)
bumps = 1 + 0.25 * np.sin(3 * ball.vertices[:, 0]) * np.cos(4 * ball.vertices[:, 1])
organ = mc.Surface(ball.vertices * bumps[:, None], ball.faces)
flat = mc.conformal_map(organ, domain="sphere")
print(mc.distortion(flat))
map_figure(flat, title="sphere", size=420)
