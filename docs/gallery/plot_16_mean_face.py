"""
The mean of a population
========================

`Template.from_population` makes the frame of scans in any pose: their mean surface.
"""

import meshconv as mc
from meshconv.viz.picture import figure

scans = mc.ProceduralFaces(6, amplitude=0.0, n_vertices=1200, seed=6)
frame = mc.Template.from_population([scan.surface for scan in scans])
figure(frame.surface, title="the mean of six", size=420)
