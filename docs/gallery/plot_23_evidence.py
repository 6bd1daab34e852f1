"""
Differences that are no mean
============================

In this population the groups have the same mean: the site is either in or out, at random, in one of
them. A t-map is blind to that; `find_evidence` also looks for spread, texture and pairs of places.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter

import meshconv as mc

rng = np.random.default_rng(0)
rows, columns = np.mgrid[:49, :49]
site = np.exp(-((rows - 32) ** 2 + (columns - 18) ** 2) / 30)
labels = np.arange(120) % 2
images = 3 * gaussian_filter(rng.normal(size=(120, 49, 49)), (0, 2, 2))
images += (labels * rng.choice([-1.5, 1.5], 120))[:, None, None] * site
found = mc.find_evidence(images[:, None], labels)
print(found)

mean = images[labels == 1].mean(axis=0) - images[labels == 0].mean(axis=0)
fig, axes = plt.subplots(1, 3, figsize=(9, 3.2))
for axis, picture, title in zip(
    axes, (site, mean, found.map), ("true site", "difference of means", "evidence"), strict=True
):
    axis.imshow(picture, origin="lower", cmap="magma")
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()
