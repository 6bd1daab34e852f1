"""Names of a residual U-Net's parts in published weights, and in ours."""

from __future__ import annotations

from collections.abc import Mapping


def reference_names(n_strides: int) -> dict[str, str]:
    """Return our module's name for each of theirs, of a network with so many strides.

    Examples
    --------
    >>> reference_names(1)["model.2.0.conv"]
    'net.up'
    """
    return _level("model", "net", n_strides)


def our_name(key: str, names: Mapping[str, str]) -> str:
    """Return a parameter's name in our state dict; one that is not known stays as it is."""
    module, _, parameter = key.rpartition(".")
    return f"{names[module]}.{parameter}" if module in names else key


def _level(theirs: str, ours: str, n_strides: int) -> dict[str, str]:
    below = f"{theirs}.1.submodule", f"{ours}.below"
    names = _unit(f"{theirs}.0", f"{ours}.down")
    names |= _level(*below, n_strides - 1) if n_strides > 1 else _unit(*below)
    names |= {f"{theirs}.2.0.conv": f"{ours}.up", f"{theirs}.2.0.adn.N": f"{ours}.after.0"}
    return names | _unit(f"{theirs}.2.1", f"{ours}.refine")


def _unit(theirs: str, ours: str) -> dict[str, str]:
    names = {f"{theirs}.residual": f"{ours}.shortcut"}
    for i in range(8):  # more than any unit has
        names[f"{theirs}.conv.unit{i}.conv"] = f"{ours}.body.{2 * i}"
        names[f"{theirs}.conv.unit{i}.adn.N"] = f"{ours}.body.{2 * i + 1}.0"
    return names
