"""What images are told apart by: groups, scores, or several of them at once, and how they may be
exchanged if they meant nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import lgamma
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshconv._check import FloatArray, IntArray
from meshconv.errors import ArgumentError
from meshconv.stats.folds import subject_numbers


@dataclass(frozen=True, eq=False)
class Targets:
    """What n rows are told apart by.

    Attributes
    ----------
    columns : (n, q) float64
        Orthonormal, without what all rows (or all rows of a subject) have in common: of K groups
        K - 1 columns, of a score one. The sum of squares that groups explain in x is then
        |columns' x|^2, whatever their number.
    starts : (T,) int64
        The first column of each task.
    subject : (n,) int64
    within : bool
        Whether every subject has several rows, so that they are compared with each other alone.
    log_arrangements : float
        Logarithm of the number of ways in which the targets could lie.
    """

    columns: FloatArray
    starts: IntArray
    subject: IntArray
    within: bool
    log_arrangements: float

    @property
    def widths(self) -> IntArray:
        """Number of columns of each task, (T,)."""
        return np.diff(self.starts, append=self.columns.shape[1])

    def orders(self, count: int, seed: int) -> Iterator[IntArray]:
        """Yield orders of the rows that are as likely as the given one if targets mean nothing.

        Rows of a subject that has several change places with each other; those of subjects that
        have one, with each other.
        """
        rng = np.random.default_rng(seed)
        sizes = np.bincount(self.subject)
        block = np.where(sizes[self.subject] > 1, self.subject + 1, 0)
        by_block = np.argsort(block, kind="stable")
        for _ in range(count):
            order = np.empty(len(block), dtype=np.int64)
            order[by_block] = np.lexsort((rng.random(len(block)), block))
            yield order

    def permuted(self, count: int, seed: int) -> NDArray[np.float32]:
        """Return the columns, and as many times in another order, (1 + count, n, q)."""
        others = [self.columns[order] for order in self.orders(count, seed)]
        return np.stack([self.columns, *others]).astype(np.float32)


def targets(values: ArrayLike, subjects: Sequence[Any] | None = None) -> tuple[Targets, IntArray]:
    """Return targets of rows, each of one subject and one value, and the row of each image.

    Parameters
    ----------
    values : (n,) or (n, T) array_like
        Whole numbers (or truth values) are groups, others are scores; several columns are tasks.
    subjects : sequence of n, optional
        Whom each image is of; an empty one is unknown, and another each time. Images of one subject
        that have the same values are one row.

    Raises
    ------
    ArgumentError
        If a value is not finite, a task has one value alone, or the subjects are of another number.
    """
    given = np.asarray(values)
    if given.ndim not in (1, 2) or given.dtype.kind not in "iubf" or given.size == 0:
        raise ArgumentError(
            f"targets must be numbers (n,) or (n, tasks), found {given.dtype} {given.shape}"
        )
    if not np.isfinite(given).all():
        raise ArgumentError("targets must be finite", hint="leave these images out")
    table = given.reshape(len(given), -1)
    whom = subject_numbers(len(table), subjects)
    cells, row = np.unique(
        np.column_stack([whom, table.astype(np.float64)]), axis=0, return_inverse=True
    )
    subject, table = cells[:, 0].astype(np.int64), cells[:, 1:].astype(given.dtype)
    sizes = np.bincount(subject)
    within = bool(len(sizes) < len(subject) and sizes.min() > 1)
    parts = [_basis(column, subject if within else None) for column in table.T]
    widths = [part.shape[1] for part in parts]
    if 0 in widths:
        raise ArgumentError(
            f"task {widths.index(0)} of the targets has one value alone"
            + (" in every subject" if within else ""),
            hint="two groups at least",
        )
    starts = np.cumsum([0, *widths[:-1]])
    found = Targets(np.hstack(parts), starts, subject, within, _log_arrangements(table, subject))
    return found, row.ravel()


def _basis(values: NDArray[Any], subject: IntArray | None) -> FloatArray:
    """Return orthonormal columns that span indicators of groups, or a score, less means."""
    if values.dtype.kind in "iub":
        table = (values[:, None] == np.unique(values)).astype(np.float64)
    else:
        table = values[:, None].astype(np.float64)
    table = table - table.mean(axis=0)
    if subject is not None:
        table = within_subjects(table, subject)
    u, s, _ = np.linalg.svd(table, full_matrices=False)
    return np.asarray(u[:, s > 1e-9 * max(s[0], 1e-300)])


def within_subjects(rows: NDArray[Any], subject: IntArray) -> NDArray[Any]:
    """Return rows (n, ...) less the mean of the rows of their subject."""
    order = np.argsort(subject, kind="stable")
    first = np.flatnonzero(np.diff(subject[order], prepend=-1))
    count = np.bincount(subject).astype(rows.dtype).reshape(-1, *[1] * (rows.ndim - 1))
    return np.asarray(rows - (np.add.reduceat(rows[order], first) / count)[subject])


def _log_arrangements(table: NDArray[Any], subject: IntArray) -> float:
    """Return log of the number of different orders of the rows, see `Targets.orders`."""
    kind = np.unique(table, axis=0, return_inverse=True)[1].ravel()
    sizes = np.bincount(subject)
    block = np.where(sizes[subject] > 1, subject + 1, 0)
    total = 0.0
    for one in np.unique(block):
        counts = np.bincount(kind[block == one])
        total += lgamma(counts.sum() + 1) - sum(lgamma(count + 1) for count in counts)
    return total
