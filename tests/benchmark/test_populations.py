"""Populations without a split: folds by subject, measures as opponents."""

from dataclasses import replace

import numpy as np
import pytest

from meshconv.benchmark.measured import measured, measured_logistic, scale_free
from meshconv.benchmark.models import model_named
from meshconv.benchmark.populations import is_population, load_population
from meshconv.benchmark.run import Record, run, settings
from meshconv.benchmark.task import Part, Task, UnfitTaskError
from meshconv.benchmark.web_page import write_page
from meshconv.datasets.scan import Population, Scan
from meshconv.errors import ArgumentError, MeshConvWarning
from meshconv.mesh.shapes import icosphere, torus
from meshconv.mesh.surface import Surface


class Eggs(Population):
    """Long eggs and round ones, two of each hen; the third has a handle and cannot be measured."""

    def __len__(self):
        return 40

    def scan(self, k):
        if k == 2:
            return Scan(torus(), 0, "ring", "hen1")
        rng = np.random.default_rng(k)
        ball, label = icosphere(2), (k // 2) % 2
        length = 1 + 0.5 * label + 0.1 * rng.normal()
        return Scan(Surface(ball.vertices * [1, 1, length], ball.faces), label, "", f"hen{k // 2}")


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    eggs = Eggs()
    path = tmp_path_factory.mktemp("eggs") / "m.npz"
    names, values, sound = measured(eggs, path)
    assert sound == [k for k in range(40) if k != 2] and path.exists()
    assert np.array_equal(measured(eggs, path)[1], values)
    labels = np.array([eggs[k].label for k in sound])
    images = np.zeros((39, 1, 5, 5), dtype=np.float32)
    subjects = tuple(eggs[k].subject for k in sound)
    part = Part(images, labels, measures=values, subjects=subjects)
    return Task("eggs", part, part, ("round", "long"), measures=names, folds=3)


def test_each_seed_is_a_split_that_keeps_subjects_whole(task):
    seen = []
    for part, held in task.splits(0):
        assert not set(part.train.subjects) & set(part.test.subjects)
        assert part.folds == 0 and len(part.train.labels) + len(held) == 39
        np.testing.assert_array_equal(part.test.measures, task.test.measures[held])
        seen.append(held)
    assert sorted(np.concatenate(seen)) == list(range(39))
    other = [held for _, held in task.splits(1)]
    assert any(not np.array_equal(a, b) for a, b in zip(seen, other, strict=True))


def test_measures_tell_long_from_round_and_rows_say_how_it_was_trained(task, tmp_path):
    names = ("measures + logistic", "scale-free measures + logistic", "measures + boosted trees")
    record = Record.open(tmp_path / "r.json", settings(n=0, epochs=1))
    run(["eggs"], names, [0], lambda name: task, record, crossed=lambda name: True)
    assert len(record.rows) == 3
    for row in record.rows:
        assert row["n"] == 39 and row["train_accuracy"] > 0.8
        if "trees" not in row["model"]:
            assert row["accuracy"] > 0.9
            assert row["auc_interval"][0] <= row["auc"] <= row["auc_interval"][1]
    write_page(tmp_path / "page.html", record.rows, note="<b>eggs</b>")
    text = (tmp_path / "page.html").read_text()
    assert "&lt;b&gt;eggs" in text and text.count("<tr") == 4 and "best" in text


def test_harmonics_and_scale_free_measures_are_chosen_by_name(task):
    found = measured_logistic(next(task.splits(0))[0], 0, 1, chosen=scale_free)
    assert found.parameters < measured_logistic(task, 0, 1).parameters
    assert model_named("SPHARM energies + logistic")(task, 0, 1).parameters == 2 * 14 + 2
    with pytest.raises(ArgumentError, match="'eggs' has no such measures"):
        measured_logistic(replace(task, measures=()), 0, 1)


def test_a_pooled_network_may_listen_to_measures(task):
    part, _ = next(task.splits(0))
    noise = np.random.default_rng(0).normal(size=(39, 1, 9, 9)).astype(np.float32)
    images = {len(p.labels): noise[: len(p.labels)] for p in (part.train, part.test)}
    part = replace(
        part,
        train=replace(part.train, images=images[len(part.train.labels)]),
        test=replace(part.test, images=images[len(part.test.labels)]),
        aligned=False,
    )
    found = model_named("plain 9, pooled, with measures")(part, 0, 2)
    right = found.probabilities(part.test).argmax(axis=1) == part.test.labels
    assert right.mean() > 0.8 and part.variation == 0.0


def test_populations_are_known_by_name():
    assert is_population("nodules:spiculation") and not is_population("mnist")
    with pytest.raises(ArgumentError, match=r"nodules:hue: there are .*lobulation"):
        load_population("nodules:hue")
    with pytest.raises(ArgumentError, match="no population 'mnist'; there are nodules"):
        load_population("mnist")


def test_a_model_that_a_data_set_cannot_feed_is_left_out_and_the_others_run(task, tmp_path):
    bare = replace(task, measures=())
    record = Record.open(tmp_path / "r.json", settings(n=1, epochs=1))
    models = ["SPHARM energies + logistic", "SINATRA", "PCA 99.9 % + logistic"]
    noise = np.random.default_rng(0).normal(size=(39, 1, 5, 5)).astype(np.float32)
    part = replace(bare.train, images=noise)
    options = {"crossed": lambda name: True, "progress": False}
    bare = replace(bare, train=part, test=part)
    with pytest.warns(MeshConvWarning, match="is left out: task 'eggs' has no") as caught:
        run(["eggs"], models, [0, 1], lambda name: bare, record, **options)
    assert len(caught) == 2  # not once more for each seed
    assert {row["model"] for row in record.rows} == {"PCA 99.9 % + logistic"}


@pytest.mark.parametrize("classes", [2, 5])
def test_a_kernel_machine_of_few_scans_is_not_turned_round(classes):
    """Balanced classes, ten of each: as sure of the right one as its scores are."""
    rng = np.random.default_rng(0)
    labels = np.arange(10 * classes) % classes
    images = rng.normal(size=(10 * classes, classes, 3, 3)).astype(np.float32)
    images[np.arange(len(labels)), labels] += 0.8
    part = Part(images, labels.astype(np.int64))
    machine = model_named("PCA 99.9 % + RBF-SVM")
    found = machine(Task("few", part, part, ("c",) * classes), 0, 1).probabilities(part)
    assert found.shape == (len(labels), classes)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found.argmax(axis=1) == labels).mean() > 0.9


def test_few_scans_have_fewer_inner_folds_and_a_single_one_is_unfit():
    images = np.random.default_rng(0).normal(size=(6, 1, 3, 3)).astype(np.float32)
    for labels in ([0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1]):
        part = Part(images, np.array(labels))
        found = model_named("PCA 99.9 % + logistic")(Task("few", part, part, ("a", "b")), 0, 1)
        assert np.isfinite(found.probabilities(part)).all()
    part = Part(images, np.array([0, 0, 0, 0, 0, 1]))
    for name in ("PCA 99.9 % + logistic", "PCA 99.9 % + RBF-SVM", "pixels chosen by t + logistic"):
        with pytest.raises(UnfitTaskError, match="'few' has a class of 1 scans to learn from"):
            model_named(name)(Task("few", part, part, ("a", "b")), 0, 1)
