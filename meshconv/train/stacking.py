"""How much each part of an ensemble counts: from what each said of scans it had not learned
from.
"""

from __future__ import annotations

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
    count, n, k = logits.shape
    centred = logits - logits.mean(axis=2, keepdims=True)
    size = np.sqrt((centred**2).sum(axis=2).mean(axis=1) / (k - 1))
    size = np.maximum(size, 1e-9)
    parts = centred / size[:, None, None]
    targets = (np.eye(k)[index] * n + 1) / (n + k)
    beside = np.zeros(k) if offset is None else offset

    def loss(scaled: FloatArray) -> tuple[float, FloatArray]:
        shares = log_softmax(np.tensordot(scaled, parts, 1) + beside, axis=1)
        slope = np.einsum("nk,pnk->p", np.exp(shares) - targets, parts) / n
        apart = scaled - size * (scaled / size).mean()
        value = -(targets * shares).sum() / n + _PULL / (2 * n) * (apart**2).sum()
        slope += _PULL / n * (apart - (apart * size).sum() / size / count)
        return float(value), slope

    start, bounds = np.ones(count), [(_LEAST, None)] * count
    return np.asarray(minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x / size)


def cross_weighted(
    logits: FloatArray, index: IntArray, fold: IntArray, offset: FloatArray | None = None
) -> FloatArray:
    """Return the weighted sums (n, K) of logits (P, n, K) and an offset (K,), those of each fold
    with the weights that the other folds ask for: no scan has a say in its own.
    """
    out = np.zeros(logits.shape[1:])
    for k in np.unique(fold):
        held = fold == k
        weights = stacked(logits[:, ~held], index[~held], offset)
        out[held] = np.tensordot(weights, logits[:, held], 1)
    return out if offset is None else out + offset


def grown(weights: FloatArray, folds: int) -> NDArray[np.float64]:
    """Return the weights of networks that learn from all scans, from those that fit networks which
    learned from all folds but one.

    What learns from more is right more often and may be surer of it.
    """
    return weights * (folds / (folds - 1)) ** _LEARNING
