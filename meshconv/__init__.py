"""meshconv: from a scan to a class, and to the place on the surface where one sees it.

The public names below are loaded on first use, so `import meshconv` costs neither torch nor VTK.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# public name -> module that defines it; one line a name, in the order of the flow
_WHERE = {
    "Surface": "meshconv.mesh.surface",
    "MeshConvError": "meshconv.errors",
    "MeshConvWarning": "meshconv.errors",
}

__all__ = ["__version__", *_WHERE]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(importlib.import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'meshconv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
