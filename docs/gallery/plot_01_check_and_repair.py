"""
A broken scan, checked and mended
=================================

A face with a hole, a crack and a stray triangle. `check` names each fault and the call that mends
it; `repair` mends them, says what it did, and keeps the origin of every vertex.
"""

import numpy as np

import meshconv as mc
from meshconv.mesh.shapes import face
from meshconv.viz.picture import FieldStyle, figure

whole = face(2500, identity=5)
middle = whole.vertices[whole.faces].mean(axis=1)
cheek = np.hypot(middle[:, 0] - 30, middle[:, 1] + 20) < 14
stray = mc.Surface([[0, 90, 40], [9, 90, 40], [0, 99, 40]], [[0, 1, 2]])
scan = mc.Surface(
    np.vstack([whole.vertices, stray.vertices]),
    np.vstack([whole.faces[~cheek], stray.faces + whole.n_vertices]),
)
figure(scan, title="as it came", views=("front", "three-quarter"), size=420)

# %%
report = mc.check(scan)
print("\n".join(report.problems))

# %%
mended = mc.repair(scan)
print("\n".join(mended.changes))
new = (mended.vertex_origin < 0).astype(float)
figure(
    mended.surface,
    new,
    title="mended; what is new in red",
    views=("front", "three-quarter"),
    field_style=FieldStyle("new", (0, 1)),
    size=420,
)
