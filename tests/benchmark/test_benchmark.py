import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

import meshconv as mc
from meshconv.benchmark.effects import effect_site
from meshconv.benchmark.models import DETERMINISTIC, OTHERS, averaged, model_named
from meshconv.benchmark.opponents import ResNet, SaliencySampler
from meshconv.benchmark.page import (
    as_text,
    load_maps,
    means,
    over_populations,
    saliency_page,
    save_maps,
    table,
)
from meshconv.benchmark.run import Record, run, settings
from meshconv.benchmark.task import Part, Task, mass_in_boxes, shuffled
from meshconv.benchmark.tasks import load_task
from meshconv.datasets.morphable import face_model
from meshconv.datasets.procedural import ProceduralFaces
from meshconv.errors import ArgumentError, ArrayTypeError, CheckpointError
from meshconv.mesh.shapes import face

N = 33


@pytest.fixture(scope="module")
def template():
    return mc.Template.from_surface(face(600))


def _part(n, seed, amplitude=2.5):
    """Two groups that differ in one corner of the frame."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    images = rng.normal(size=(n, 1, N, N)).astype(np.float32)
    images[:, :, :2] = np.nan  # outside the mask
    images[:, :, 20:26, 8:14] += np.float32(amplitude) * labels[:, None, None, None].astype(
        np.float32
    )
    return Part(images, labels)


def _task(template, name="corner"):
    field = np.zeros((N, N))
    field[20:26, 8:14] = 1.0
    task = Task(name, _part(80, 0), _part(60, 1), ("a", "b"), template=template)
    return Task(
        name, task.train, task.test, task.classes, template=template, truth=task.on_template(field)
    )


def test_every_model_finds_what_is_there_or_is_at_chance_where_nothing_is(template):
    task = _task(template)
    nothing = shuffled(task)
    assert sorted(nothing.train.labels) == sorted(task.train.labels)
    assert nothing.train.scans is task.train.scans
    for name in ("DECNN 33", "plain 33", "PCA 99.9 % + logistic", "pixels chosen by t + logistic"):
        found = model_named(name)(task, 0, 6)
        assert (found.probabilities(task.test).argmax(axis=1) == task.test.labels).mean() > 0.9
        chance = model_named(name)(nothing, 0, 6)
        assert (
            abs((chance.probabilities(task.test).argmax(axis=1) == task.test.labels).mean() - 0.5)
            < 0.25
        )


def test_a_tuned_network_learns_as_long_as_held_out_scans_say(template):
    task = _task(template)
    found = model_named("plain 17/4, tuned")(task, 0, 2)
    assert found.epochs in (2, 8)
    assert (found.probabilities(task.test).argmax(axis=1) == task.test.labels).mean() > 0.8
    assert model_named("plain 17/4, 4 x longer")(task, 0, 1).epochs == 4
    with pytest.raises(ArgumentError, match="kinds:EFFECT:MM"):
        load_task("kinds:smile:4")
    with pytest.raises(ArgumentError, match="found kinds:sign:4:5:nearly"):
        load_task("kinds:sign:4:5:nearly")


def test_versions_of_decnn_differ_in_what_they_do_with_the_density(template):
    task = _task(template)
    names = ("density alone", "no warm start", "learned for 10 epochs", "learned to the end")
    started, cold, early, late = (
        model_named(f"DECNN 33, {name}")(task, 0, 12).maps["density"] for name in names
    )
    assert task.judge(started).auc > task.judge(cold).auc
    assert min(abs(early - started).max(), abs(late - started).max()) > 1e-3
    assert abs(early - late).max() > 1e-6


def test_maps_of_the_population_lie_on_the_truth(template):
    task = _task(template)
    for name, method in (("DECNN 33", "density"), ("t-map", "t-map"), ("plain 33", "gradient")):
        found = task.judge(model_named(name)(task, 0, 4).maps[method])
        assert found.auc > 0.8, (name, found)
    assert task.judge(np.ones((N, N))).auc == pytest.approx(0.5, abs=1e-9)  # says nothing


def test_averages_are_over_the_area_around_each_node():
    x = torch.zeros(1, 2, 9, 9)
    x[0, 0], x[0, 1] = 3.0, torch.linspace(-1, 1, 9)
    small = averaged(x, 2)
    assert small.shape == (1, 2, 5, 5)
    torch.testing.assert_close(small[0, 0], torch.full((5, 5), 3.0))
    torch.testing.assert_close(small[0, 1, :, 1:4], torch.linspace(-0.5, 0.5, 3).expand(5, 3))
    x[..., 1::2, 1::2] = 50.0  # between the nodes: seen too
    assert float((averaged(x, 2) - small)[0, 0].min()) > 1.0 and averaged(x, 1) is x


def test_networks_take_averages_of_any_image():
    seen = []

    def build(channels, classes, size):
        seen.append((channels, classes, size))
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(channels * size**2, classes))

    from meshconv.benchmark.models import network

    fitted = network(build, Task("t", _part(40, 0), _part(10, 1), ("a", "b")), 0, 3, size=17)
    assert seen == [(1, 2, 17)] and fitted.probabilities(_part(4, 2)).shape == (4, 2)


@pytest.mark.parametrize("build", [ResNet, SaliencySampler])
def test_opponents_learn_from_every_weight(build):
    torch.manual_seed(0)
    model = build(2, 3, N)
    torch.nn.functional.cross_entropy(
        model(torch.randn(6, 2, N, N)), torch.arange(6) % 3
    ).backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.parameters())


@pytest.mark.parametrize("name", ["points of the mesh", "edges of the mesh"])
def test_networks_on_meshes_learn_from_the_scans_themselves_whatever_their_pose(name):
    def part(n, seed):
        def scans():
            return ProceduralFaces(n, seed=seed, n_vertices=700, amplitude=20.0)

        labels = np.array([scan.label for scan in scans()])
        return Part(np.zeros((n, 1, 3, 3), dtype=np.float32), labels, scans=scans)

    task = Task("t", part(24, 0), part(12, 1), ("without", "with"))
    found = model_named(name)(task, 0, 6).probabilities(task.test)
    assert (found.argmax(axis=1) == task.test.labels).mean() > 0.8
    first, second = (model_named(name)(task, 0, 1).probabilities(task.test) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    with pytest.raises(ArgumentError, match="has images only"):
        model_named(name)(Task("t", _part(4, 0), _part(4, 0), ("a", "b")), 0, 1)
    with pytest.raises(ArgumentError, match="24 scans, but 23 labels"):
        model_named(name)(
            replace(task, train=replace(task.train.take(np.arange(23)), scans=task.train.scans)),
            0,
            1,
        )


def test_resnet_18_has_the_published_size():
    assert sum(p.numel() for p in ResNet(3, 1000).parameters()) == 11_689_512


def test_saliency_sampler_is_the_identity_but_where_something_stands_out():
    model = SaliencySampler(1, 2, N).eval()
    caught = []
    model.classifier = torch.nn.Sequential(
        _Catch(caught), torch.nn.Flatten(), torch.nn.LazyLinear(2)
    )
    for parameter in model.attention.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.zeros(1, 1, N, N)
    model(x)
    torch.testing.assert_close(caught[0][0, 1:, 16, 16], torch.zeros(2), atol=1e-5, rtol=0)
    middle = caught[0][0, 1, 16]
    assert float((middle - torch.linspace(-1, 1, N)).abs().max()) < 0.02
    model._coarse = lambda x: (
        torch.nn.functional.one_hot(torch.tensor(4 * 17 + 12), 289).reshape(1, 1, 17, 17).float()
    )
    model(x)
    spot = torch.tensor([2 * 12 / 16 - 1, 2 * 4 / 16 - 1])
    drawn = (caught[1][0, 1:] - spot[:, None, None]).norm(dim=0).mean()
    assert float(drawn) < float((caught[0][0, 1:] - spot[:, None, None]).norm(dim=0).mean()) / 2


class _Catch(torch.nn.Module):
    def __init__(self, kept):
        super().__init__()
        self.kept = kept

    def forward(self, x):
        self.kept.append(x.detach())
        return x


def test_a_run_that_was_broken_off_goes_on_and_gives_the_same_rows(template, tmp_path):
    tasks = {name: _task(template, name) for name in ("one", "two")}
    calls = []

    def stop(task, model, seed, fitted):
        calls.append((task.name, model, seed))
        if len(calls) == 3:
            raise KeyboardInterrupt

    models, options = ("PCA 99.9 % + logistic", "plain 33"), settings(n=80, epochs=2)
    path = tmp_path / "b.json"
    with pytest.raises(KeyboardInterrupt):
        run(
            ("one", "two"),
            models,
            range(2),
            tasks.get,
            Record.open(path, options),
            epochs=2,
            on_cell=stop,
        )
    run(
        ("one", "two"),
        models,
        range(2),
        tasks.get,
        Record.open(path, options),
        epochs=2,
        on_cell=stop,
    )
    assert calls == [
        (t, m, s)
        for t in tasks
        for m in models
        for s in ((None,) if m in DETERMINISTIC else (0, 1))
    ]
    whole = run(
        ("one", "two"),
        models,
        range(2),
        tasks.get,
        Record.open(tmp_path / "w.json", options),
        epochs=2,
    )
    kept = json.loads(path.read_text())["rows"]
    for row, other in zip(kept, whole.rows, strict=True):
        for key in ("task", "model", "seed", "accuracy", "auc", "saliency", "parameters"):
            assert row[key] == other[key]
    with pytest.raises(CheckpointError, match=r"made with .*'epochs': 2.*asked for .*'epochs': 3"):
        Record.open(path, settings(n=80, epochs=3))


def test_table_and_means_are_over_seeds():
    rows = [
        {
            "task": "t",
            "model": "m",
            "seed": s,
            "accuracy": a,
            "auc": a,
            "saliency": {"density": {"auc": 0.5 + a / 4}},
            "parameters": 7,
        }
        for s, a in enumerate((0.8, 0.6))
    ]
    head, line = table(rows)
    assert dict(zip(head, line, strict=True)) == {
        "data set": "t",
        "model": "m",
        "seeds": "2",
        "accuracy": "0.700 (0.600 to 0.800)",  # the range of two seeds
        "AUC": "0.700",
        "site found": "density 0.675",
        "parameters": "7",
        "CPU s/epoch": "-",
    }
    assert means(rows, ["m"], ["t"])["m"] == pytest.approx(0.3)
    assert np.isnan(means(rows, ["m"], ["t", "u"])["m"])
    assert as_text([["a", "bb"], ["ccc", "d"]]) == "a    bb\nccc  d"


def test_seeds_of_faces_are_populations_of_one_effect():
    rows = [{"task": task} for task in ("kinds:sign:4:1", "kinds:sign:4:2", "faces:x:4:variants")]
    named = [row["task"] for row in over_populations(rows)]
    assert named == ["kinds:sign:4", "kinds:sign:4", "faces:x:4:variants"]


def test_mass_in_boxes_is_the_area_for_an_even_density():
    boxes = np.array([[0, 0, 5, 10], [2, 3, 4, 8]])
    mass, share = mass_in_boxes(np.ones((2, 10, 10)), boxes)
    assert mass == pytest.approx(share) == pytest.approx((0.5 + 0.1) / 2)
    density = np.full((1, 4, 4), 1e-9)
    density[0, 1, 2] = 1.0
    assert mass_in_boxes(density, np.array([[1, 2, 2, 3]]))[0] == pytest.approx(1.0)


def test_maps_are_kept_on_the_surface_and_drawn(template, tmp_path):
    task = _task(template, "faces:x:4")
    save_maps(tmp_path, task, "DECNN 33", {"density": np.linspace(0, 1, N * N).reshape(N, N)})
    kept = load_maps(tmp_path, "faces:x:4", "DECNN 33")["density"]
    assert (
        kept.shape == (template.surface.n_vertices,)
        and load_maps(tmp_path, "other", "DECNN 33") == {}
    )
    fig = saliency_page(
        [("x", template.surface, [("truth", task.truth), ("density", kept)])], size=60
    )
    assert [axis.get_title() for axis in fig.axes] == ["truth", "density"]


@pytest.mark.data
def test_data_sets_by_name(tmp_path):
    task = load_task("faces:cleft_like_L:4:variants", n=4, cache=tmp_path)
    assert len(task.train.labels) == 4 and set(task.variants) == {
        "mirrored, and said so",
        "4 x denser",
        "half as dense",
    }
    assert task.truth.max() == 1.0 and len(task.train.scans()) == 4
    assert load_task("faces:cleft_like_L:4:shuffled", n=4, cache=tmp_path).name.endswith("shuffled")
    assert load_task("pneumonia").validation is not None
    platelets = load_task("platelets")
    assert platelets.train.boxes is not None and not platelets.aligned
    assert load_task("cells").classes == ("RBC", "WBC", "Platelets")


@pytest.mark.data
@pytest.mark.slow
def test_kinds_lie_in_a_frame_of_faces_that_are_learned_from(tmp_path):
    task = load_task("kinds:sign:4:5", n=8, cache=tmp_path)
    assert (len(task.train.labels), len(task.test.labels)) == (8, 4)
    again = load_task("kinds:sign:4:5", n=8, cache=tmp_path)
    np.testing.assert_array_equal(again.train.images, task.train.images)
    # the other way round: the frame's own vertices, brought onto the mean face
    model = face_model()
    fit = mc.fit_template(task.template.surface, mc.Template.from_surface(model.mean))
    there = fit.pose.points(fit.upright.vertices)
    nearest = cKDTree(model.mean.vertices).query(there)[1]
    assert np.corrcoef(effect_site(model, "sign")[nearest], task.truth)[0, 1] > 0.9
    perfect = load_task("kinds:sign:4:5:perfect", n=8, cache=tmp_path)
    np.testing.assert_array_equal(perfect.train.labels, task.train.labels)
    np.testing.assert_allclose(perfect.truth, effect_site(model, "sign"), atol=0.1)


@pytest.mark.parametrize(
    ("name", "words"), [("cats", "no data set 'cats'; there are faces"), ("faces:x", "EFFECT:MM")]
)
def test_unknown_data_sets_are_named(name, words):
    with pytest.raises(ArgumentError, match=words):
        load_task(name)


def test_wrong_shapes_and_unknown_models():
    with pytest.raises(ArrayTypeError, match=r"labels \(n,\) needed"):
        Part(np.zeros((2, 1, 3, 3), dtype=np.float32), np.zeros(3, dtype=np.int64))
    with pytest.raises(ArgumentError, match="needs the template"):
        Task("t", _part(4, 0), _part(4, 0), ("a", "b"), truth=np.zeros(3))
    for name in ("best", "DECNN 33, points", "plain 33, no warm start", "plain x"):
        with pytest.raises(ArgumentError, match=f"no model '{name}'; there are DECNN N"):
            model_named(name)
    assert set(DETERMINISTIC) <= set(OTHERS)
