"""What is not the kind of thing that a public function takes is refused by the argument's name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meshconv as mc
from meshconv.mesh.shapes import face

_FACE = face(200)
_FLAT = mc.conformal_map(_FACE)
_GOOD = {
    "surface": _FACE,
    "parameterization": _FLAT,
    "template": mc.Template.from_surface(_FACE),
    "path": Path("nowhere.ply"),
    "sources": 0,
    "scans": [],
    "mu": 0.0,
    "coordinates": _FLAT.coordinates,
    "centre": np.zeros(3),
    "radius": 1.0,
    "population": np.ones(_FACE.n_faces),
    "field": np.zeros(_FACE.n_vertices),
}
_DATA = (
    mc.Cut,
    mc.MeshFile,
    mc.Placed,
    mc.Repaired,
    mc.Scan,
)  # plain records of what others checked


def _is_kind(value: Any, kind: type) -> bool:
    return isinstance(value, type) and issubclass(value, kind)


def _doors() -> list[Any]:
    """(name, function, needed arguments, which of them is wrong) of every public function."""
    out = []
    for name in mc.__all__:
        value = getattr(mc, name)
        drawn = name in {"show", "inspect", "report"}
        if not callable(value) or value in _DATA or drawn or _is_kind(value, Exception):
            continue
        needed = [
            one.name
            for one in inspect.signature(value).parameters.values()
            if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD
        ]
        wrong = [one for one in needed if one in {"surface", "parameterization", "template"}]
        out += [pytest.param(value, needed, one, id=f"{name}-{one}") for one in wrong]
    return out


@pytest.mark.parametrize(("door", "needed", "wrong"), _doors())
def test_another_kind_of_thing_is_refused_by_name(
    door: Callable[..., Any], needed: list[str], wrong: str
) -> None:
    for bad in (None, 3, object(), {"vertices": 1}):
        given = [bad if name == wrong else _GOOD[name] for name in needed]
        with pytest.raises(mc.MeshConvError, match=f"{wrong}|expected a path, a Surface"):
            door(*given)


def test_exchanged_arguments_are_told() -> None:
    with pytest.raises(mc.MeshConvError, match="the path comes first"):
        mc.save(_FACE, "a.ply")
    with pytest.raises(mc.MeshConvError, match="path must be"):
        mc.save(None, _FACE)
    with pytest.raises(
        mc.MeshConvError, match="parameterization must be a Parameterization, found int"
    ):
        mc.Resampler(129, _FLAT)
    with pytest.raises(mc.MeshConvError, match="surface must be a Surface, found Template"):
        mc.fit_template(_GOOD["template"], _FACE)
