"""
A surface as an image
=====================

In the frame a field on the surface becomes channels of a square image, with a mask. The same two
sparse matrices lead back.
"""

import numpy as np

import meshconv as mc
from meshconv.mesh.shapes import face
from meshconv.viz.image_picture import image_figure

flat = mc.conformal_map(face(4000, identity=2))
resampler = mc.Resampler(flat, size=129)
fields = mc.channels(flat.surface, flat, names=["x", "y", "z", "mean_curvature", "shape_index"])
image = resampler.to_image(fields)
image_figure(image, title="five channels of one face")

# %%
back = resampler.to_vertices(image["mean_curvature"])
error = np.median(abs(back - fields["mean_curvature"]))
print(f"there and back: median difference {error:.2e} per mm")
