"""A scan that is said to be a mirror image is explained as what it is of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from meshconv import ProceduralFaces, SurfaceClassifier, Template
from meshconv.mesh.shapes import face


def test_a_mirrored_scan_is_explained_as_the_scan_itself() -> None:
    scans = [*ProceduralFaces(4, "cheek_left", 8.0, n_vertices=400, seed=3)]
    model = SurfaceClassifier(
        template=Template.from_surface(face(500)), size=33, network_size=17, epochs=1
    ).fit(scans)
    one = scans[1]
    said = replace(one, surface=one.surface.mirrored(), mirrored=True)
    straight, back = model.explain(one), model.explain(said)
    for name in ("difference_x", "normal_x"):  # what a mirror turns round
        gap = np.abs(straight.image[name] - back.image[name])
        assert np.nanmedian(gap) < 1e-3 * np.nanmax(np.abs(straight.image[name]))
    assert np.isclose(back.probabilities[1], straight.probabilities[1], atol=1e-2)
    assert np.median(np.abs(back.saliency - straight.saliency)) < 1e-2
