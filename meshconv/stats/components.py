"""Principal components of all scans, blind to any label: what individuals have in common, taken out
so that small local differences stand out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meshconv._check import in_range
from meshconv.errors import ArgumentError

_SHARE = 1 / 6  # of the degrees of freedom, that are taken for components


def component_count(components: int | str, freedom: int) -> int:
    """Return how many components to take out; ``auto``: a sixth of the degrees of freedom.

    Raises
    ------
    ArgumentError
        If it is neither ``auto`` nor a whole number from 0 to a third of them.
    """
    if components == "auto":
        return int(freedom * _SHARE)
    if not isinstance(components, (int, np.integer)) or isinstance(components, bool):
        raise ArgumentError(f"components must be a whole number or 'auto', found {components!r}")
    return int(in_range(float(components), 0.0, float(max(freedom // 3, 0)), "components"))


def without_components(x: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return rows (n, D) less what they have in common.

    Each principal component is divided by 1 + its variance / that of the first one after `count`:
    the first are all but removed, the last are kept. Removing just the first would make more of the
    exact number than there is to it.
    """
    if count == 0:
        return x
    values, vectors = np.linalg.eigh((x @ x.T).astype(np.float64))
    values = np.maximum(values, 0.0)
    limit = values[-1 - count] if count < len(values) else 0.0
    if not limit > 1e-9 * values[-1]:
        return x
    common = (vectors * (values / (values + limit))) @ vectors.T
    return np.asarray(x - common.astype(np.float32) @ x)
