"""Confusion by hand, and Wilson's interval by its own equation."""

import numpy as np
import pytest
from scipy.stats import norm

from meshconv.errors import ArgumentError
from meshconv.stats.confusion import confusion, wilson


@pytest.mark.parametrize(("hits", "n"), [(0, 7), (3, 10), (9, 10), (50, 50), (123, 400)])
def test_at_both_ends_of_wilsons_interval_the_share_is_just_significant(hits, n):
    z = norm.isf(0.025)
    for end in wilson(hits, n):
        if 0 < end < 1:
            assert abs(hits / n - end) == pytest.approx(
                z * np.sqrt(end * (1 - end) / n), rel=1e-6, abs=1e-7
            )
    low, high = wilson(hits, n)
    assert 0 <= low <= hits / n <= high <= 1


def test_nothing_seen_says_nothing():
    assert wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(ArgumentError, match="found 4 of 3"):
        wilson(4, 3)


def test_sensitivity_is_of_the_positive_class():
    labels, taken = [0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0]
    found = confusion(labels, taken, ("ill", "well"), positive="ill")
    assert found.counts.tolist() == [[3, 1], [1, 1]]
    said = dict(found.recognized())
    assert said["sensitivity (of ill)"][:2] == (3, 4)
    assert said["specificity (of well)"][:2] == (1, 2)
    assert dict(confusion(labels, taken, ("a", "b")).recognized())["sensitivity (of b)"][0] == 1
    three = confusion([0, 1, 2], [0, 2, 2], ("a", "b", "c")).recognized()
    assert [share[:2] for _, share in three] == [(1, 1), (0, 1), (1, 1)]
    with pytest.raises(ArgumentError, match="positive must be one of"):
        confusion(labels, taken, ("ill", "well"), positive="sick")
