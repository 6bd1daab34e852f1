"""
Fine where there are edges
==========================

Content-adaptive downsampling keeps pixels where the image has edges and pools the rest; the cost is
chosen, and met.
"""

import matplotlib.pyplot as plt
import torch

from meshconv.nn import levels_from_edges, node_fraction

v, u = torch.meshgrid(torch.linspace(-1, 1, 96), torch.linspace(-1, 1, 96), indexing="ij")
image = ((u - 0.2) ** 2 + (v + 0.1) ** 2 < 0.25).float()[None, None]
image += 0.5 * ((u + 0.6).abs() + (v - 0.6).abs() < 0.25).float()
levels = levels_from_edges(image, 3)
print(f"nodes kept: {float(node_fraction(levels).mean()):.2f} of the pixels")
fig, axes = plt.subplots(1, 2, figsize=(6.4, 3.2))
for axis, picture, title in zip(
    axes, (image, levels), ("image", "level: times halved"), strict=True
):
    axis.imshow(picture[0, 0], origin="lower", cmap="bone")
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()
