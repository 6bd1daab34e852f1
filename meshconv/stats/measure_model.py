"""`MeasureModel`: classes from measures, by logistic regression and by a kernel together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from meshconv._check import FloatArray, IntArray
from meshconv.stats.folds import inner_folds
from meshconv.stats.measure_kernel import FamilyKernel
from meshconv.stats.measure_logistic import LogisticModel, logistic
from meshconv.stats.measure_machine import KernelMachine
from meshconv.stats.normal_scores import NormalScores

_FREE = 100.0  # C of what makes logits of least squares: hardly a penalty


@dataclass(frozen=True, eq=False)
class MeasureModel:
    """The geometric mean of two probabilities: of a logistic regression, which sees a trend in each
    measure, and of a ridge regression on a `FamilyKernel`, which sees what is not one.

    Attributes
    ----------
    logistic : LogisticModel
    machine : KernelMachine, optional
        Its outputs are logits, from what it says of subjects it has not seen; None where a class
        has a single subject, or what it says of those goes against what they are.
    """

    logistic: LogisticModel
    machine: KernelMachine | None

    @classmethod
    def fit(
        cls,
        measures: FloatArray,
        index: IntArray,
        *,
        subjects: Sequence[Any] | None = None,
        balanced: bool = True,
        seed: int = 0,
        family: IntArray | None = None,
    ) -> Self:
        """Return what measures (n, M) say of classes (n,), 0..K-1.

        Parameters
        ----------
        measures, index, subjects, balanced, seed
            See `LogisticModel.fit`.
        family : (M,) int64, optional
            See `meshconv.stats.measure_families.families`; all are one by default.

        Raises
        ------
        ArgumentError
            If a measure is not finite.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.normal(size=(60, 3)), np.arange(60) % 2
        >>> x[:, 1] += 3 * y
        >>> model = MeasureModel.fit(x, y)
        >>> float((model.logits(x).argmax(axis=1) == y).mean()) > 0.9
        True
        """
        options: dict[str, Any] = {"balanced": balanced, "seed": seed}
        linear = LogisticModel.fit(measures, index, subjects=subjects, **options)
        options["family"] = family
        shown, whose = _held_out(measures, index, subjects, options)
        if len(np.unique(whose)) < int(index.max()) + 1:
            return cls(linear, None)
        slopes, bias = logistic(shown, whose, _FREE, "balanced" if balanced else None)
        apart = shown - shown.mean(axis=0)
        if np.vdot(apart, apart @ slopes) <= 0:  # it would be believed the wrong way round
            return cls(linear, None)
        machine = KernelMachine.of_classes(measures, index, **options)
        return cls(linear, machine.through(slopes, bias))

    def logits(self, measures: FloatArray) -> FloatArray:
        """Return the logits (n, K) of measures (n, M)."""
        linear = log_softmax(self.logistic.logits(measures), axis=1)
        if self.machine is None:
            return np.asarray(linear)
        return np.asarray((linear + log_softmax(self.machine(measures), axis=1)) / 2)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that it is made of, by name."""
        linear, machine = self.logistic, self.machine
        found = {"knots": linear.scores.knots, "weights": linear.weights, "bias": linear.bias}
        if machine is None:
            return found
        kernel = machine.kernel
        return {
            **found,
            "kernel.knots": kernel.scores.knots,
            "kernel.rows": kernel.rows,
            "kernel.family": kernel.family,
            "kernel.weights": kernel.weights,
            "machine.weights": machine.weights,
            "machine.bias": machine.bias,
        }

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]], strength: float) -> Self:
        """Return what `arrays` are of.

        Raises
        ------
        ValueError
            If their shapes do not go together.
        """
        knots, weights, bias = (arrays[name] for name in ("knots", "weights", "bias"))
        if knots.shape[1:] != weights.shape[:1] or weights.shape[1:] != bias.shape:
            raise ValueError(f"measures of shapes {knots.shape}, {weights.shape}, {bias.shape}")
        linear = LogisticModel(NormalScores(knots), weights, bias, strength)
        return cls(linear, _machine(arrays, weights.shape) if "kernel.rows" in arrays else None)


def _machine(arrays: Mapping[str, NDArray[Any]], shape: tuple[int, ...]) -> KernelMachine:
    names = ("kernel.knots", "kernel.rows", "kernel.family", "kernel.weights")
    knots, rows, family, shares = (arrays[name] for name in names)
    weights, bias = arrays["machine.weights"], arrays["machine.bias"]
    measures, classes = shape
    found = (knots.shape[1:], rows.shape, family.shape, weights.shape, bias.shape)
    n = len(rows)
    if found != ((measures,), (n, measures), (measures,), (n, classes), (classes,)):
        raise ValueError(f"a kernel of shapes {found}, measures of {shape}")
    if family.min() < 0 or family.max() != len(shares) - 1:
        raise ValueError(f"{len(shares)} families, numbered up to {family.max()}")
    return KernelMachine(FamilyKernel(NormalScores(knots), rows, family, shares), weights, bias)


def _held_out(
    measures: FloatArray,
    index: IntArray,
    subjects: Sequence[Any] | None,
    options: dict[str, Any],
) -> tuple[FloatArray, IntArray]:
    """Return what a kernel says of scans whose subjects it has not seen, and their classes;
    nothing where a class has a single subject.
    """
    shown, whose = [np.zeros((0, int(index.max()) + 1))], [index[:0]]
    for rows, held in inner_folds(index, subjects, seed=options["seed"]):
        machine = KernelMachine.of_classes(measures[rows], index[rows], **options)
        shown.append(machine(measures[held]))
        whose.append(index[held])
    return np.concatenate(shown), np.concatenate(whose)
