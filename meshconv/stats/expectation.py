"""`Expectation`: what is expected of a scan: of its covariates, and of what it has in common with
others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import BoolArray, FloatArray
from meshconv.stats.components import component_count

Rows = NDArray[np.float32]

_CLIP = 4.0  # robust standard deviations beyond which a value does not count
_ROUNDS = 4  # of filling in what scans of the norm do not reach
_MAD = 1.4826  # standard deviation of a normal distribution / median absolute deviation
_INSIDE = 0.9995  # standard deviation of a normal distribution less what is beyond 4


@dataclass(frozen=True, eq=False)
class Expectation:
    """A linear model of covariates, and a ridge regression on other scans."""

    beta: FloatArray  # (1 + Z, D)
    rows: Rows  # (n, D), of the norm, less what covariates say, clipped
    ridge: float  # added to their products; inf if nothing in common is expected

    @classmethod
    def fit(
        cls, x: Rows, there: BoolArray, table: FloatArray, components: int | str
    ) -> Expectation:
        """Return what is expected of rows (n, D), 0 where they are not there, beside covariates
        (n, Z).
        """
        design = _design(table)
        middle = np.nan_to_num(np.nanmedian(np.where(there, x, np.nan), axis=0))
        beta = np.linalg.lstsq(design, np.where(there, x, middle), rcond=None)[0]
        left = np.where(there, x - design @ beta, 0)
        limit = _CLIP * robust(left, there)  # a few odd scans must not move the norm
        beta = beta + np.linalg.lstsq(design, np.clip(left, -limit, limit), rcond=None)[0]
        rows = np.where(there, np.clip(x - design @ beta, -limit, limit), 0).astype(np.float32)
        count = component_count(components, len(rows) - design.shape[1])
        if count == 0:
            return cls(beta, rows, np.inf)
        for _ in range(_ROUNDS):  # what is not there is what others would make of the rest
            products = (rows @ rows.T).astype(np.float64)
            values = np.linalg.eigvalsh(products)[::-1]
            ridge = max(float(values[count]), 1e-9 * float(values[0]), 1e-300)
            if there.all():
                break
            hat = np.linalg.solve(products + ridge * np.eye(len(rows)), products)
            rows = np.where(there, rows, hat.astype(np.float32).T @ rows)
        return cls(beta, rows, ridge)

    def unseen(self, x: Rows, there: BoolArray, table: FloatArray) -> FloatArray:
        """Return what is left (n, D) of each scan of the norm, as if the norm were of the others.

        In closed form, of the pixels that the scan reaches: with w = A^-1 e_i and A the rows'
        products and the ridge, w' rows / w_i is what ridge regression on the other rows leaves.
        """
        design = _design(table)
        left = np.where(there, x - design @ self.beta, 0)
        if np.isfinite(self.ridge):
            products = (self.rows @ self.rows.T).astype(np.float64)
            for k, known in enumerate(there):
                hidden = self.rows[:, ~known]
                own = products - (hidden @ hidden.T) + self.ridge * np.eye(len(x))
                weight = np.linalg.solve(own, np.eye(len(x))[k])
                left[k] += (weight / weight[k]) @ self.rows - self.rows[k]
        leverage = np.einsum("np,pn->n", design, np.linalg.pinv(design))
        return np.where(there, left / (1 - leverage)[:, None], 0)

    def left(self, x: Rows, there: BoolArray, table: FloatArray) -> FloatArray:
        """Return what is left (D,) of another scan, from where it is there."""
        left = np.where(there, x - (_design(table) @ self.beta)[0], 0)
        if np.isfinite(self.ridge):
            rows = self.rows[:, there].astype(np.float64)
            own = rows @ rows.T + self.ridge * np.eye(len(rows))
            left[there] -= np.linalg.solve(own, rows @ left[there]) @ rows
        return np.asarray(left)


def _design(table: FloatArray) -> FloatArray:
    return np.column_stack([np.ones(len(table)), table])


def robust(left: NDArray[Any], there: BoolArray) -> FloatArray:
    """Return the standard deviation (D,) of what is there, of which a few may be anything."""
    size = np.nan_to_num(np.nanmedian(np.where(there, np.abs(left), np.nan), axis=0)) * _MAD
    inside = there & (np.abs(left) <= _CLIP * size)
    mean = np.where(inside, left, 0) ** 2
    return np.asarray(np.sqrt(mean.sum(axis=0) / np.maximum(inside.sum(axis=0), 1)) / _INSIDE)
