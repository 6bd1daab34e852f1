"""`fit`: from images and labels to a `Fitted`: head, statistics, first density, training."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

import meshconv
from meshconv._check import FloatArray, IntArray
from meshconv._progress import Meter, metered
from meshconv.errors import ArgumentError, MeshConvWarning
from meshconv.nn.decnn import DECNN
from meshconv.registration.template import Template
from meshconv.stats.evidence import group_evidence
from meshconv.stats.folds import grouped_folds, hold_out, rarest
from meshconv.train.config import Settings
from meshconv.train.dataset import Standardizer
from meshconv.train.fitted import Fitted, logits_of, predict
from meshconv.train.frames import area_element
from meshconv.train.inputs import class_indices
from meshconv.train.loop import train
from meshconv.train.mirror import FrameMirror
from meshconv.train.network import new_network
from meshconv.train.prepared import Prepared
from meshconv.train.quality import Quality, measured
from meshconv.train.ranks import Ranks
from meshconv.train.two_stage import Images

_CANDIDATES = ("flatten", "mean")  # of head="auto"


def fit(
    prepared: Prepared,
    labels: ArrayLike,
    settings: Settings | None = None,
    *,
    template: Template | None = None,
    device: Any = None,
    checkpoint: str | PathLike[str] | None = None,
    progress: bool = False,
) -> Fitted:
    """Return what a network learns from images and their labels.

    Parameters
    ----------
    prepared : Prepared
        Images, with whom they are of.
    labels : (n,) array_like
        Numbers or text.
    settings : Settings, optional
    template : Template, optional
        The frame that the images lie in; None for images of another kind.
    device : str or torch.device, optional
        Where the network runs; the CPU if None.
    checkpoint : path, optional
        Written after every epoch; a run on the same data goes on from it.
    progress : bool
        Show a bar on a terminal, elsewhere a line a minute.

    Raises
    ------
    ArgumentError
        If there is one class only, or labels are missing or of another number, as scikit-learn
        words it; or ``mirror`` is asked for without a template.
    CheckpointError
        If the checkpoint is of another run.

    Warns
    -----
    MeshConvWarning
        If the quality is measured, and a class has fewer than twelve subjects.

    Examples
    --------
    >>> from meshconv.train.inputs import as_prepared
    >>> images = np.random.default_rng(0).normal(size=(20, 1, 17, 17))
    >>> images[10:, :, 4:8, 4:8] += 2
    >>> settings = Settings.of({"network_size": 9, "epochs": 8})
    >>> fit(as_prepared(images), ["a"] * 10 + ["b"] * 10, settings).classes.tolist()
    ['a', 'b']
    """
    settings = settings or Settings()
    if settings.train.mirror and template is None:
        raise ArgumentError("mirror=True needs a template", hint="fit on scans, or pass template=")
    classes, index = class_indices(labels, len(prepared))
    study = _Study(prepared, classes, index, settings, template, device)
    shown = progress and Ranks.here().leads
    meter = Meter("train", "epoch", settings.train.epochs, shown=shown)
    try:
        fitted = _learned(study, checkpoint, meter)
    finally:
        meter.close()
    return replace(fitted, quality=_quality(study, shown=shown))


@dataclass(frozen=True, eq=False)
class _Study:
    """What is learned from, and how."""

    prepared: Prepared
    classes: NDArray[Any]
    index: IntArray  # of each image's class
    settings: Settings
    template: Template | None
    device: Any

    def take(self, rows: IntArray) -> _Study:
        """Return the study of some of the images."""
        return replace(self, prepared=self.prepared.take(rows), index=self.index[rows])

    def halves(self) -> tuple[IntArray, IntArray]:
        """Return the rows to learn from and those held out."""
        share, seed = self.settings.train.validation, self.settings.train.seed
        return hold_out(self.index, self.prepared.subjects, share=share, seed=seed)


def _quality(study: _Study, *, shown: bool) -> Quality | None:
    """Return how good networks are that learned from all folds but one, on that one; None if that
    is not asked for, or a class has too few subjects, or all of them lie in one fold.
    """
    train_config, whom = study.settings.train, study.prepared.subjects
    fewest = rarest(study.index, whom)[0]
    folds = min(train_config.verdict, fewest)
    left = fewest - math.ceil(fewest / max(folds, 1))  # of that class to learn from
    splits_again = train_config.patience or study.settings.network.head == "auto"
    if folds < 2 or left < (2 if splits_again else 1):
        return None
    n = len(study.index)
    logits, fold = np.zeros((n, len(study.classes))), np.zeros(n, dtype=np.int64)
    splits = list(grouped_folds(study.index, whom, folds=folds, seed=train_config.seed))
    if any(len(np.unique(study.index[rows])) < len(study.classes) for rows, _ in splits):
        return None  # all subjects of a class fell into one fold: nothing to learn it from
    meter = Meter("verdict", "fold", folds, shown=shown)
    for k, (rows, held) in enumerate(metered(splits, meter)):
        learned = _learned(study.take(rows))
        logits[held], fold[held] = logits_of(learned, study.take(held).prepared.images), k
    found = measured(logits, study.index, fold, subjects=whom, seed=train_config.seed)
    if found.caution:
        warnings.warn(found.caution, MeshConvWarning, stacklevel=3)
    return found


def _better_head(study: _Study) -> str:
    """Return ``flatten`` or ``mean``: the one with the smaller loss on the share ``validation``,
    learned from the rest.

    Measured on held-out training scans: .15 and .19 against .50 and .49 on two sets of faces (400
    scans each), .50 and .46 against .38 and .37 on adrenal glands (two choices of channels).
    """
    rows, held = study.halves()
    learn, judge = study.take(rows), study.take(held)
    made = [_trained(learn, head) for head in _CANDIDATES]
    losses = [_loss(predict(one, judge.prepared), judge) for one in made]
    return Ranks.here().from_first(lambda: _CANDIDATES[int(np.argmin(losses))])


def _loss(shares: FloatArray, study: _Study) -> float:
    own = shares[np.arange(len(shares)), study.index]
    return float(-np.log(np.maximum(own, 1e-12)).mean())


def _learned(
    study: _Study, checkpoint: str | PathLike[str] | None = None, meter: Meter | None = None
) -> Fitted:
    """Return a network with the head that was asked for, or the better one, trained."""
    asked = study.settings.network.head
    head = _better_head(study) if asked == "auto" else asked
    return _trained(study, head, checkpoint, meter)


def _trained(
    study: _Study,
    head: str,
    checkpoint: str | PathLike[str] | None = None,
    meter: Meter | None = None,
) -> Fitted:
    """Return a network with this head, trained."""
    prepared, train_config = study.prepared, study.settings.train
    rows, held = np.arange(len(prepared)), np.zeros(0, dtype=np.int64)
    if train_config.patience:
        rows, held = study.halves()
    learn = study.take(rows)
    standardizer = Standardizer.fit(learn.prepared.images)
    network = _network(learn, standardizer, head)
    targets = torch.from_numpy(study.index)
    progress = train(
        network,
        standardizer.of(learn.prepared.images),
        targets[rows],
        config=train_config,
        validation=_held_out(study, standardizer, held),
        names=learn.prepared.names,
        augment=_augment(study, standardizer),
        checkpoint=checkpoint,
        identity=_identity(study, head),
        on_epoch=None if meter is None else lambda state: meter.at(state.epoch),
    )
    return Fitted(
        network,
        standardizer,
        study.classes,
        study.template,
        study.settings,
        prepared.channel_names,
        head,
        frozenset(prepared.subjects) - {""},
        prepared.skipped,
        progress,
    )


def _held_out(
    study: _Study, standardizer: Standardizer, held: IntArray
) -> tuple[Images, torch.Tensor] | None:
    if not len(held):
        return None
    part = study.take(held)
    return standardizer.of(part.prepared.images), torch.from_numpy(part.index)


def _network(learn: _Study, standardizer: Standardizer, head: str) -> DECNN:
    """Return an untrained network that starts from where the classes differ, and knows the area of
    its frame.
    """
    settings, template, images = learn.settings, learn.template, learn.prepared.images
    network = new_network(
        settings,
        standardizer.mean.shape,
        n_classes=len(learn.classes),
        head=head,
        in_frame=template is not None,
    )
    if settings.network.density != "uniform":
        if settings.network.warm_start:
            subjects, seed = learn.prepared.subjects, settings.train.seed
            found, evidence = group_evidence(images, learn.index, subjects=subjects, seed=seed)
            if evidence:
                network.init_density(found, strength=evidence)
        if template is not None:
            network.set_area(area_element(template, images.shape[-1]))
    return network.to(learn.device)


def _identity(study: _Study, head: str) -> dict[str, Any]:
    """What must agree for a checkpoint to be taken up."""
    network = study.settings.network
    return {
        "version": meshconv.__version__,
        "classes": [str(value) for value in study.classes],
        "channels": list(study.prepared.channel_names),
        "grid": [study.prepared.images.shape[-1], network.network_size],
        "model": {**network.as_dict(), "head": head},
    }


def _augment(study: _Study, standardizer: Standardizer) -> FrameMirror | None:
    if not study.settings.train.mirror or study.template is None:
        return None
    return FrameMirror.of(study.template, study.prepared.channel_names, standardizer)
