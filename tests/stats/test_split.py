import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshconv.errors import ArgumentError
from meshconv.stats.split import PARTS, split_indices


@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 9))
def test_parts_are_disjoint_whole_and_keep_groups_together(n, n_groups, seed):
    groups = np.random.default_rng(seed).integers(0, n_groups, n).tolist()
    largest = max(groups.count(group) for group in groups)
    try:
        parts = split_indices(n, (0.5, 0.2), seed=seed, groups=groups)
    except ArgumentError:  # only where one group lies over a whole share
        parts = {}
    assert parts or largest >= 0.2 * n - 1e-9
    if not parts:
        return
    together = np.concatenate([parts[name] for name in PARTS[1:]])
    assert sorted(together) == list(range(n)) == parts["all"].tolist()
    assert all(len(part) for part in parts.values())
    where = [{groups[k] for k in parts[name]} for name in PARTS[1:]]
    assert sum(map(len, where)) == len(set(groups))
    assert abs(len(parts["train"]) - 0.5 * n) <= largest / 2 + 1e-9


def test_the_seed_decides():
    first, second = (split_indices(50, (0.6, 0.2), seed=seed)["train"] for seed in (0, 1))
    np.testing.assert_array_equal(first, split_indices(50, (0.6, 0.2), seed=0)["train"])
    assert len(first) == len(second) == 30 and set(first) != set(second)


def test_groups_may_be_an_array():
    groups = ["a", "a", "b", "c", "d", "e", "f"]
    first, second = (
        split_indices(7, (0.4, 0.3), seed=2, groups=one) for one in (groups, np.array(groups))
    )
    assert all((first[name] == second[name]).all() for name in PARTS)


def test_an_empty_part_is_refused():
    with pytest.raises(ArgumentError, match=r"the test part of 2 items in 2 groups is empty"):
        split_indices(2, (0.6, 0.2), seed=0)
    with pytest.raises(ArgumentError, match="the validation part of 9 items in 1 groups is empty"):
        split_indices(9, (0.6, 0.2), seed=0, groups=["a"] * 9)


def test_refusals():
    with pytest.raises(
        ArgumentError, match=r"shares must be positive and sum to less than 1, found \(0.8, 0.2\)"
    ):
        split_indices(5, (0.8, 0.2), seed=0)
    with pytest.raises(ArgumentError, match="one entry for each of 5 items, found 2"):
        split_indices(5, (0.5, 0.2), seed=0, groups="ab")
