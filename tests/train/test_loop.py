import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn

from meshconv.errors import ArgumentError, ArrayTypeError, CheckpointError, SolverError
from meshconv.nn.decnn import DECNN
from meshconv.train.checkpoint import read_checkpoint
from meshconv.train.config import TrainConfig
from meshconv.train.loop import predict_logits, train

SIZE = 9


def _data(n=24, seed=0):
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(n, 2, SIZE, SIZE, generator=rng)
    labels = torch.arange(n) % 2
    images[labels == 1, 0, 2:5, 2:5] += 1.5
    return images, labels


def _model(seed=0, classes=2):
    return DECNN(2, classes, size=SIZE, network_size=5, width=4, dropout=0.3, seed=seed)


def _bits(model):
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


CONFIG = TrainConfig(epochs=6, batch_size=10, noise=0.3, density_epochs=3)  # fixed halfway


class _StopError(Exception):
    pass


@pytest.mark.parametrize("stop_after", [1, 4])
def test_resumed_run_equals_the_unbroken_one_bit_for_bit(tmp_path, stop_after):
    images, labels = _data()
    whole = _model()
    unbroken = train(whole, images, labels, config=CONFIG)

    def stop(progress):
        if progress.epoch == stop_after:
            raise _StopError

    with pytest.raises(_StopError):
        train(_model(), images, labels, config=CONFIG, checkpoint=tmp_path / "c", on_epoch=stop)
    torch.rand(17)  # the world has moved on
    resumed = _model(seed=5)
    progress = train(resumed, images, labels, config=CONFIG, checkpoint=tmp_path / "c")
    assert progress.losses == unbroken.losses
    assert _bits(resumed) == _bits(whole)


@pytest.mark.parametrize("stop_after", [1, 4])
def test_the_same_object_goes_on_where_it_was_broken_off(tmp_path, stop_after):
    images, labels = _data()
    whole, model = _model(), _model()
    train(whole, images, labels, config=CONFIG)

    def stop(progress):
        if progress.epoch == stop_after:
            raise _StopError

    with pytest.raises(_StopError):
        train(model, images, labels, config=CONFIG, checkpoint=tmp_path / "c", on_epoch=stop)
    train(model, images, labels, config=CONFIG, checkpoint=tmp_path / "c")
    assert _bits(model) == _bits(whole)


def test_another_seed_is_another_run():
    images, labels = _data()
    models = [_model(), _model()]
    for seed, model in enumerate(models):
        train(model, images, labels, config=TrainConfig(epochs=2, seed=seed))
    assert _bits(models[0]) != _bits(models[1])


def test_the_global_generator_is_left_alone():
    images, labels = _data()
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    train(_model(), images, labels, config=TrainConfig(epochs=1))
    assert torch.equal(torch.rand(3), expected)


_ENDLESS = """
import sys, torch
torch.set_num_threads(1)
sys.path.insert(0, {folder!r})
from test_loop import _data, _model
from meshconv.train.config import TrainConfig
from meshconv.train.loop import train
images, labels = _data()
train(_model(), images, labels, config=TrainConfig(epochs=100000), checkpoint={path!r})
"""


def test_kill_9_leaves_a_loadable_checkpoint(tmp_path):
    path = tmp_path / "run.npz"
    code = _ENDLESS.format(folder=os.path.dirname(__file__), path=str(path))
    child = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    try:
        deadline = time.monotonic() + 120
        while not path.exists() and time.monotonic() < deadline and child.poll() is None:
            time.sleep(0.02)
        epochs = []
        for delay in (0.11, 0.07, 0.13):  # at any moment the file is whole
            time.sleep(delay)
            epochs.append(len(read_checkpoint(path)[1]["progress"]["losses"]))
        assert epochs == sorted(epochs) and epochs[0] >= 1
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    done = len(read_checkpoint(path)[1]["progress"]["losses"])

    def stop(progress):
        assert progress.epoch == done + 1  # it goes on where it was
        raise _StopError

    with pytest.raises(_StopError):
        train(_model(), *_data(), config=TrainConfig(epochs=100000), checkpoint=path, on_epoch=stop)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {
                "config": TrainConfig(
                    epochs=6, batch_size=10, noise=0.3, density_epochs=3, learning_rate=1e-3
                )
            },
            r"train\.learning_rate is",
        ),
        ({"identity": {"classes": ["a", "c"]}}, r"classes is \['a', 'b'\], not \['a', 'c'\]"),
        ({"images": _data(seed=1)[0]}, "data is"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, change, message):
    images, labels = _data()
    options = {"config": CONFIG, "identity": {"classes": ["a", "b"]}, "checkpoint": tmp_path / "c"}
    train(_model(), images, labels, **options)
    images = change.pop("images", images)
    with pytest.raises(CheckpointError, match=message):
        train(_model(), images, labels, **{**options, **change})


def test_weights_of_another_network_are_refused(tmp_path):
    images, labels = _data()
    train(_model(), images, labels, config=CONFIG, checkpoint=tmp_path / "c")
    with pytest.raises(CheckpointError, match="another model"):
        train(_model(classes=3), images, labels, config=CONFIG, checkpoint=tmp_path / "c")


def test_nan_loss_stops_with_names_and_a_good_checkpoint(tmp_path):
    images, labels = _data()
    path = tmp_path / "c"

    def spoil(progress):
        if progress.epoch == 2:
            images[5] = torch.nan

    names = [f"scan{k}" for k in range(len(labels))]
    with pytest.raises(SolverError, match=r"loss is nan in epoch 2, batch \d") as caught:
        train(_model(), images, labels, config=CONFIG, names=names, checkpoint=path, on_epoch=spoil)
    assert "scan5" in caught.value.indices
    arrays, head = read_checkpoint(path)
    assert len(head["progress"]["losses"]) == 2
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_early_stopping_keeps_the_best_epoch():
    images, labels = _data()
    wrong = (images, 1 - labels)  # the better it learns, the worse this gets
    model = _model()
    progress = train(
        model,
        images,
        labels,
        config=TrainConfig(epochs=30, patience=3, noise=0.0),
        validation=wrong,
    )
    assert progress.epoch < 30
    assert progress.validation_losses[progress.best_epoch] == min(progress.validation_losses)
    logits = predict_logits(model, images)
    weights = torch.ones(2)
    again = nn.functional.cross_entropy(logits, wrong[1], weight=weights).item()
    assert again == pytest.approx(min(progress.validation_losses), rel=1e-5)


def test_held_out_images_are_asked_for_the_evidence_that_leads_to_their_places_too():
    images, labels = _data()
    model = DECNN(2, 2, size=SIZE, network_size=5, width=4, density="sample", dropout=0.0, seed=0)
    config = TrainConfig(epochs=1, noise=0.0, evidence=0.3, variation=0.0)
    found = train(model, images, labels, config=config, validation=(images[:10], labels[:10]))
    with torch.no_grad():
        seen, evidence = model.equalize_with_evidence(images[:10])
        of = [nn.functional.cross_entropy(z, labels[:10]) for z in (model.classify(seen), evidence)]
    assert found.validation_losses[0] == pytest.approx(float(of[0] + 0.3 * of[1]), rel=1e-5)


def test_patience_without_validation_is_refused():
    with pytest.raises(ArgumentError, match="needs a validation set"):
        train(_model(), *_data(), config=TrainConfig(patience=2))


def test_balanced_weights_lift_the_rare_class():
    images = torch.randn(40, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    labels = (torch.arange(40) < 4).long()  # nothing to learn but how frequent each class is
    shares = []
    for class_weight in (None, "balanced"):
        model = nn.Sequential(nn.Flatten(), nn.Linear(2 * SIZE * SIZE, 2))
        nn.init.zeros_(model[1].weight)
        nn.init.zeros_(model[1].bias)
        config = TrainConfig(
            epochs=60, batch_size=40, class_weight=class_weight, noise=0.0, learning_rate=0.1
        )
        train(model, 0 * images, labels, config=config)
        shares.append(torch.softmax(predict_logits(model, 0 * images), 1)[0, 1].item())
    assert shares[0] < 0.3 < 0.4 < shares[1] < 0.6


def test_bfloat16_learns_too():
    images, labels = _data(64)
    model = _model()
    train(model, images, labels, config=TrainConfig(epochs=15, precision="bfloat16"))
    assert (predict_logits(model, images).argmax(1) == labels).float().mean() > 0.9


@pytest.mark.parametrize(
    "field",
    [
        {"epochs": 0},
        {"epochs": 1.5},
        {"patience": -3},
        {"weight_decay": -1.0},
        {"learning_rate": float("inf")},
        {"precision": "half"},
        {"label_smoothing": 1.0},
        {"noise": -1.0},
    ],
)
def test_impossible_settings_are_refused(field):
    with pytest.raises(ArgumentError, match=next(iter(field))):
        TrainConfig(**field)


def test_density_is_learned_for_its_epochs_and_then_fixed():
    images, labels = _data()
    kept = []

    def keep(model):
        return lambda _progress: kept.append(model.density.logits.detach().clone())

    model = _model()
    train(
        model, images, labels, config=TrainConfig(epochs=5, density_epochs=2), on_epoch=keep(model)
    )
    assert not torch.equal(kept[0], kept[1])
    assert all(torch.equal(kept[1], later) for later in kept[2:])


def test_training_on_the_equalized_images_is_training_on_the_images():
    """With the density fixed either way, sampling once or in every batch gives the same losses."""
    images, labels = _data()
    options = {"epochs": 3, "variation": 0.7, "noise": 0.2}
    always, once = _model(), _model()
    always.density.requires_grad_(False)
    always.settle = lambda: False  # sampled in every batch
    one = train(always, images, labels, config=TrainConfig(density_epochs=0, **options))
    other = train(once, images, labels, config=TrainConfig(density_epochs=0, **options))
    np.testing.assert_allclose(one.losses, other.losses, rtol=1e-5)


def test_several_tasks_are_learned_at_once_and_one_task_is_the_same_as_a_plain_label():
    images, labels = _data(40)
    other = (torch.arange(40) // 2) % 3
    images[other == 1, 1, 6:, 6:] += 2
    images[other == 2, 1, 6:, :3] += 2
    model = DECNN(2, {"a": 2, "b": 3}, size=SIZE, network_size=5, width=8, density="task", seed=0)
    train(
        model,
        images,
        {"a": labels, "b": other},
        config=TrainConfig(epochs=40, batch_size=10, density_epochs=5),
    )
    found = predict_logits(model, images)
    assert float((found["a"].argmax(dim=1) == labels).float().mean()) > 0.85
    assert float((found["b"].argmax(dim=1) == other).float().mean()) > 0.85
    one, named = (
        _model(),
        DECNN(2, {"x": 2}, size=SIZE, network_size=5, width=4, dropout=0.3, seed=0),
    )
    plain = train(one, images, labels, config=CONFIG)
    by_name = train(named, images, {"x": labels}, config=CONFIG)
    assert plain.losses == by_name.losses


def test_evidence_leads_each_density_to_what_tells_the_classes_apart():
    """Every image has a blob that says its class, upright or lying, and one that says nothing, at
    random places.
    """
    g = torch.Generator().manual_seed(0)
    n, size = 160, 33
    labels = torch.arange(n) % 2
    quarter = torch.stack([torch.randperm(4, generator=g)[:2] for _ in range(n)])
    telling, silent = (6 + 20 * torch.stack([quarter // 2, quarter % 2], -1)).unbind(1)
    row, col = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")

    def blob(at, tall, wide):
        return torch.exp(
            -((row - at[:, :1, None]) ** 2) / tall - (col - at[:, 1:, None]) ** 2 / wide
        )

    sign = torch.where(labels[:, None, None] == 1, blob(telling, 20, 4), blob(telling, 4, 20))
    images = 3 * (sign + blob(silent, 9, 9))[:, None] - 0.3
    model = DECNN(1, 2, size=size, network_size=17, width=4, density="sample", seed=0)
    config = TrainConfig(epochs=20, evidence=1.0, variation=0.0, noise=0.0, batch_size=16)
    train(model, images, labels, config=config)
    with torch.no_grad():
        density = model.saliency(images)[:, 0]
    room = [
        float((density * blob(at, 9, 9)).sum() / blob(at, 9, 9).sum()) for at in (telling, silent)
    ]
    assert room[0] > 1.3 * room[1]  # without the loss of the evidence they are alike


def test_density_is_fixed_under_augmentation_too():
    images, labels = _data()
    model = _model()
    before = model.density.logits.detach().clone()
    train(
        model,
        images,
        labels,
        config=TrainConfig(epochs=2, density_epochs=0),
        augment=lambda x, generator: x,
    )
    assert torch.equal(model.density.logits, before)


@pytest.mark.parametrize(
    ("labels", "error", "words"),
    [
        (
            torch.arange(12) % 2,
            ArrayTypeError,
            r"labels must be \(24,\) int64, one an image, found \(12,\)",
        ),
        (torch.arange(24) / 2, ArrayTypeError, "float32"),
        (torch.arange(24) % 2 - 1, ArgumentError, r"must be 0\.\.K-1, found -1"),
        (torch.arange(24) % 3, ArgumentError, "the network has 2 classes, found label 2"),
        (
            {"sex": torch.arange(24) % 2},
            ArgumentError,
            r"has tasks \[''\], the labels are of \['sex'\]",
        ),
    ],
    ids=["too few", "not whole", "negative", "too many classes", "another task"],
)
def test_labels_that_do_not_fit_are_refused_by_name(labels, error, words):
    with pytest.raises(error, match=words):
        train(_model(), _data()[0], labels, config=CONFIG)


def test_nothing_to_learn_is_refused():
    with pytest.raises(ArgumentError, match="nothing to learn"):
        train(
            _model(),
            torch.zeros(0, 2, SIZE, SIZE),
            torch.zeros(0, dtype=torch.int64),
            config=CONFIG,
        )


def test_a_validation_loss_that_is_not_finite_stops_at_once():
    images, labels = _data()
    held = images.clone()
    held[3, 0, 0, 0] = float("nan")
    with pytest.raises(SolverError, match=r"validation set is nan in epoch 0"):
        train(_model(), images, labels, config=CONFIG, validation=(held, labels))


def test_a_run_with_another_validation_set_is_another_run(tmp_path):
    images, labels = _data()
    config = TrainConfig(epochs=1)
    train(
        _model(),
        images,
        labels,
        config=config,
        validation=(images, labels),
        checkpoint=tmp_path / "c",
    )
    with pytest.raises(CheckpointError, match="validation"):
        train(
            _model(),
            images,
            labels,
            config=config,
            validation=(images[:8], labels[:8]),
            checkpoint=tmp_path / "c",
        )


def test_what_is_said_of_an_image_does_not_depend_on_how_many_are_asked_about():
    model, images = _model(), _data()[0]
    together = predict_logits(model, images)
    for k in (0, 3, len(images) - 1):
        assert torch.equal(predict_logits(model, images[k : k + 1])[0], together[k])
    assert torch.equal(predict_logits(model, images, batch_size=3), together)
    assert predict_logits(model, images[:0]).shape == (0, together.shape[1])
