"""
A smaller object, one scale further on
======================================

Scale-equivariant convolution: shrink the object, and the answer moves to the next scale instead of
changing. Beside it what an ordinary convolution makes of the same shrinking.
"""

import matplotlib.pyplot as plt
import torch

import meshconv as mc

torch.manual_seed(0)
layer = mc.ScaleEquivariantConv(1, 1, 7, dims=2, n_scales=4)
error = float(layer.equivariance_error())
print(f"equivariance error {error:.1e}")

v, u = torch.meshgrid(torch.linspace(-1, 1, 65), torch.linspace(-1, 1, 65), indexing="ij")
fig, axes = plt.subplots(2, 4, figsize=(9, 4.8))
for line, radius in zip(axes, (0.5, 0.45), strict=True):
    ring = torch.exp(-(((u**2 + v**2).sqrt() - radius) ** 2) / (0.16 * radius**2))
    with torch.no_grad():
        answer = layer(ring[None, None])[0, 0]
    for k, axis in enumerate(line):
        axis.imshow(answer[k], origin="lower", cmap="bone")
        axis.set_title(f"radius {radius}, scale {k}", fontsize=8)
        axis.set_axis_off()
