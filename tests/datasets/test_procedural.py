import numpy as np
import pytest

from meshconv.datasets.procedural import ProceduralFaces
from meshconv.errors import ArgumentError


def test_scan_k_is_always_the_same_and_no_two_are_alike():
    faces = ProceduralFaces(4, n_vertices=400, seed=3)
    assert faces[2].surface == ProceduralFaces(9, n_vertices=400, seed=3)[2].surface
    assert faces[-1].surface == faces[3].surface
    names = [scan.name for scan in faces]
    assert len(set(names)) == 4 and [scan.label for scan in faces] == [0, 1, 0, 1]
    assert (
        faces[0].surface.n_vertices > 0
        and faces[0].surface != ProceduralFaces(4, n_vertices=400, seed=4)[0].surface
    )


def test_the_effect_is_exactly_where_the_truth_says():
    options = {"n_vertices": 600, "noise": 0.0, "pose": False, "seed": 1}
    with_effect = ProceduralFaces(2, "chin", 5.0, **options)[1]
    without = ProceduralFaces(2, "chin", 0.0, **options)[1]
    moved = np.linalg.norm(with_effect.surface.vertices - without.surface.vertices, axis=1)
    np.testing.assert_allclose(moved, 5.0 * with_effect.truth, atol=1e-9)
    assert 0.9 < with_effect.truth.max() <= 1 and (with_effect.truth == 0).mean() > 0.8
    assert with_effect.landmarks.shape[1] == 3


def test_mirror_images_are_said_to_be():
    options = {"n_vertices": 400, "noise": 0.0, "pose": False}
    plain, mirrored = (ProceduralFaces(2, mirrored=share, **options)[0] for share in (0.0, 1.0))
    assert not plain.mirrored and mirrored.mirrored
    np.testing.assert_allclose(mirrored.surface.vertices * [-1, 1, 1], plain.surface.vertices)
    normals = mirrored.surface.vertex_normals[:, 2]
    assert (normals > 0).mean() > 0.8  # still seen from outside


def test_impossible_populations_are_refused():
    with pytest.raises(ArgumentError, match="n must be at least 1"):
        ProceduralFaces(0)
    with pytest.raises(ArgumentError, match="effect must be one of"):
        ProceduralFaces(1, "ears")
    with pytest.raises(IndexError):
        ProceduralFaces(2)[2]
