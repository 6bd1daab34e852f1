"""`Run`: what all epochs of a training share, and what is made of one batch."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from meshconv.train.config import TrainConfig
from meshconv.train.labels import (
    ByTask,
    check_classes,
    class_weights,
    loss,
    parts_of,
    strata,
)
from meshconv.train.optimizer import new_optimizer
from meshconv.train.ranks import Ranks, Share
from meshconv.train.two_stage import Images, TwoStage, seen_once, two_stages
from meshconv.train.variation import class_variation, noisy

Augment = Callable[[Tensor, torch.Generator], Tensor]
_BLOCK = 256  # images hashed at once


@dataclass(frozen=True, eq=False)
class Run:
    """What all epochs share."""

    model: nn.Module
    look: TwoStage  # the model, by its two stages
    optimizer: torch.optim.Optimizer
    images: Images
    tasks: ByTask
    strata: Tensor
    weights: ByTask
    config: TrainConfig
    ranks: Ranks
    sample_weight: Tensor | None
    names: Sequence[str]
    augment: Augment | None

    @classmethod
    def of(
        cls,
        model: nn.Module,
        images: Images,
        tasks: ByTask,
        config: TrainConfig,
        *more: Any,
    ) -> Run:
        """Return a run that has not begun.

        Raises
        ------
        ArgumentError
            If a batch has fewer images than there are ranks.
        """
        look, optimizer, ranks = two_stages(model), new_optimizer(model, config), Ranks.here()
        weights, groups = class_weights(tasks, config), strata(tasks)
        ranks.check_batches(len(images) // math.ceil(len(images) / config.batch_size))
        return cls(model, look, optimizer, images, tasks, groups, weights, config, ranks, *more)

    def head(self) -> dict[str, Any]:
        """Return what it is a run of, as JSON values."""
        weighed = () if self.sample_weight is None else (self.sample_weight,)
        data = digest(self.images, *self.tasks.values(), *weighed)
        return {"train": self.config.as_dict(), "data": data}

    def settled(self, epoch: int) -> Tensor | None:
        """Return what is seen of the images, once that stays as it is: under a fixed density that
        they share, with no augmentation before it.
        """
        fixed = epoch >= self.config.density_epochs or self.look.density_is_fixed
        if not fixed or not self.look.settle() or self.augment is not None:
            return None
        return seen_once(self.look, self.images, device_of(self.model))

    def named(self, batch: Tensor) -> list[Any]:
        """Return the names of a batch's images, their numbers if they have none."""
        return [self.names[int(k)] for k in batch] if len(self.names) else batch.tolist()

    def batch(
        self, seen: Tensor | None, batch: Tensor, share: Share, generator: torch.Generator
    ) -> Tensor:
        """Return a share of a batch of images, or of what is seen of them, varied."""
        images: Images = self.images if seen is None else seen
        rows, scale = share.rows, self.config.variation
        if self.augment is None:
            x = images[batch[rows]]
        else:
            x = self.augment(images[batch], generator)[rows]
        if scale:
            among, n = self.strata, share.whole
            x = x + class_variation(images, among, n, scale=scale, generator=generator, rows=rows)
        return x.to(device_of(self.model))

    def loss(
        self,
        x: Tensor,
        batch: Tensor,
        share: Share,
        *,
        settled: bool,
        generator: torch.Generator,
    ) -> Tensor:
        """Return the loss of a share of a batch, with that of the evidence of each image's own
        density, if there is one.
        """
        config, look = self.config, self.look
        bfloat16 = config.precision == "bfloat16"
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=bfloat16):
            seen, evidence = (x, None) if settled else look.equalize_with_evidence(x)
            how: dict[str, Any] = {"noise": config.noise, "generator": generator}
            logits = look.classify(noisy(seen, look.in_channels, share=share, **how))
        check_classes(logits, self.tasks)
        whole = {task: values[batch] for task, values in self.tasks.items()}
        own = {task: values[share.rows] for task, values in whole.items()}
        weight = None if self.sample_weight is None else self.sample_weight[batch]
        parts = parts_of(whole, self.weights, share.rows, weight)
        how = {"smoothing": config.label_smoothing, "parts": parts}
        how["sample_weight"] = None if weight is None else weight[share.rows]
        found = loss(logits, own, self.weights, **how)
        if evidence is None:
            return found
        return found + config.evidence * loss(evidence, own, self.weights, **how)


def device_of(model: nn.Module) -> torch.device:
    """Return where a model is."""
    return next(model.parameters()).device


def digest(images: Images, *labels: Tensor) -> str:
    """Return what tells these images and labels from others."""
    total = hashlib.sha256(str(tuple(images.shape)).encode())
    blocks = (images[k : k + _BLOCK] for k in range(0, len(images), _BLOCK))
    for tensor in (part for source in (blocks, labels) for part in source):
        total.update(tensor.detach().cpu().contiguous().numpy().data)
    return total.hexdigest()[:16]
