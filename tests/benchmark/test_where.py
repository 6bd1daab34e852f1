"""Where two groups differ: Euler characteristics against closed forms, sites against the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from meshconv.benchmark.models import model_named
from meshconv.benchmark.task import Part, Task
from meshconv.benchmark.where import (
    Sheet,
    cones,
    effects,
    euler_curves,
    evidence_of,
    grid_sheet,
)
from meshconv.errors import ArgumentError
from meshconv.mesh.shapes import bumpy_heightfield, icosphere, torus
from meshconv.registration.template import Template
from meshconv.stats.metrics import roc_auc


def sheet(surface) -> Sheet:
    return Sheet(surface.edges, surface.faces)


def test_the_curve_of_a_sphere_and_of_a_torus():
    """Critical heights: a disk, then closed; a disk, a ring, a torus with a hole, closed."""
    ball, ring = icosphere(3), torus()
    x = np.array([[1.0, 0, 0]])
    curve = euler_curves(ball.vertices, sheet(ball), x, np.array([-2, -0.5, 0.5, 2]))
    assert curve.tolist() == [[0, 1, 1, 2]]
    levels = np.array([-1.0, 0.0, 1.0, 9.0])  # it begins at -1.4, its hole lies within .6
    assert euler_curves(ring.vertices, sheet(ring), x, levels).tolist() == [[1, 0, -1, 0]]


def test_euler_curves_count_vertices_edges_and_faces():
    rng = np.random.default_rng(0)
    square = grid_sheet(6)
    points, directions = rng.normal(size=(36, 3)), rng.normal(size=(5, 3))
    levels = np.linspace(-2, 2, 9)
    found = euler_curves(points, square, directions, levels)
    for d, direction in enumerate(directions):
        below = points @ direction <= levels[:, None]
        counted = [
            b.sum() - b[square.edges].all(axis=1).sum() + b[square.faces].all(axis=1).sum()
            for b in below
        ]
        assert found[d].tolist() == counted


def test_directions_stand_in_their_cones():
    found = cones(4, 0.2).reshape(42, 4, 3)
    np.testing.assert_allclose(np.linalg.norm(found, axis=2), 1)
    along = np.einsum("cd,ckd->ck", found[:, 0], found[:, 1:])
    np.testing.assert_allclose(along, np.cos(0.2))


def test_effects_name_the_feature_that_differs():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 30)), np.arange(80) % 2
    x[:, 7] += 2 * y
    x[:, 3] = 1.0
    found = effects(x, y)
    assert found.argmax() == 7
    assert found[3] == 0
    assert np.isfinite(found).all()
    np.testing.assert_allclose(effects(5 * x + 3, y), found, atol=1e-3)


def sheets(n: int = 60, size: int = 17) -> tuple[Task, np.ndarray]:
    """Bumpy squares; half of them have a hill, at one place."""
    surface = bumpy_heightfield(20)
    template = Template.from_surface(surface)
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.linspace(0, 1, size), np.linspace(0, 1, size)))
    hill = np.exp(-((grid - 0.7) ** 2).sum(axis=0) / 0.02)
    labels = np.arange(n) % 2
    images = 0.02 * rng.normal(size=(n, 6, size, size)).astype(np.float32)
    images[:, 2] += 0.3 * labels[:, None, None] * hill
    images[0, :, :2] = np.nan  # outside its mask
    part = Part(images, labels.astype(np.int64))
    return Task("sheets", part, part, ("flat", "hill"), template=template), hill


@pytest.mark.parametrize(("model", "least"), [("Hotelling T2", 0.99), ("SINATRA", 0.8)])
def test_the_site_is_found(model, least):
    task, hill = sheets()
    found = next(iter(model_named(model)(task, 0, 1).maps.values()))
    assert found.shape == hill.shape
    inside = hill > 0.3
    pairs = found[inside][:, None] - found[~inside]
    assert (pairs > 0).mean() + (pairs == 0).mean() / 2 > least


@pytest.mark.parametrize("seed", range(4))
def test_a_lump_that_half_of_the_balls_have_is_found_without_correspondence(seed):
    """Six lumps that all have, of varying size, and one more: as the authors' simulation."""
    ball, rng = icosphere(3), np.random.default_rng(seed)
    centres = rng.normal(size=(7, 3))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    away = ((ball.vertices[:, None] - centres) ** 2).sum(axis=2)
    lumps = np.exp(-away / (2 * 0.17**2))
    labels = np.arange(40) % 2
    sizes = 0.15 + 0.05 * rng.normal(size=(40, 7))
    sizes[:, 0] = 0.3 * labels * (1 + 0.1 * rng.normal(size=40))
    scans = ball.vertices * (1 + sizes @ lumps.T)[..., None]
    found = evidence_of(scans, sheet(ball), labels)
    assert roc_auc(lumps[:, 0] > 0.3, found) > 0.85


def test_hotelling_is_t_squared_of_one_varying_coordinate():
    task, _ = sheets()
    images = task.train.images.copy()
    images[0] = images[2]
    images[:, :2] *= 1e-9
    one = replace(task, train=replace(task.train, images=images))
    found = model_named("Hotelling T2")(one, 0, 1).maps["Hotelling T2"]
    a, b = (images[task.train.labels == k, 2].astype(float) for k in (0, 1))
    pooled = (a.var(axis=0, ddof=1) + b.var(axis=0, ddof=1)) / 2
    t = np.abs(a.mean(axis=0) - b.mean(axis=0)) / np.sqrt(pooled * (1 / len(a) + 1 / len(b)))
    np.testing.assert_allclose(found, t, rtol=1e-2, atol=2e-2)


@pytest.mark.parametrize("model", ["Hotelling T2", "SINATRA"])
def test_what_has_no_places_or_more_groups_is_refused(model):
    task, _ = sheets(6)
    with pytest.raises(ArgumentError, match="no places in a frame"):
        model_named(model)(replace(task, channels=("thickness",)), 0, 1)
    with pytest.raises(ArgumentError, match="two groups"):
        model_named(model)(replace(task, classes=("a", "b", "c")), 0, 1)
