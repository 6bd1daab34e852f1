"""A density that goes on learning from scans that the weights do not learn from."""

import numpy as np
import pytest
import torch

from meshconv.errors import ArgumentError
from meshconv.nn.decnn import DECNN
from meshconv.train.config import Settings, TrainConfig
from meshconv.train.fit import fit
from meshconv.train.inputs import as_prepared
from meshconv.train.labels import loss
from meshconv.train.turns import learn_in_turn

CONFIG = TrainConfig(density_turns=6, batch_size=16, seed=1)
SIZE = 17


def _data(n=96):
    """Noise; one class is lifted or lowered at one place."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    images = rng.normal(size=(n, 1, SIZE, SIZE))
    sign = rng.choice([-1.0, 1.0], n) * labels
    images[:, 0, 3:7, 9:13] += 3 * sign[:, None, None]
    return torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels)


def _halves(n=96):
    rows = np.random.default_rng(1).permutation(n)
    return rows[: n // 2], rows[n // 2 :]


def _model(**options):
    own = {"size": SIZE, "network_size": 9, "width": 4, "density": "shared", "seed": 0}
    return DECNN(1, 2, **own | options)


def test_a_flat_density_moves_to_what_tells_scans_apart_that_are_not_learned_from():
    images, labels = _data()
    model = _model()
    learn_in_turn(model, images, labels, _halves(), config=CONFIG)
    found = model.saliency(images[:1])[0, 0].detach().numpy()
    place = np.zeros((SIZE, SIZE), dtype=bool)
    place[3:7, 9:13] = True
    assert found[place].mean() > 1.1 * found[~place].mean()


def test_weights_stay_and_halves_may_change_places():
    images, labels = _data()
    one, other = _model(), _model()
    before = {name: value.clone() for name, value in one.state_dict().items()}
    learn_in_turn(one, images, labels, _halves(), config=CONFIG)
    learn_in_turn(other, images, labels, _halves()[::-1], config=CONFIG)
    moved = [
        name for name, value in one.state_dict().items() if not torch.equal(value, before[name])
    ]
    assert moved == ["density.logits"]
    torch.testing.assert_close(one.density.logits, other.density.logits, rtol=0, atol=1e-6)


def test_what_weighs_nothing_teaches_nothing():
    """Whatever is said of scans of weight zero, the density is the same."""
    images, labels = _data()
    weight = torch.ones(len(labels))
    weight[::6] = 0
    config = TrainConfig(density_turns=4, variation=0.0, class_weight=None, seed=1)
    found = []
    for said in (labels, torch.where(weight == 0, 1 - labels, labels)):
        model = _model()
        learn_in_turn(model, images, said, _halves(), config=config, sample_weight=weight)
        found.append(model.density.logits)
    assert found[0].any()
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-5)


def test_a_density_of_each_image_and_no_turns_leave_all_as_it_was():
    images, labels = _data()
    for model, config in (
        (_model(density="sample"), CONFIG),
        (_model(), TrainConfig(density_turns=0)),
    ):
        before = [value.clone() for value in model.state_dict().values()]
        learn_in_turn(model, images, labels, _halves(), config=config)
        after = model.state_dict().values()
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_fit_goes_on_from_the_evidence():
    images, labels = _data()
    options = {"network_size": 9, "width": 4, "epochs": 1, "verdict": 0, "seed": 1}
    logits = [
        fit(
            as_prepared(images.numpy()), labels.numpy(), Settings.of(options | {"density_turns": k})
        )
        .network.networks["shared"]
        .density.logits
        for k in (0, 4)
    ]
    assert 0.01 < float((logits[0] - logits[1]).abs().mean()) < 2.0


def test_where_labels_say_nothing_the_density_stays_flat():
    images, labels = _data()
    shuffled = np.random.default_rng(3).permutation(labels.numpy())
    options = {"network_size": 9, "width": 4, "epochs": 1, "verdict": 0, "density_turns": 4}
    fitted = fit(as_prepared(images.numpy()), shuffled, Settings.of(options))
    assert not fitted.network.networks["shared"].density.logits.any()


def test_no_subject_teaches_both_the_weights_and_the_density(monkeypatch):
    images, labels = _data()
    whom = [f"p{k // 4}" for k in range(len(labels))]
    seen = []
    monkeypatch.setattr(
        "meshconv.train.start.learn_in_turn",
        lambda *given, **_how: seen.append(given[3]),
    )
    prepared = as_prepared(images.numpy())
    prepared = type(prepared)(**{**vars(prepared), "subjects": tuple(whom)})
    options = {"network_size": 9, "width": 4, "epochs": 1, "verdict": 0, "density_turns": 2}
    fit(prepared, labels.numpy(), Settings.of(options))
    (halves,) = seen
    one, other = ({whom[k] for k in half} for half in halves)
    assert one and other and not one & other
    assert sorted(np.concatenate(halves)) == list(range(len(labels)))


def test_negative_turns_are_refused():
    with pytest.raises(ArgumentError, match="density_turns"):
        TrainConfig(density_turns=-1)


def test_a_batch_of_no_weight_asks_for_nothing():
    logits = torch.zeros(3, 2, requires_grad=True)
    rows = {"to_label": torch.tensor([1, 1, 1])}
    asked = loss({"to_label": logits}, rows, {"to_label": torch.tensor([1.0, 0.0])})
    asked.backward()
    assert asked.item() == 0.0 and not logits.grad.any()
