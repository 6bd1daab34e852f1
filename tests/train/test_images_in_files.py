"""A population whose images lie in files learns and predicts as one in memory, and needs less."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import meshconv as mc
from meshconv.datasets.procedural import ProceduralFaces
from meshconv.mesh.shapes import face
from meshconv.resample.image_stack import ImageStack
from meshconv.stats.evidence import find_evidence
from meshconv.stats.group_statistic import group_statistic
from meshconv.train import prepare as module
from meshconv.train.config import PrepareConfig, Settings
from meshconv.train.dataset import Standardizer
from meshconv.train.fit import fit
from meshconv.train.fitted import predict
from meshconv.train.prepare import prepare
from meshconv.train.prepared import Prepared


def _images(n: int, size: int) -> np.ndarray:
    images = np.random.default_rng(0).normal(size=(n, 2, size, size)).astype(np.float32)
    images[1::2, :, 3:7, 3:7] += 1.5
    images[:, :, 0] = np.nan
    return images


def _mapped(images: np.ndarray, folder: Path) -> np.memmap:
    np.save(folder / "images.npy", images)
    found = np.load(folder / "images.npy", mmap_mode="r")
    assert isinstance(found, np.memmap)
    return found


def _prepared(images: Any) -> Prepared:
    n = len(images)
    names = tuple(f"s{k // 2}" for k in range(n))
    return Prepared(images, ("a", "b"), names, names, np.arange(n) % 2, np.arange(n))


def _peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    work()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def test_learning_from_files_is_learning_from_memory_bit_for_bit(tmp_path: Path) -> None:
    images = _images(24, 17)
    inside, outside = _prepared(images), _prepared(_mapped(images, tmp_path))
    assert isinstance(outside.images, ImageStack)
    options = {"network_size": 9, "epochs": 4, "density_epochs": 2, "verdict": 2, "patience": 3}
    settings = Settings.of(options)
    one, other = (fit(part, part.labels, settings) for part in (inside, outside))
    for name, value in one.network.state_dict().items():
        assert torch.equal(value, other.network.state_dict()[name]), name
    assert one.quality is not None and other.quality is not None
    assert one.quality.as_dict() == other.quality.as_dict()
    rows = [5, 2, 2, 20]
    expected = predict(one, inside.take(rows))
    np.testing.assert_array_equal(predict(other, outside.take(rows)), expected)
    assert isinstance(outside.take(rows).images, ImageStack)
    np.testing.assert_array_equal(outside[3].channels, inside[3].channels)


def test_a_memory_map_is_an_array_to_the_classifier(tmp_path: Path) -> None:
    images = np.nan_to_num(_images(20, 9))
    labels = np.array(["a", "b"] * 10)
    made = [
        mc.SurfaceClassifier(network_size=9, epochs=2, verdict=0).fit(given, labels)
        for given in (images, _mapped(images, tmp_path))
    ]
    first, second = (model.predict_proba(images) for model in made)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(made[1].predict_proba(_mapped(images, tmp_path)), first)
    images[7, 0, 2, 2] = np.nan
    with pytest.raises(ValueError, match="image 7"):
        made[0].fit(_mapped(images, tmp_path), labels)


def test_statistics_of_files_need_a_fraction_of_the_images(tmp_path: Path) -> None:
    images, labels = _images(400, 65), np.arange(400) % 2
    stack = _prepared(_mapped(images, tmp_path)).images
    find_evidence(stack.take(np.arange(40)), labels[:40], permutations=20)  # what it imports
    standardizer = Standardizer.fit(images)
    np.testing.assert_array_equal(Standardizer.fit(stack).mean, standardizer.mean)
    for share, work in (
        (0.5, lambda: Standardizer.fit(stack)),
        (0.1, lambda: standardizer.of(stack)[np.arange(9)]),
        (0.3, lambda: group_statistic(stack, labels)),
        (1.0, lambda: find_evidence(stack, labels, permutations=20)),
    ):
        assert _peak(work) < share * images.nbytes, share


def test_images_of_many_stay_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces, template = ProceduralFaces(4, n_vertices=400), mc.Template.from_surface(face(500))
    how: dict[str, Any] = {"config": PrepareConfig(size=17), "cache": tmp_path / "cache"}
    inside = prepare(faces, template, **how)
    monkeypatch.setattr(module, "_IN_MEMORY", 1 << 10)
    outside = prepare(faces, template, **how)
    assert isinstance(outside.images, ImageStack) and isinstance(inside.images, np.ndarray)
    np.testing.assert_array_equal(np.asarray(outside.images), inside.images)
    assert outside.labels.tolist() == inside.labels.tolist()
    bare = prepare(faces, template, config=how["config"])  # nowhere to stay
    np.testing.assert_array_equal(bare.images, inside.images)


@pytest.mark.parametrize("scans_each", [1, 2])
def test_group_maps_of_files_are_those_of_memory(tmp_path: Path, scans_each: int) -> None:
    images = _images(24, 9)
    subjects = [f"s{k // 2 // scans_each * 2 + k % 2}" for k in range(24)]
    one, other = (
        mc.group_map(given, np.arange(24) % 2, subjects=subjects, permutations=19)
        for given in (images, _prepared(_mapped(images, tmp_path)).images)
    )
    np.testing.assert_array_equal(one.p, other.p)
    np.testing.assert_array_equal(one.difference, other.difference)
