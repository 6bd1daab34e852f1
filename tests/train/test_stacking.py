"""Weights are those under which the classes are likeliest; a part that says nothing has none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from meshconv.train.stacking import (
    best_stack,
    cross_weighted,
    grown,
    log_frequencies,
    stacked,
)


def _drawn(weights, n, k=3, seed=0):
    """Return logits of parts, and classes drawn with the probabilities that weights make."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(len(weights), n, k))
    shares = softmax(np.tensordot(weights, logits, 1), axis=1)
    return logits, (rng.random((n, 1)) > shares.cumsum(axis=1)).sum(axis=1)


def test_the_weights_that_made_the_labels_are_found():
    logits, index = _drawn([1.0, 0.4, 0.0], 20000)
    np.testing.assert_allclose(stacked(logits, index), [1.0, 0.4, 0.0], atol=0.04)
    scaled = stacked(logits * np.array([10.0, 1.0, 1.0])[:, None, None], index)
    np.testing.assert_allclose(scaled[:2], [0.1, 0.4], atol=0.04)


def test_no_other_weights_are_likelier():
    logits, index = _drawn([0.8, 0.3], 3000, seed=1)
    grid = np.linspace(0, 1.5, 61)
    likely = [
        [
            log_softmax(a * logits[0] + b * logits[1], axis=1)[range(3000), index].mean()
            for b in grid
        ]
        for a in grid
    ]
    a, b = np.unravel_index(np.argmax(likely), (61, 61))
    np.testing.assert_allclose(stacked(logits, index), [grid[a], grid[b]], atol=0.03)


def test_probabilities_know_how_frequent_classes_are():
    """Logits of networks that take two classes to be alike, of which one is rare."""
    rng = np.random.default_rng(3)
    index = (rng.random(6000) < 0.1).astype(np.int64)
    ratio = rng.normal(size=6000) + np.where(index == 1, 1.0, -1.0)  # log odds of even classes: 2 x
    logits = np.stack([-ratio, ratio], axis=1)[None]
    offset = 2 * log_frequencies(index, "balanced")  # of which half is put back
    assert stacked(logits, index, offset)[0] == pytest.approx(1.0, abs=0.08)
    honest = softmax(cross_weighted(logits, index, np.arange(6000) % 5, offset), axis=1)[:, 1]
    for low in (0.0, 0.05, 0.2, 0.5):
        some = (honest >= low) & (honest < 2 * low + 0.05)
        assert abs(honest[some].mean() - index[some].mean()) < 0.04
    assert not log_frequencies(index, "none").any()


def test_a_level_is_learned_where_networks_are_off_by_one_and_nowhere_else():
    fold = np.arange(3000) % 5
    logits, index = _drawn([1.0, 0.4], 3000, seed=5)
    offset = log_frequencies(index, "balanced")
    honest = best_stack(logits, index, fold, offset)
    np.testing.assert_array_equal(honest.offset, offset)
    np.testing.assert_allclose(honest.weights, stacked(logits, index, offset))
    off = np.array([2.0, -1.0, -1.0])  # of what the first part says
    found = best_stack(logits + off * [[[1.0]], [[0.0]]], index, fold, offset)
    np.testing.assert_allclose(found.offset - offset, -off, atol=0.2)
    np.testing.assert_allclose(found.weights, [1.0, 0.4], atol=0.1)
    plain = best_stack(logits + off * [[[1.0]], [[0.0]]], index, fold)
    assert not plain.offset.any()


@pytest.mark.parametrize("rare", [0.5, 0.1])
def test_a_level_says_nothing_of_how_frequent_classes_are(rare):
    rng = np.random.default_rng(6)
    index = (rng.random(4000) < rare).astype(np.int64)
    ratio = rng.normal(size=4000) + np.where(index == 1, 1.0, -1.0)
    logits, fold = np.stack([-ratio - 1.0, ratio + 1.0], axis=1)[None], np.arange(4000) % 5
    offset = log_frequencies(index, "balanced")
    found = best_stack(logits, index, fold, offset)
    np.testing.assert_allclose(found.offset - offset, [1.0, -1.0], atol=0.15)
    assert found.weights[0] == pytest.approx(1.0, abs=0.1)
    said = cross_weighted(logits, index, fold, offset).argmax(axis=1)
    even = [(said[index == k] == k).mean() for k in (0, 1)]
    assert rare == 0.1 or abs(even[0] - even[1]) < 0.05


def test_few_scans_leave_alike_what_many_tell_apart():
    def gap(n):
        found = [stacked(*_drawn([1.0, 0.0], n, seed=seed)) for seed in range(12)]
        return np.mean([(a - b) / (a + b) for a, b in found])

    assert gap(8) < 0.75 * gap(800) and gap(800) > 0.9


def test_parts_without_a_say_give_even_odds_and_still_an_order():
    rng = np.random.default_rng(4)
    logits, index = rng.normal(size=(2, 4000, 2)), np.arange(4000) % 2
    weights = stacked(logits, index)
    assert (weights > 0).all() and weights.max() < 0.1
    wrong = -np.eye(2)[index][None]  # a part that is always wrong is not turned around
    assert 0 < stacked(wrong, index)[0] < 0.01


def test_a_scan_has_no_say_in_its_own_weights():
    logits, index = _drawn([1.0, 0.4], 100)
    fold = np.arange(100) % 5
    logits[0, :, 0] += 3.0  # so that a level is learned
    offset = log_frequencies(index, "none")
    before = cross_weighted(logits, index, fold, offset)
    changed = np.where(fold == 0, (index + 1) % 3, index)
    after = cross_weighted(logits, changed, fold, offset)
    np.testing.assert_array_equal(before[fold == 0], after[fold == 0])
    assert np.abs(before[fold == 1] - after[fold == 1]).max() > 1e-3


def test_what_learned_from_more_may_be_surer():
    assert grown(np.ones(2), 2)[0] > grown(np.ones(2), 5)[0] > grown(np.ones(2), 20)[0] > 1
    assert grown(np.ones(1), 10**6)[0] == pytest.approx(1)
