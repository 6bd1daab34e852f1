"""Logistic regression and a kernel on families of measures, together."""

import numpy as np
import pytest
from scipy.special import softmax

from meshconv.errors import ArgumentError
from meshconv.stats.measure_kernel import FamilyKernel
from meshconv.stats.measure_machine import KernelMachine
from meshconv.stats.measure_model import MeasureModel


def _checkers(n, seed=0):
    """Two measures whose signs together tell the class, a third that does a little by itself, and
    twenty that tell nothing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 23))
    index = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    x[:, 2] += 0.7 * index
    return x, index


FAMILY = np.repeat([0, 1, 2], [2, 1, 20])


def test_a_kernel_sees_what_no_trend_tells_and_probabilities_stay_honest():
    (x, index), (new, truth) = _checkers(300), _checkers(1500, seed=1)
    model = MeasureModel.fit(x, index, family=FAMILY)
    logits = model.logits(new)
    accuracy = (logits.argmax(axis=1) == truth).mean()
    assert accuracy > (model.logistic.logits(new).argmax(axis=1) == truth).mean() + 0.15
    assert accuracy > 0.8
    machine = softmax(model.machine(new), axis=1)
    right = (machine.argmax(axis=1) == truth).mean()
    assert machine.max(axis=1).mean() == pytest.approx(right, abs=0.05)


def test_families_that_go_with_the_target_weigh_most_and_keep_others_from_drowning_them():
    (x, index), (new, truth) = _checkers(300), _checkers(1500, seed=1)
    apart = KernelMachine.of_classes(x, index, family=FAMILY)
    together = KernelMachine.of_classes(x, index)
    assert apart.kernel.weights.argmax() == 0 and apart.kernel.weights.sum() == pytest.approx(1)
    right = [(one(new).argmax(axis=1) == truth).mean() for one in (apart, together)]
    assert right[0] > right[1] + 0.1


def test_the_kernel_is_positive_one_on_itself_and_blind_to_units():
    x, index = _checkers(60)
    kernel = FamilyKernel.fit(x, FAMILY, index[:, None].astype(float))
    alike = kernel(x)
    np.testing.assert_allclose(np.diag(alike), 1)
    assert np.linalg.eigvalsh((alike + alike.T) / 2).min() > -1e-9
    other = FamilyKernel.fit(1e6 * x - 3, FAMILY, index[:, None].astype(float))
    np.testing.assert_allclose(other(1e6 * x - 3), alike, atol=1e-6)
    constant = FamilyKernel.fit(x, FAMILY, np.zeros((60, 1)))
    np.testing.assert_allclose(constant.weights, 1 / 3)


def test_ratings_are_told_in_their_own_unit_and_outliers_do_not_rule():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 3))
    y = np.column_stack([50 + 10 * np.sin(x[:, 0]), x[:, 1] ** 2])
    wrong = y.copy()
    wrong[::20, 0] += 30
    said = KernelMachine.of_ratings(x, wrong, family=np.arange(3))(x)
    assert np.median(np.abs(said - y)[:, 0]) < 2.5
    assert np.corrcoef(said[:, 1], y[:, 1])[0, 1] > 0.9
    same = KernelMachine.of_ratings(x, np.full((200, 1), 7.0))(x)
    np.testing.assert_allclose(same, 7.0)


def test_many_scans_are_drawn_from_with_their_classes_in_proportion():
    x, index = _checkers(3200)
    index = np.where(np.arange(3200) < 8, 2, index)
    machine = KernelMachine.of_classes(x[:, :2], index)
    assert 1500 <= len(machine.kernel.rows) < 1510 and machine(x[:5, :2]).shape == (5, 3)


def test_a_class_of_a_single_subject_leaves_the_logistic_regression_alone():
    x, index = _checkers(40)
    whom = np.where(index == 1, "one", np.arange(40).astype(str)).tolist()
    model = MeasureModel.fit(x, index, subjects=whom)
    assert model.machine is None and np.isfinite(model.logits(x)).all()
    again = MeasureModel.of(model.arrays(), model.logistic.strength)
    np.testing.assert_array_equal(again.logits(x), model.logits(x))


def test_arrays_that_do_not_go_together_are_refused():
    x, index = _checkers(40)
    arrays = MeasureModel.fit(x, index, family=FAMILY).arrays()
    np.testing.assert_allclose(
        MeasureModel.of(arrays, 1.0).logits(x), MeasureModel.fit(x, index, family=FAMILY).logits(x)
    )
    for name, value in (("kernel.rows", np.zeros((3, 23))), ("machine.bias", np.zeros(3))):
        with pytest.raises(ValueError, match="a kernel of shapes"):
            MeasureModel.of({**arrays, name: value}, 1.0)
    with pytest.raises(ValueError, match="2 families, numbered up to 2"):
        MeasureModel.of({**arrays, "kernel.weights": np.ones(2) / 2}, 1.0)


def test_what_is_not_finite_is_named_whatever_learns_from_it():
    x, index = _checkers(40)
    x[3, 2] = np.inf
    with pytest.raises(ArgumentError, match="measure 2 of scan 3 is not finite"):
        MeasureModel.fit(x, index)


def test_a_kernel_that_is_wrong_of_the_unseen_is_not_believed_the_other_way_round():
    left_out = 0
    for seed in (100, 101, 102, 103, 104, 105):
        rng = np.random.default_rng(seed)
        x, index = rng.normal(size=(40, 30)), rng.permutation(np.arange(40) % 2)
        x[:, 0] += 0.8 * index  # hardly to be seen among so many
        model = MeasureModel.fit(x, index)
        left_out += model.machine is None
        right = model.logits(x).argmax(axis=1) == index
        assert right.mean() > 0.5
    assert left_out > 0


def test_many_scans_are_asked_about_as_one():
    x, index = _checkers(60)
    machine = KernelMachine.of_classes(x, index, family=FAMILY)
    many = np.concatenate([x] * 40)
    np.testing.assert_allclose(machine(many), np.concatenate([machine(x)] * 40), atol=1e-12)
    assert machine(x[:0]).shape == (0, 2)
