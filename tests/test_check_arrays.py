"""The array checks at the public doors."""

from __future__ import annotations

import numpy as np
import pytest

from meshconv import _check
from meshconv.errors import ArgumentError, ArrayTypeError, IndexOutOfRangeError, NonFiniteError


def test_read_only_copies_what_others_can_still_change() -> None:
    mine = np.arange(6.0)
    frozen = _check.read_only(mine, np.float64, mine)
    mine[0] = 9
    assert frozen[0] == 0 and not frozen.flags.writeable
    again = _check.read_only(frozen, np.float64, frozen)
    assert again is frozen  # ours already: no copy


def test_as_array_says_why_something_is_no_array() -> None:
    with pytest.raises(ArrayTypeError, match="rows have different lengths"):
        _check.as_array([[1, 2], [3]], "x")
    with pytest.raises(ArrayTypeError, match="entries that are not numbers"):
        _check.as_array(np.array([1, "a"], dtype=object), "x")
    with pytest.raises(ArrayTypeError, match="x must hold real numbers, found complex128"):
        _check.as_array([1j], "x")


def test_unsigned_and_huge_indices_are_compared_without_wrapping() -> None:
    for value in (
        np.array([[0, 1, 2**63]], dtype=np.uint64),
        np.array([[0, 1, 255]], dtype=np.uint8),
    ):
        with pytest.raises(IndexOutOfRangeError, match=r"allowed indices are 0\.\.2"):
            _check.faces_array(value, 3)


def test_field_array_counts_and_places_what_is_wrong() -> None:
    assert _check.field_array([1, 2, 3], 3, "density").dtype == np.float64
    with pytest.raises(
        ArrayTypeError, match=r"density must have one row per face \(3\), found shape \(2,\)"
    ):
        _check.field_array([1, 2], 3, "density", per="face")
    with pytest.raises(ArrayTypeError, match=r"found shape \(\)"):
        _check.field_array(1.0, 1, "density")
    with pytest.raises(
        NonFiniteError, match=r"density is not finite at vertex 1 \(2 of 3\)"
    ) as caught:
        _check.field_array([1, np.nan, np.inf], 3, "density")
    assert caught.value.indices == (1, 2) and caught.value.count == 2


def test_options_are_checked_against_what_is_allowed() -> None:
    assert _check.one_of("a", ("a", "b"), "mode") == "a" and _check.in_range(0.5, 0, 1, "t") == 0.5
    with pytest.raises(ArgumentError, match="mode must be one of 'a', 'b', found 'c'"):
        _check.one_of("c", ("a", "b"), "mode")
    for value in (2.0, float("nan")):
        with pytest.raises(ArgumentError, match=r"t must lie in \[0, 1\]"):
            _check.in_range(value, 0, 1, "t")


@pytest.mark.parametrize("entry", [np.inf, np.nan, 0.5])
def test_faces_that_are_no_integers_are_refused(entry: float) -> None:
    with pytest.raises(ArrayTypeError, match="found fractions, NaN or infinity"):
        _check.faces_array([[0.0, 1.0, entry]], 3)


def test_options_of_another_type_are_refused_in_words() -> None:
    with pytest.raises(ArgumentError, match="domain must be one of"):
        _check.one_of(np.zeros(2), ("disk",), "domain")  # type: ignore[arg-type]
    for value in (None, "wide", np.zeros(2)):
        with pytest.raises(ArgumentError, match="margin must lie in"):
            _check.in_range(value, 0.0, 1.0, "margin")  # type: ignore[arg-type]
