"""
Where two groups differ, with a p-value
=======================================

The labels are permuted 200 times; a place counts if it stands out among the *largest* values of the
permuted maps. Age is taken out.
"""

import numpy as np

import meshconv as mc
from meshconv.mesh.shapes import face
from meshconv.train.config import PrepareConfig
from meshconv.train.prepare import prepare
from meshconv.viz.picture import FieldStyle, figure

people = mc.ProceduralFaces(32, "chin", 5.0, n_vertices=400, seed=5)
frame = mc.Template.from_surface(face(1500))
ready = prepare(people, frame, config=PrepareConfig(size=65), progress=False)
age = np.random.default_rng(0).uniform(20, 70, len(people))
found = mc.group_map(
    ready.images, ready.labels, covariates=age, channels=ready.channel_names, permutations=200
)
print(found)

back = mc.Resampler(frame.parameterization, ready.images.shape[-1])
figure(
    frame.surface,
    back.to_vertices(np.nan_to_num(found.millimetres)),
    title="difference along the normal",
    field_style=FieldStyle("mm", signed=True),
    size=420,
)

# %%
figure(
    frame.surface,
    back.to_vertices(found.significant().astype(float)),
    title="significant, corrected over the whole face",
    field_style=FieldStyle("", (0, 1)),
    size=420,
)
