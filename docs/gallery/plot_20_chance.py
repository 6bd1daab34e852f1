"""
Nothing to see
==============

Labels that mean nothing. The classifier says so, in place of a map.
"""

import meshconv as mc
from meshconv.mesh.shapes import face
from meshconv.viz.picture import figure

people = mc.ProceduralFaces(24, "nose_tip", 0.0, n_vertices=400, pose=False, seed=3)
frame = mc.Template.from_surface(face(800))
model = mc.SurfaceClassifier(template=frame, size=33, network_size=17, epochs=10).fit(people)
print(model.quality_)
found = model.explain(people[0])
print(found)
figure(found.surface, title=model.quality_.verdict, size=420)
