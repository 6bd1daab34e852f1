"""What the names of PLY properties mean, for reader and writer."""

from __future__ import annotations

from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from meshconv.io.raw_mesh import Fields

GROUPS = {
    "colors": (
        ("red", "green", "blue", "alpha"),
        ("red", "green", "blue"),
        ("r", "g", "b"),
        ("diffuse_red", "diffuse_green", "diffuse_blue"),
    ),
    "normals": (("nx", "ny", "nz"),),
    "uv": (("s", "t"), ("u", "v"), ("texture_u", "texture_v")),
}
# names with a meaning of their own, under which no field is stored
RESERVED = frozenset(["x", "y", "z", "vertex_indices", "vertex_index", "texcoord"])
ESCAPED = "meshconv_field_"  # before the quoted name of such a field; then a colon and its column


def group_fields(scalars: dict[str, NDArray[np.generic]]) -> Fields:
    """Gather properties into fields: colours, normals, uv, and name_0, name_1, ... into one of k
    columns.
    """
    left, fields = _unescaped(scalars)
    for field, choices in GROUPS.items():
        for names in choices:
            if field not in fields and all(name in left for name in names):
                fields[field] = np.stack([left.pop(name) for name in names], axis=1)
    for name in [name[:-2] for name in left if name.endswith("_0")]:
        k = 0
        while f"{name}_{k}" in left:
            k += 1
        if k > 1 and name not in left:
            fields[name] = np.stack([left.pop(f"{name}_{j}") for j in range(k)], axis=1)
    return {**fields, **left}


def _unescaped(
    scalars: dict[str, NDArray[np.generic]],
) -> tuple[dict[str, NDArray[np.generic]], Fields]:
    """Return the plain columns, and the fields whose names our writer has put in other words."""
    left: dict[str, NDArray[np.generic]] = {}
    found: dict[str, dict[str, NDArray[np.generic]]] = {}
    for name, value in scalars.items():
        start, colon, column = name.removeprefix(ESCAPED).rpartition(":")
        if name.startswith(ESCAPED) and colon:
            found.setdefault(unquote(start), {})[column] = value
        else:
            left[name] = value
    fields: Fields = {}
    for name, columns in found.items():
        parts = [columns[str(k)] for k in range(len(columns)) if str(k) in columns]
        if len(parts) == len(columns):
            fields[name] = np.stack(parts, axis=1)
        elif "" in columns:
            fields[name] = columns[""]
    return left, fields
