"""
Where the windows land
======================

A convolution whose windows may move. The landing map says how many windows each pixel feeds; here a
user has drawn a box and asked for more of them there.
"""

import matplotlib.pyplot as plt
import torch

import meshconv as mc
from meshconv.nn import edit_offsets, record_landings

torch.manual_seed(0)
layer = mc.DynamicStrideConv2d(1, 8, 3, stride=2, padding=1)
image = torch.randn(1, 1, 64, 64)
wanted = torch.zeros(1, 1, 64, 64)
wanted[..., 12:30, 36:56] = 1
model = torch.nn.Sequential(layer)


def landed():
    with torch.no_grad(), record_landings(model) as records:
        model(image)
    return mc.landing_map(records, (64, 64), relative=True)[0, 0]


before = landed()
edit_offsets(model, image, wanted, steps=60)
fig, axes = plt.subplots(1, 3, figsize=(9, 3.2))
for axis, picture, title in zip(
    axes, (wanted[0, 0], before, landed()), ("asked for", "before", "after"), strict=True
):
    axis.imshow(picture, origin="lower", cmap="magma", vmin=0, vmax=6 if title == "after" else 1)
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()
