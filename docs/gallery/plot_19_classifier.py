"""
Which group, and where
======================

Two groups of generated faces; half have a larger tip of the nose. `SurfaceClassifier` brings them
into one frame, learns, measures itself on subjects it has not seen, and says where it looks.
"""

import meshconv as mc
from meshconv.mesh.shapes import face
from meshconv.viz.picture import SALIENCY, figure

people = mc.ProceduralFaces(24, "nose_tip", 7.0, n_vertices=500, seed=1)
frame = mc.Template.from_surface(face(1200))
model = mc.SurfaceClassifier(template=frame, size=65, network_size=17, epochs=20).fit(people)
print(model.quality_)
figure(
    model.template_.surface,
    model.template_saliency(),
    title="where the groups differ",
    field_style=SALIENCY,
    size=420,
)

# %%
# One scan that it has never seen, with a pose and triangles of its own:
stranger = mc.ProceduralFaces(2, "nose_tip", 7.0, n_vertices=900, seed=2, pose=False)[1]
found = model.explain(stranger)
print(found)
figure(found.surface, found.saliency, title=str(found), field_style=SALIENCY, size=420)
