"""
An image, magnified where it matters
====================================

The density-equalizing map of a square, as a layer: what a DECNN does to its input.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import meshconv as mc

v, u = np.mgrid[0:1:129j, 0:1:129j]
image = (np.sin(40 * u) * np.sin(40 * v) > 0).astype(np.float32)
density = (1 + 8 * np.exp(-((u - 0.35) ** 2 + (v - 0.6) ** 2) / 0.01)).astype(np.float32)
warped = mc.warp(torch.from_numpy(image)[None, None], torch.from_numpy(density)[None, None])

fig, axes = plt.subplots(1, 3, figsize=(9, 3.2))
for axis, picture, title in zip(
    axes, (image, density, warped[0, 0]), ("image", "density", "equalized"), strict=True
):
    axis.imshow(picture, origin="lower", cmap="bone")
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()
