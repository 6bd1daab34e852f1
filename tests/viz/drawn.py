"""One explained face, with a truth that is known, and what counts as coloured."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from scipy.spatial.transform import Rotation

from meshconv import Parameterization, Surface
from meshconv.mesh.shapes import face, face_coordinates, face_effect
from meshconv.resample.grid import grid_nodes
from meshconv.resample.resampler import Resampler

N = 900


def explained_face(
    effect: str = "cheek_left", *, seed: int = 1, pose: bool = True, **others: object
) -> SimpleNamespace:
    """An explanation as the estimator makes them; the saliency is the true place of the effect."""
    made = face(N, identity=seed, triangulation=seed)
    points = made.vertices
    if pose:
        points = points @ Rotation.random(random_state=seed).as_matrix().T + [300.0, -40.0, 7.0]
    surface = Surface(points, made.faces)
    flat = Parameterization(surface, face_coordinates(N, triangulation=seed), "disk")
    saliency = face_effect(effect, N, triangulation=seed)
    values = {
        "name": f"face {seed}",
        "label": 1,
        "probabilities": {0: 0.2, 1: 0.8},
        "saliency": saliency,
        "surface": surface,
        "parameterization": flat,
        "image": Resampler(flat, 33).to_image({"saliency": saliency}),
        "sampling_grid": grid_nodes(17),
    }
    return SimpleNamespace(**(values | others))


def coloured(image: np.ndarray) -> np.ndarray:
    """Pixels with a strong colour of the scale (reds and oranges), as opposed to white, grey and
    neutral.
    """
    rgb = image[..., :3].astype(int)
    return (rgb[..., 0] - rgb[..., 2]) > 60
