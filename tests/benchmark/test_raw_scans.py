"""Published networks on raw scans: what they learn, on which scans, and in which pose."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from meshconv.benchmark import raw_recipes, raw_scans
from meshconv.benchmark.models import model_named
from meshconv.benchmark.run import cell
from meshconv.benchmark.task import Part, Task
from meshconv.datasets.scan import Population, Scan
from meshconv.errors import ArgumentError
from meshconv.mesh.shapes import icosphere
from meshconv.mesh.surface import Surface


class Lumps(Population):
    """Balls and cigars, each a little its own."""

    def __init__(self, n: int = 24) -> None:
        self.labels = np.arange(n) % 2
        self.n = n

    def __len__(self) -> int:
        return self.n

    def scan(self, k: int) -> Scan:
        """Return lump k."""
        ball = icosphere(1)
        stretch = [1.0, 1.0, 1.0 + 0.1 * np.sin(k) + 1.5 * self.labels[k]]
        surface = Surface(ball.vertices * stretch, ball.faces)
        return Scan(surface, int(self.labels[k]), f"lump {k}", "")


def task() -> Task:
    lumps = Lumps()
    images = np.zeros((len(lumps), 1, 5, 5), dtype=np.float32)
    part = Part(images, lumps.labels.astype(np.int64), scans=partial(Lumps, len(lumps)))
    rows = np.arange(16)
    return Task("lumps", part.take(rows), part.take(np.arange(16, 24)), ("ball", "cigar"))


@pytest.mark.parametrize(
    ("name", "epochs"),
    [
        ("DiffusionNet, places", 4),
        ("DiffusionNet, heat", 12),
        pytest.param("PointNet++", 80, marks=pytest.mark.slow),
        pytest.param("DGCNN", 80, marks=pytest.mark.slow),
    ],
)
def test_it_learns_in_any_pose_and_says_how_it_went(name, epochs, monkeypatch):
    monkeypatch.setattr(raw_recipes, "POINTS", 64)
    row, fitted = cell(task(), f"{name}, posed", 0, epochs)
    assert row["accuracy"] >= 0.875
    assert row["last_train_accuracy"] >= 0.9
    assert 1 <= row["chosen_epoch"] <= row["epochs_run"][0] <= epochs
    assert fitted.seconds > 0


def test_the_same_seed_gives_the_same_network(monkeypatch):
    monkeypatch.setattr(raw_recipes, "POINTS", 64)
    model, one = model_named("PointNet++"), task()
    first, second, other = (model(one, seed, 2).probabilities(one.test) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, other)


def test_a_scan_is_turned_the_same_way_every_time_but_in_training():
    scan = (torch.rand(20, 3), "mesh")
    once, again = raw_scans._turned(scan), raw_scans._turned(scan)
    assert torch.equal(once[0], again[0])
    assert once[1] == "mesh"
    torch.testing.assert_close(torch.cdist(once[0], once[0]), torch.cdist(scan[0], scan[0]))
    assert not torch.allclose(once[0], scan[0])
    turned = raw_scans._turned(scan, torch.tensor(3))[0]
    assert not torch.allclose(turned, once[0])
    heat = (torch.rand(20, 16), "mesh")
    assert raw_scans._turned(heat)[0] is heat[0]  # says nothing of places


def test_points_lie_on_the_surface_evenly_and_meshes_are_thinned():
    ball = Surface(3 + 5 * icosphere(4).vertices, icosphere(4).faces)
    (points,) = raw_recipes.RECIPES["DGCNN"].prepare(ball)
    radius = points.norm(dim=1)
    assert float(radius.max()) == pytest.approx(1, rel=1e-5)
    assert float(radius.min()) > 0.9
    assert float(points.mean(dim=0).abs().max()) < 1e-6
    places, mesh = raw_recipes.RECIPES["DiffusionNet, places"].prepare(ball)
    assert 600 < len(places) == len(mesh.mass) <= raw_recipes.MOST_VERTICES


def test_images_alone_are_refused():
    one = task()
    bare = Part(one.train.images, one.train.labels)
    with pytest.raises(ArgumentError, match="has images only"):
        model_named("DGCNN")(Task("bare", bare, bare, one.classes), 0, 1)
