"""
The outer surface of a soup
===========================

Three bodies that stick in each other, with walls inside: as soups and CT surfaces come. `wrap`
draws one closed surface of genus 0 around them.
"""

import numpy as np

import meshconv as mc
from meshconv.mesh.shapes import icosphere
from meshconv.viz.picture import FieldStyle, figure

ball = icosphere(3, radius=20)
places = np.array([[0, 0, 0], [22, 6, 0], [-18, 12, 8]])
soup = mc.Surface(
    np.vstack([ball.vertices + place for place in places]),
    np.vstack([ball.faces + k * ball.n_vertices for k in range(3)]),
)
print(mc.check(soup).problems[0])

wrap = mc.repair(soup, wrap=2.0)
print("\n".join(wrap.changes))
distance = np.linalg.norm(wrap.surface.vertices[:, None] - places, axis=2).min(axis=1)
figure(
    wrap.surface,
    distance - 20,
    title="the wrap, and its distance to the nearest ball",
    field_style=FieldStyle("distance"),
    size=420,
)
