"""
Distance along the surface
==========================

Exact polyhedral distances, here from the tip of the nose.
"""

import meshconv as mc
from meshconv.mesh.shapes import face, face_landmarks
from meshconv.viz.picture import FieldStyle, figure

surface = face(3000)
tip = face_landmarks(3000)["nose_tip"]
distance = mc.geodesic_distance(surface, tip)
figure(surface, distance, title="from the tip of the nose", field_style=FieldStyle("mm"), size=420)
