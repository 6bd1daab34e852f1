"""Errors: one family, each also a builtin, with place, count and next step, and safe to pickle."""

from __future__ import annotations

import inspect
import pickle

import pytest

from meshconv import errors

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.MeshConvError)
]
WARNINGS = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Warning)
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_keeps_its_state_through_text_and_pickle(
    kind: type[errors.MeshConvError],
) -> None:
    error = kind("bad value 7", path="a.ply", line=3, indices=range(20), count=20, hint="mend it")
    assert str(error) == "a.ply, line 3: bad value 7; mend it"
    assert isinstance(error, ValueError) and error.indices == tuple(range(10)) and error.count == 20
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind and str(copy) == str(error) and copy.__dict__ == error.__dict__


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        ("MeshIOError", OSError),
        ("MissingFileError", FileNotFoundError),
        ("IndexOutOfRangeError", IndexError),
        ("ArrayTypeError", TypeError),
        ("SolverError", ArithmeticError),
        ("MissingDependencyError", ImportError),
        ("RenderingUnavailableError", RuntimeError),
    ],
)
def test_errors_are_caught_as_the_builtin_they_resemble(
    kind: str, builtin: type[Exception]
) -> None:
    with pytest.raises(builtin, match=r"^reason$"):
        raise getattr(errors, kind)("reason")


def test_the_file_can_be_named_later_and_parts_are_optional() -> None:
    error = errors.TruncatedError("expected 9 bytes, found 4", line=2)
    assert str(error) == "line 2: expected 9 bytes, found 4"
    named = error.at("b.stl")
    assert (
        str(named) == "b.stl, line 2: expected 9 bytes, found 4"
        and type(named) is errors.TruncatedError
    )
    assert (
        str(errors.MeshConvError("plain")) == "plain"
        and errors.MeshConvError("x", indices=[4, 5]).count == 2
    )


def test_names_say_what_they_are() -> None:
    assert all(kind.__name__.endswith("Error") and kind.__doc__ for kind in KINDS)
    assert all(
        kind.__name__.endswith("Warning") and issubclass(kind, UserWarning) for kind in WARNINGS
    )
