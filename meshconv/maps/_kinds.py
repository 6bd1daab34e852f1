"""One check at the public doors: is this the kind of object that the function takes?"""

from __future__ import annotations

from typing import Any

from meshconv.errors import ArgumentError

_MADE_BY = {
    "Surface": "make one with meshconv.Surface(vertices, faces) or meshconv.load",
    "Parameterization": "make one with meshconv.conformal_map",
    "Template": "make one with meshconv.Template.from_surface or from_population",
}


def require_kind(value: Any, name: str, *kinds: type) -> None:
    """Raise ArgumentError unless `value` is of one of the kinds: what `name` should be, what it is, how to make one."""
    if isinstance(value, kinds):
        return
    shape = getattr(value, "shape", None)
    found = type(value).__name__ + (f" of shape {tuple(shape)}" if isinstance(shape, tuple) else "")
    wanted = " or a ".join(kind.__name__ for kind in kinds)
    raise ArgumentError(f"{name} must be a {wanted}, found {found}", hint=_MADE_BY.get(kinds[-1].__name__, ""))
