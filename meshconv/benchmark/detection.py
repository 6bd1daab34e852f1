"""Boxes: anchor-free detection at the centres of windows, and mean average precision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.errors import ArrayTypeError

_INNER = 0.6  # share of a box's sides within which a window's centre belongs to it


def assigned(centres: Tensor, boxes: Tensor) -> Tensor:
    """Return which box each window belongs to, (P,) int64; -1 for none.

    The smallest box in whose middle part (.6 of each side) its centre lies; of every box the
    nearest window in any case.

    Parameters
    ----------
    centres : (P, 2) Tensor
        (row, column) in pixels.
    boxes : (k, 4) Tensor
        First row, first column, row and column behind the last.

    References
    ----------
    Tian et al., 2019, doi:10.1109/ICCV.2019.00972 (FCOS).
    """
    if not len(boxes):
        return centres.new_full((len(centres),), -1, dtype=torch.int64)
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    away = (centres[:, None] - middle).abs()
    inside = (away <= _INNER * half).all(dim=2)
    area = (4 * half.prod(dim=1)).expand(len(centres), -1)
    cost = torch.where(inside, area, torch.inf)
    least, owner = cost.min(dim=1)
    owner = torch.where(least < torch.inf, owner, -1)
    nearest = away.square().sum(dim=2).argmin(dim=0)
    owner[nearest] = torch.arange(len(boxes), device=boxes.device)
    return owner


def detection_loss(
    logits: Tensor, sides: Tensor, centres: Tensor, boxes: Sequence[Tensor], kinds: Sequence[Tensor]
) -> Tensor:
    """Return focal loss of the kinds plus L1 loss of the logarithms of the four distances.

    Parameters
    ----------
    logits : (B, K, P) Tensor
        One for each kind and window.
    sides : (B, 4, P) Tensor
        Logarithms of the distances from a window's centre to the four sides of its box, in pixels.
    centres : (B, P, 2) Tensor
    boxes, kinds : B tensors (k, 4) and (k,)

    References
    ----------
    Lin et al., 2017, doi:10.1109/ICCV.2017.324, eq. (5), alpha .25, gamma 2.
    """
    target, distance = torch.zeros_like(logits), logits.new_zeros(())
    count = 0
    for b, (own, kind) in enumerate(zip(boxes, kinds, strict=True)):
        owner = assigned(centres[b], own)
        mine = owner >= 0
        target[b, kind[owner[mine]], mine.nonzero()[:, 0]] = 1.0
        at, of = centres[b][mine], own[owner[mine]]
        true = torch.cat([at - of[:, :2], of[:, 2:] - at], dim=1).clamp_min(1.0).log()
        distance = distance + (sides[b][:, mine].T - true).abs().mean(dim=1).sum()
        count += int(mine.sum())
    p = torch.sigmoid(logits)
    wrong = torch.where(target > 0, 1 - p, p)
    weight = torch.where(target > 0, 0.25, 0.75) * wrong.square()
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return ((weight * entropy).sum() + distance) / max(count, 1)


def found_boxes(
    logits: Tensor, sides: Tensor, centres: Tensor, *, threshold: float = 0.02, overlap: float = 0.5
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return the boxes of one image (k, 4), their scores and kinds, best first; of those of a kind
    that overlap by more than `overlap` (intersection over union) only the best.
    """
    score, kind = torch.sigmoid(logits).max(dim=0)
    kept = score > threshold
    reach = sides[:, kept].clamp(-2, 8).exp().T
    at = centres[kept]
    boxes = torch.cat([at - reach[:, :2], at + reach[:, 2:]], dim=1).double().numpy()
    scores, kinds = score[kept].double().numpy(), kind[kept].numpy()
    order = np.argsort(-scores, kind="stable")
    boxes, scores, kinds = boxes[order], scores[order], kinds[order]
    alike = (iou(boxes, boxes) > overlap) & (kinds[:, None] == kinds)
    stays = np.ones(len(boxes), dtype=bool)
    for k in range(len(boxes)):
        if stays[k]:
            stays[k + 1 :] &= ~alike[k, k + 1 :]
    return boxes[stays], scores[stays], kinds[stays]


def iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the intersection over union of boxes (k, 4) and (m, 4), (k, m).

    >>> iou(np.array([[0, 0, 2, 2.0]]), np.array([[0, 1, 2, 3.0]])).round(3).tolist()
    [[0.333]]
    """
    first = np.maximum(a[:, None, :2], b[None, :, :2])
    last = np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = np.maximum(last - first, 0).prod(axis=2)
    areas = [(x[:, 2:] - x[:, :2]).prod(axis=1) for x in (a, b)]
    return np.asarray(both / np.maximum(areas[0][:, None] + areas[1] - both, 1e-12))


def average_precision(scores: FloatArray, hits: BoolArray, n_true: int) -> float:
    """Return the area under the precision-recall curve, precision made to fall (all points).

    Parameters
    ----------
    scores : (m,) array
        Of all detections of a kind.
    hits : (m,) bool
        Whether a detection found a true box that no better one had found.
    n_true : int
        Number of true boxes.

    References
    ----------
    Everingham et al., 2010, doi:10.1007/s11263-009-0275-4.

    >>> average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 2)
    0.8333333333333333
    """
    if n_true < 1 or len(scores) != len(hits):
        raise ArrayTypeError(
            f"need a hit for each score and true boxes, found {len(scores)} scores,"
            f" {len(hits)} hits, {n_true} boxes"
        )
    right = hits[np.argsort(-scores, kind="stable")].cumsum()
    precision = right / np.arange(1, len(right) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(right, prepend=0) * falling).sum() / n_true)


def hits_of(boxes: FloatArray, true: FloatArray, *, overlap: float = 0.5) -> BoolArray:
    """Return which boxes (k, 4), best first, find a true one (m, 4) that none before them found."""
    hits, free = np.zeros(len(boxes), dtype=bool), np.ones(len(true), dtype=bool)
    shared = iou(boxes, true)
    for k, row in enumerate(shared):
        best = np.where(free, row, 0.0)
        if len(true) and best.max() >= overlap:
            hits[k], free[best.argmax()] = True, False
    return hits
