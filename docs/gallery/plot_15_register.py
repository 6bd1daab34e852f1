"""
Two people in one frame
=======================

Other triangles, other pose, other crop. `register` finds where each vertex of a scan lies in the
frame of a population; no landmark is needed.
"""

import meshconv as mc
from meshconv.mesh.shapes import face
from meshconv.viz.map_picture import map_figure
from meshconv.viz.picture import FieldStyle, figure

frame = mc.Template.from_surface(face(2500))
anna, bela = mc.ProceduralFaces(2, n_vertices=2000, seed=4)
framed = mc.register(anna.surface, frame)
map_figure(framed, title="a scan in the frame", size=420)

# %%
# How far each vertex lies from the template at the same place, in millimetres:
placed = mc.place(bela.surface, frame)
z = placed.channels(["difference_z"])["difference_z"]
figure(
    placed.fit.aligned(),
    z,
    title="in front of (red) or behind (blue) the mean face",
    field_style=FieldStyle("mm", signed=True),
    size=420,
)
print(f"residual {placed.fit.residual:.2f} mm; doubts: {placed.fit.doubts or 'none'}")
