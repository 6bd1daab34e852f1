"""`Expectation`: what is expected of a scan: of its covariates, and of what it has in common with
others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from meshconv._check import BoolArray, FloatArray
from meshconv.stats.components import ROWS, Rows, add_products, component_count, sampled

Parts = Iterator[tuple[slice, Rows, BoolArray]]

_CLIP = 4.0  # robust standard deviations beyond which a value does not count
_ALONE = 1e-9  # of what covariates leave of a scan: it alone says what is expected of it
_ROUNDS = 4  # of filling in what scans of the norm do not reach
_MAD = 1.4826  # standard deviation of a normal distribution / median absolute deviation
_INSIDE = 0.9995  # standard deviation of a normal distribution less what is beyond 4


class Scans(Protocol):
    """Values of n scans in C channels at D pixels, read a part of the pixels at a time."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n, C, D)."""
        ...

    def __iter__(self) -> Parts:
        """Yield which pixels, their values (n, C, d), 0 where they are not there, and where they
        are, (n, d).
        """
        ...


@dataclass(frozen=True, eq=False)
class Expectation:
    """A linear model of covariates, and a ridge regression on other scans: on all of the norm, or
    on as many of a large one as are enough.
    """

    beta: FloatArray  # (1 + Z, C, D)
    rows: Rows  # (m, C, D), of the norm, less what covariates say, clipped
    ridge: float  # added to their products; inf if nothing in common is expected

    @classmethod
    def fit(cls, scans: Scans, table: FloatArray, components: int | str) -> Expectation:
        """Return what is expected of scans beside covariates (n, Z)."""
        n, c, d = scans.shape
        design, sample = _design(table), sampled(n)
        beta = np.empty((design.shape[1], c, d))
        rows = np.empty((len(sample), c, d), dtype=np.float32)
        known = np.empty((len(sample), d), dtype=bool)
        for place, x, there in scans:
            known[:, place] = there[sample]
            for k in range(c):
                beta[:, k, place], limit = _linear(x[:, k], there, design)
                left = x[sample, k] - design[sample] @ beta[:, k, place]
                rows[:, k, place] = np.where(there[sample], np.clip(left, -limit, limit), 0)
        count = component_count(components, len(sample) - design.shape[1])
        if count == 0:
            return cls(beta, rows, np.inf)
        return cls(beta, *_filled(rows, known, count))

    def unseen(self, scans: Scans, table: FloatArray) -> Unseen:
        """Return what is left of the scans of the norm, as if the norm were of the others."""
        return Unseen(self, scans, table, self._weights(scans, table))

    def left(self, x: Rows, there: BoolArray, table: FloatArray) -> FloatArray:
        """Return what is left (C, D) of another scan, from where it is there, (D,)."""
        left = np.where(there, x - np.tensordot(_design(table)[0], self.beta, 1), 0)
        if np.isfinite(self.ridge):
            flat = self.rows.reshape(len(self.rows), -1)
            weights = cho_solve(self._system(there), flat @ left.ravel())
            left = np.where(there, left - (weights @ flat).reshape(left.shape), 0)
        return np.asarray(left)

    def beside(self, x: Rows, there: BoolArray, design: FloatArray, place: slice) -> Rows:
        """Return what covariates leave of scans (n, C, d) at some pixels."""
        out = np.empty(x.shape, dtype=np.float32)
        for k in range(x.shape[1]):
            out[:, k] = np.where(there, x[:, k] - design @ self.beta[:, k, place], 0)
        return out

    def _weights(self, scans: Scans, table: FloatArray) -> Rows | None:
        """Return by which weights (n, m) of the rows each scan is what others would make of it.

        Of a scan that is none of the rows, as of another one. Else in closed form, of the pixels
        that the scan reaches: with w = A^-1 e_i and A the rows' products and the ridge, -w / w_i is
        ridge regression on the other rows.
        """
        if not np.isfinite(self.ridge):
            return None
        n, m, d = scans.shape[0], len(self.rows), scans.shape[2]
        out, known = np.zeros((n, m), dtype=np.float32), np.empty((n, d), dtype=bool)
        design = _design(table)
        for place, x, there in scans:
            known[:, place] = there
            left = self.beside(x, there, design, place)
            add_products(
                out, left.reshape(n, -1), self.rows[..., place].reshape(len(self.rows), -1)
            )
        sample = sampled(n)
        own = np.full(n, -1)
        own[sample] = np.arange(len(sample))
        for members in _alike(known):
            system = self._system(known[members[0]])
            for k in range(0, len(members), ROWS):
                some = members[k : k + ROWS]
                out[some] = _solved(system, out[some].astype(np.float64), own[some])
        return out

    @cached_property
    def _products(self) -> FloatArray:
        total = np.zeros((len(self.rows), len(self.rows)))
        for k in range(self.rows.shape[1]):
            total += _squared(self.rows[:, k])
        return total

    def _system(self, there: BoolArray) -> Any:
        """Return the factor of the rows' products, over pixels that are there, and the ridge."""
        system = self._products - _squared(self.rows[..., ~there].reshape(len(self.rows), -1))
        system.flat[:: len(system) + 1] += self.ridge
        return cho_factor(system, lower=True, overwrite_a=True, check_finite=False)


@dataclass(frozen=True, eq=False)
class Unseen:
    """What is left of each scan of the norm, as if the norm were of the others; read in parts, as
    often as it is asked for.
    """

    expected: Expectation
    scans: Scans
    table: FloatArray
    weights: Rows | None

    def __iter__(self) -> Parts:
        """Yield as `Scans` do."""
        design, rows = _design(self.table), self.expected.rows
        share = 1.0 - np.einsum("np,pn->n", design, np.linalg.pinv(design))
        judged = share > _ALONE
        share = np.where(judged, share, 1.0)
        for place, x, known in self.scans:
            there = known & judged[:, None]
            left = self.expected.beside(x, there, design, place)
            for k in range(left.shape[1]):
                if self.weights is not None:
                    left[:, k] -= self.weights @ rows[:, k, place]
                left[:, k] /= share[:, None]
                left[:, k] *= there
            yield place, left, there


def _design(table: FloatArray) -> FloatArray:
    return np.column_stack([np.ones(len(table)), table])


def _linear(x: Rows, there: BoolArray, design: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the coefficients (1 + Z, d) of values (n, d), and beyond what size what they leave
    does not count: a few odd scans must not move the norm.
    """
    middle = quantiles(x, there, (0.5,))[0].astype(np.float32)
    beta = np.linalg.lstsq(design, np.where(there, x, middle), rcond=None)[0]
    left = np.where(there, x - design @ beta, 0)
    limit = _CLIP * robust(left, there)
    return beta + np.linalg.lstsq(design, np.clip(left, -limit, limit), rcond=None)[0], limit


def _filled(rows: Rows, known: BoolArray, count: int) -> tuple[Rows, float]:
    """Return rows (m, C, D) in which what is not there is what others would make of the rest, and
    the ridge.
    """
    for _ in range(_ROUNDS):
        flat = rows.reshape(len(rows), -1)
        products = (flat @ flat.T).astype(np.float64)
        values = np.linalg.eigvalsh(products)[::-1]
        ridge = max(float(values[count]), 1e-9 * float(values[0]), 1e-300)
        if known.all():
            break
        hat = np.linalg.solve(products + ridge * np.eye(len(rows)), products).astype(np.float32)
        rows = np.where(known[:, None], rows, (hat.T @ flat).reshape(rows.shape))
    return rows, ridge


def _squared(rows: Rows) -> FloatArray:
    x = rows.astype(np.float64)
    return np.asarray(x @ x.T)


def _alike(known: BoolArray) -> list[NDArray[np.int64]]:
    """Return which scans reach the same pixels: one system is solved for all of them."""
    _, whose = np.unique(np.packbits(known, axis=1), axis=0, return_inverse=True)
    order = np.argsort(whose.ravel(), kind="stable")
    return np.split(order, np.flatnonzero(np.diff(whose.ravel()[order])) + 1)


def _solved(system: Any, products: FloatArray, own: NDArray[np.int64]) -> FloatArray:
    """Return the weights (k, m) of scans with these products; `own`: which row it is, or -1."""
    (inside,) = np.nonzero(own >= 0)
    products[inside] = 0
    products[inside, own[inside]] = 1
    weights = cho_solve(system, products.T, overwrite_b=True, check_finite=False).T
    weights[inside] /= -weights[inside, own[inside]][:, None]
    weights[inside, own[inside]] = 0
    return np.asarray(weights)


def robust(left: NDArray[Any], there: BoolArray) -> FloatArray:
    """Return the standard deviation (D,) of what is there, of which a few may be anything."""
    left = np.abs(left)
    inside = there & (left <= _CLIP * _MAD * quantiles(left, there, (0.5,))[0])
    square = np.einsum("nd,nd,nd->d", left, left, inside, dtype=np.float64)
    return np.asarray(np.sqrt(square / np.maximum(inside.sum(axis=0), 1)) / _INSIDE)


def quantiles(values: NDArray[Any], there: BoolArray, at: tuple[float, ...]) -> FloatArray:
    """Return quantiles (q, D) of what is there of values (n, D), linear between two; 0 if nothing
    is.
    """
    x = np.where(there, values, np.inf)
    x.sort(axis=0)
    last = np.maximum(there.sum(axis=0) - 1, 0)
    out = np.empty((len(at), x.shape[1]))
    for k, q in enumerate(at):
        low = np.floor(q * last).astype(np.int64)
        below, above = (
            np.take_along_axis(x, j[None], axis=0)[0].astype(np.float64)
            for j in (low, np.minimum(low + 1, last))
        )
        out[k] = below + (q * last - low) * (above - below)
    return np.where(there.any(axis=0), out, 0)
