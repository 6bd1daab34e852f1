"""How much each part of an ensemble counts: from what each said of scans it had not learned
from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from meshconv._check import FloatArray, IntArray

_LEAST = 1e-3  # logits of a part that says nothing: so that even those of chance differ
_PUT_BACK = 0.5  # of the log frequencies
_PULL = 1.0  # towards weights that are all alike: as strong as one scan of a logit of 1
_LEARNING = 0.5  # by which power of the number of scans the scale of honest logits grows


def log_frequencies(index: IntArray, class_weight: Any) -> FloatArray:
    """Return what is to be added to logits, (K,), for how frequent classes (n,) are.

    Networks that learned with ``class_weight="balanced"`` take all classes to be equally frequent.
    Bayes' rule would put the frequencies back by their logarithm. Half of it is put back: how
    frequent the classes will be among the scans to come is known only roughly. (X-rays, a quarter
    normal, learned from 250: accuracy on others of the same clinic .916, .932, .936 with none,
    half and all of it, of two networks .928, .928, .936; on the official test set, of which three
    eighths are normal, .835, .827, .803 and .841, .833, .806.) Networks that learned with other
    weights know the frequencies: 0.

    >>> np.exp(2 * log_frequencies(np.array([0, 0, 0, 1]), "balanced")).round(2).tolist()
    [0.75, 0.25]
    """
    count = np.bincount(index)
    put_back = _PUT_BACK if class_weight == "balanced" else 0.0
    return np.asarray(put_back * np.log(count / len(index)))


@dataclass(frozen=True, eq=False)
class Stack:
    """How logits of several parts become those of one.

    Attributes
    ----------
    weights : (P,) float64
        Of the parts, above 0.
    offset : (K,) float64
        What is added to the logits of each class.
    """

    weights: FloatArray
    offset: FloatArray

    def __call__(self, logits: FloatArray) -> FloatArray:
        """Return the logits (n, K) of those of the parts, (P, n, K)."""
        return np.asarray(np.tensordot(self.weights, logits, 1) + self.offset)


def stacked(logits: FloatArray, index: IntArray, offset: FloatArray | None = None) -> FloatArray:
    """Return weights (P,), all above 0, with which logits (P, n, K) of P parts, and an offset (K,)
    beside them, make the classes (n,) as likely as can be.

    Their sum is also the scale at which probabilities are honest (a temperature): a part at chance
    counts for next to nothing, and where all are, probabilities are all alike. As in Platt, 1999,
    eq. (1), nothing is taken to be quite certain: the targets are those of one more scan of each
    class. With few scans the weights are drawn to one another.

    References
    ----------
    Breiman, 1996, doi:10.1007/BF00117832 (stacking). Guo et al., 2017, arXiv 1706.04599
    (temperature).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> honest, chance = rng.normal(size=(2, 4000, 2))
    >>> index = (rng.random(4000) < 1 / (1 + np.exp(honest[:, 0] - honest[:, 1]))).astype(int)
    >>> bool(np.abs(stacked(np.stack([3 * honest, chance]), index) - [1 / 3, 0]).max() < 0.05)
    True
    """
    beside = np.zeros(logits.shape[2]) if offset is None else offset
    return _likeliest(logits, index, beside, np.ones(len(index)), levelled=False).weights


def best_stack(
    logits: FloatArray, index: IntArray, fold: IntArray, offset: FloatArray | None = None
) -> Stack:
    """Return the weights of `stacked` with its offset; where that pays, with a level of each class
    besides, in the sense of Platt, 1999, learned together with the weights.

    New images are made of differences within a class (`meshconv.train.variation`). Where classes
    differ in how rough or how spread they are, these move a network's threshold: it tells them
    apart, and still calls too many of one by the name of the other. A level is only learned where
    the loss of folds (n,) left out, all classes alike if the networks learned so, falls by more
    than its standard error (the one-standard-error rule); without an offset, never. (Faces that
    differ in a texture of .8 mm, 400 to learn from: accuracy .900 without, .975 with levels.)

    References
    ----------
    Platt, 1999, Probabilistic outputs for support vector machines. Breiman et al., 1984,
    Classification and regression trees (one standard error).
    """
    if offset is None:
        return Stack(stacked(logits, index), np.zeros(logits.shape[2]))
    simple = _either(logits, index, offset, levelled=False)
    importance = _importance(index, offset)
    loss = np.zeros((2, len(index)))
    for k in np.unique(fold):
        held, rest = fold == k, fold != k
        if len(np.unique(index[rest])) < logits.shape[2]:
            return simple
        for levelled in (False, True):
            one = _either(logits[:, rest], index[rest], offset, levelled=levelled)
            shares = log_softmax(one(logits[:, held]) - offset, axis=1)
            loss[int(levelled), held] = -shares[np.arange(held.sum()), index[held]]
    gain = importance * (loss[0] - loss[1])
    pays = gain.mean() > gain.std() / np.sqrt(len(gain))
    return _either(logits, index, offset, levelled=True) if pays else simple


def _either(logits: FloatArray, index: IntArray, offset: FloatArray, *, levelled: bool) -> Stack:
    """Return the stack with levels or without."""
    if not levelled:
        return Stack(stacked(logits, index, offset), offset)
    importance = _importance(index, offset)
    found = _likeliest(logits, index, np.zeros(len(offset)), importance, levelled=True)
    return Stack(found.weights, found.offset + offset)


def _importance(index: IntArray, offset: FloatArray) -> FloatArray:
    """Return how important each scan is, (n,): all classes alike where networks learned so."""
    return np.asarray(1 / np.bincount(index)[index]) if offset.any() else np.ones(len(index))


def _likeliest(
    logits: FloatArray,
    index: IntArray,
    beside: FloatArray,
    importance: FloatArray,
    *,
    levelled: bool,
) -> Stack:
    """Return the weights, and levels of mean 0 if asked for, that make the classes likeliest, each
    scan as important as is said.
    """
    count, n, k = logits.shape
    centred = logits - logits.mean(axis=2, keepdims=True)
    size = np.sqrt((centred**2).sum(axis=2).mean(axis=1) / (k - 1))
    size = np.maximum(size, 1e-9)
    parts, share = centred / size[:, None, None], (importance / importance.sum())[:, None]
    targets = share * (np.eye(k)[index] * n + 1) / (n + k)

    def loss(given: FloatArray) -> tuple[float, FloatArray]:
        scaled, level = given[:count], given[count:] if levelled else np.zeros(k)
        shares = log_softmax(np.tensordot(scaled, parts, 1) + beside + level, axis=1)
        wrong = share * np.exp(shares) - targets
        apart = scaled - size * (scaled / size).mean()
        pull = (apart**2).sum() + (level**2).sum()
        slope = np.einsum("nk,pnk->p", wrong, parts)
        slope += _PULL / n * (apart - (apart * size).sum() / size / count)
        more = wrong.sum(axis=0) + _PULL / n * level if levelled else level[:0]
        value = -(targets * shares).sum() + _PULL / (2 * n) * pull
        return float(value), np.concatenate([slope, more])

    free = k if levelled else 0
    start = np.concatenate([np.ones(count), np.zeros(free)])
    bounds = [(_LEAST, None)] * count + [(None, None)] * free
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    level = found[count:] - found[count:].mean() if levelled else np.zeros(k)
    return Stack(found[:count] / size, level)


def cross_weighted(
    logits: FloatArray, index: IntArray, fold: IntArray, offset: FloatArray | None = None
) -> FloatArray:
    """Return the sums (n, K) of logits (P, n, K) by `best_stack`, those of each fold by what the
    other folds ask for: no scan has a say in its own.
    """
    out = np.zeros(logits.shape[1:])
    for k in np.unique(fold):
        held, rest = fold == k, fold != k
        out[held] = best_stack(logits[:, rest], index[rest], fold[rest], offset)(logits[:, held])
    return out


def grown(weights: FloatArray, folds: int) -> NDArray[np.float64]:
    """Return the weights, or levels, of networks that learn from all scans, from those that fit
    networks which learned from all folds but one.

    What learns from more is right more often and may be surer of it.
    """
    return weights * (folds / (folds - 1)) ** _LEARNING
