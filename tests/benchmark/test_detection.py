"""Detection: which window belongs to which box, and what mean average precision is."""

import numpy as np
import pytest
import torch

from meshconv.benchmark.detection import (
    assigned,
    average_precision,
    detection_loss,
    found_boxes,
    hits_of,
    iou,
)
from meshconv.errors import ArrayTypeError


def _answers(boxes, kinds, centres, n_kinds=2):
    """Logits and distances of a detector that is right everywhere."""
    owner = assigned(centres, boxes)
    logits = torch.full((n_kinds, len(centres)), -9.0)
    sides = torch.zeros(4, len(centres))
    for p, k in enumerate(owner.tolist()):
        if k >= 0:
            logits[kinds[k], p] = 9.0
            reach = torch.cat([centres[p] - boxes[k, :2], boxes[k, 2:] - centres[p]])
            sides[:, p] = reach.clamp_min(1.0).log()
    return logits, sides


GRID = torch.cartesian_prod(torch.arange(2.0, 40, 4), torch.arange(2.0, 40, 4))
BOXES = torch.tensor([[0.0, 0, 20, 20], [22, 6, 36, 30], [4, 24, 16, 38]])
KIND = torch.tensor([0, 1, 0])


def test_a_detector_that_is_right_finds_every_box_once_and_has_no_loss():
    logits, sides = _answers(BOXES, KIND, GRID)
    boxes, scores, kinds = found_boxes(logits, sides, GRID)
    order = np.lexsort((boxes[:, 1], boxes[:, 0]))
    np.testing.assert_allclose(boxes[order], BOXES[[0, 2, 1]].numpy(), atol=1e-5)
    assert kinds[order].tolist() == [0, 0, 1] and (scores > 0.99).all()
    perfect = detection_loss(logits[None], sides[None], GRID[None], [BOXES], [KIND])
    moved = detection_loss(logits[None], sides[None] + 0.3, GRID[None], [BOXES], [KIND])
    swapped = detection_loss(logits[None].flip(1), sides[None], GRID[None], [BOXES], [KIND])
    assert perfect < 1e-3
    assert float(moved - perfect) == pytest.approx(0.3, abs=1e-5)  # a mean of the four logarithms
    assert swapped > 1


def test_a_window_belongs_to_the_smallest_box_and_every_box_has_one():
    boxes = torch.tensor([[0.0, 0, 40, 40], [15, 15, 25, 25], [30.2, 30.2, 31, 31]])
    owner = assigned(GRID, boxes)
    at = {tuple(c): k for c, k in zip(GRID.int().tolist(), owner.tolist(), strict=True)}
    assert at[18, 18] == 1 and at[14, 14] == 0 and at[2, 2] == -1 and at[30, 30] == 2
    assert (assigned(GRID, torch.zeros(0, 4)) == -1).all()


def test_average_precision_of_small_cases():
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    hits = np.array([True, False, True, True])
    # precision 1 at recall 1/4, then 2/3 and 3/4 (made to fall: 3/4) up to recall 3/4
    assert average_precision(scores, hits, 4) == pytest.approx(0.25 * (1 + 0.75 + 0.75))
    assert average_precision(scores[::-1], hits[::-1], 4) == pytest.approx(0.25 * (1 + 0.75 + 0.75))
    assert average_precision(scores, np.zeros(4, bool), 4) == 0
    assert average_precision(np.zeros(0), np.zeros(0, bool), 3) == 0
    with pytest.raises(ArrayTypeError, match="0 boxes"):
        average_precision(scores, hits, 0)


def test_random_scores_have_the_precision_of_chance():
    random = np.random.default_rng(0)
    hits = random.random(4000) < 0.3
    assert average_precision(random.random(4000), hits, hits.sum()) == pytest.approx(0.3, abs=0.03)


def test_a_box_that_was_found_is_not_found_again():
    true = np.array([[0.0, 0, 10, 10], [20, 20, 30, 30]])
    twice = np.array([[0.0, 0, 10, 9], [0, 0, 10, 10], [20, 20, 30, 26], [20, 20, 30, 24]])
    assert hits_of(twice, true).tolist() == [True, False, True, False]
    assert hits_of(twice, np.zeros((0, 4))).tolist() == [False] * 4
    assert iou(true, true).round(6).tolist() == [[1, 0], [0, 1]]
