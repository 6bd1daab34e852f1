"""
One scan beside a norm
======================

Which places of this one face are unusual, given thirty others?
"""

import numpy as np

import meshconv as mc
from meshconv.mesh.shapes import face
from meshconv.train.config import PrepareConfig
from meshconv.train.prepare import prepare
from meshconv.viz.picture import FieldStyle, figure

frame = mc.Template.from_surface(face(1500))
how = {"config": PrepareConfig(size=65), "progress": False}
norm = prepare(mc.ProceduralFaces(30, amplitude=0.0, n_vertices=400, seed=7), frame, **how)
patient = mc.ProceduralFaces(2, "brow_left", 6.0, n_vertices=900, seed=8)[1]
model = mc.NormativeModel.fit(norm.images, channels=norm.channel_names)
score = model.score(prepare([patient], frame, **how).images[0])
print(score)

back = mc.Resampler(frame.parameterization, 65)
figure(
    frame.surface,
    back.to_vertices(np.nan_to_num(score.z)),
    title="standard deviations from what is expected",
    field_style=FieldStyle("z", (-5, 5), signed=True),
    size=420,
)
