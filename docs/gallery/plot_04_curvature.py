"""
Curvature
=========

A cubic is fitted around each vertex: second-order accurate, also on uneven triangles. Mean
curvature is signed (positive on a sphere seen from outside); the shape index says only what kind of
place it is.
"""

import meshconv as mc
from meshconv.mesh.shapes import face
from meshconv.viz.picture import FieldStyle, figure

surface = face(3000, identity=3)
figure(
    surface,
    mc.mean_curvature(surface),
    title="mean curvature",
    field_style=FieldStyle("1/mm", signed=True),
    size=420,
)

# %%
figure(
    surface,
    mc.shape_index(surface),
    title="shape index: -1 a cup, 0 a saddle, 1 a cap",
    field_style=FieldStyle("shape index", (-1, 1), signed=True),
    size=420,
)
