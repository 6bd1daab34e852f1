"""Principal components of all scans, blind to any label: what individuals have in common, taken out
so that small local differences stand out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meshconv._check import IntArray, in_range
from meshconv.errors import ArgumentError

Rows = NDArray[np.float32]

ROWS = 800  # whose variation stands for that of all: what is kept grows with rows, not their square
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


def sampled(n: int) -> IntArray:
    """Return the rows of which components are made: all, or as many as are enough, evenly."""
    return np.unique(np.linspace(0, n - 1, min(n, ROWS)).round().astype(np.int64))


def add_products(products: Rows, x: Rows, own: Rows) -> None:
    """Add, in place, those of rows (n, d) with others (m, d), (n, m)."""
    if products.size:
        for k in range(0, len(x), ROWS):
            products[k : k + ROWS] += x[k : k + ROWS] @ own.T


def common_weights(products: Rows, sample: IntArray, count: int) -> Rows | None:
    """Return what rows have in common as weights (n, m) of the sample's, in place of their
    products with these (n, m): x - weights @ x[sample] are rows without it. None if that is x.

    Each principal component is divided by 1 + its variance / that of the first one after `count`:
    the first are all but removed, the last are kept. Removing just the first would make more of the
    exact number than there is to it.
    """
    if count == 0:
        return None
    values, vectors = np.linalg.eigh(products[sample].astype(np.float64))
    values = np.maximum(values, 0.0)
    limit = values[-1 - count] if count < len(values) else 0.0
    if not limit > 1e-9 * values[-1]:
        return None
    inverse = (vectors / (values + limit)) @ vectors.T
    for k in range(0, len(products), ROWS):
        products[k : k + ROWS] = products[k : k + ROWS] @ inverse
    return products
