"""
Vibrations of a shape
=====================

Eigenfunctions of the Laplacian, and the heat kernel signature made of them: both know nothing of
pose.
"""

import numpy as np

import meshconv as mc
from meshconv.mesh.shapes import icosphere
from meshconv.viz.picture import FieldStyle, figure

ball = icosphere(4)
bow = 0.25 * ball.vertices[:, 1:2] ** 2 * [1, 0, 0]
bean = mc.Surface(ball.vertices * [1.0, 1.6, 0.8] + bow, ball.faces)
values, functions = mc.laplacian_eigenpairs(bean, 6)
print("eigenvalues", values.round(2))
figure(bean, functions[:, 4], title="the fifth", field_style=FieldStyle("", signed=True), size=420)

# %%
heat = mc.heat_kernel_signature(bean, np.array([0.05]), n_eigen=40)[:, 0]
figure(
    bean,
    heat,
    title="heat that stays: large where the shape is pointed",
    field_style=FieldStyle("heat"),
    size=420,
)
