"""`fit`: from images and what is to be learned of them to a `Fitted`: head, statistics, first
density, training.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

import meshconv
from meshconv._check import FloatArray
from meshconv._progress import Meter, metered
from meshconv.errors import ArgumentError, MeshConvWarning
from meshconv.nn.decnn import DECNN
from meshconv.nn.ensemble import Ensemble
from meshconv.registration.frame import Frame
from meshconv.stats.folds import grouped_folds, rarest
from meshconv.stats.shape_measures import families_of
from meshconv.train.blend import Blend, Measured, measured_rows
from meshconv.train.config import Settings
from meshconv.train.dataset import Standardizer
from meshconv.train.direct import solve_direct_heads
from meshconv.train.fitted import Fitted, outputs_of, predict, raw_outputs
from meshconv.train.labels import Labels
from meshconv.train.loop import train
from meshconv.train.measure_quality import AnyQuality
from meshconv.train.mirror import FrameMirror, MirrorImages
from meshconv.train.network import new_network
from meshconv.train.prepared import Prepared
from meshconv.train.quality import Quality
from meshconv.train.ranks import Ranks
from meshconv.train.reading import Classes, Measures
from meshconv.train.start import start_looking
from meshconv.train.study import Study
from meshconv.train.target import ClassTarget, Target
from meshconv.train.two_stage import Images

_FEW_SUBJECTS = "small sample: a class has only {} subjects,"
_CANDIDATES = ("flatten", "mean")  # of head="auto"


def fit(
    prepared: Prepared,
    target: Target | ArrayLike,
    settings: Settings | None = None,
    *,
    sample_weight: FloatArray | None = None,
    template: Frame | None = None,
    device: Any = None,
    checkpoint: str | PathLike[str] | None = None,
    progress: bool = False,
) -> Fitted:
    """Return what a network learns from images and their labels or measures.

    Parameters
    ----------
    prepared : Prepared
        Images, with whom they are of.
    target : (n,) array_like, or Target
        Labels, numbers or text; or ``MeasureTarget.of(values, n)``: what is measured of each image.
    settings : Settings, optional
    sample_weight : (n,) float64, optional
        How much each image weighs in the loss; those of weight 0 are left out.
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
    settings = (settings or Settings()).made(prepared.preparation)
    if settings.train.mirror and template is None:
        raise ArgumentError("mirror=True needs a template", hint="fit on scans, or pass template=")
    target = target if isinstance(target, Target) else ClassTarget.of(target, len(prepared))
    study = Study(prepared, target, sample_weight, settings, template, device).weighed()
    shown = progress and Ranks.here().leads
    meter = Meter("train", "epoch", settings.train.epochs, shown=shown)
    try:
        fitted = _learned(study, checkpoint, meter)
    finally:
        meter.close()
    quality = _quality(study, shown=shown)
    network = fitted.network
    if isinstance(quality, Quality) and isinstance(network, Ensemble) and fitted.blend is None:
        network.weigh([quality.weights[part] for part in network.parts], quality.offset)
    return replace(fitted, quality=quality)


def _quality(study: Study, *, shown: bool) -> AnyQuality | None:
    """Return how good networks are that learned from all folds but one, on that one; None if that
    is not asked for, or a class has too few subjects, or all of them lie in one fold.
    """
    train_config, whom, strata = study.settings.train, study.prepared.subjects, study.strata
    fewest = rarest(strata, whom)[0]
    folds = min(train_config.verdict, fewest)
    left = fewest - math.ceil(fewest / max(folds, 1))  # of that class to learn from
    auto, measures = study.settings.network.head == "auto", study.settings.prepare.measures
    splits_again = bool(train_config.patience or auto or measures)
    if folds < 2 or left < (2 if splits_again else 1):
        if train_config.verdict:
            _warn(f"{_FEW_SUBJECTS.format(fewest)} too few to measure what was learned")
        return None
    splits = list(grouped_folds(strata, whom, folds=folds, seed=train_config.seed))
    if not all(study.target.teaches(rows) for rows, _ in splits):
        # all subjects of a class fell into one fold: nothing to learn it from
        _warn(f"{_FEW_SUBJECTS.format(fewest)} in one fold: what was learned is not measured")
        return None
    outputs, fold = dict[str, FloatArray](), np.zeros(len(strata), dtype=np.int64)
    meter = Meter("verdict", "fold", folds, shown=shown)
    for k, (rows, held) in enumerate(metered(splits, meter)):
        learned = _learned(study.take(rows))
        for part, found in outputs_of(learned, study.take(held).prepared).items():
            outputs.setdefault(part, np.zeros((len(strata), found.shape[1])))[held] = found
        fold[held] = k
    quality = study.target.quality(outputs, fold, whom, study.config)
    if quality.caution:
        _warn(quality.caution)
    return quality


def _warn(text: str) -> None:
    warnings.warn(text, MeshConvWarning, stacklevel=4)


def _better_head(study: Study) -> str:
    """Return ``flatten`` or ``mean``: the one with the smaller loss on the share ``validation``,
    learned from the rest.

    Measured on held-out training scans: .15 and .19 against .50 and .49 on two sets of faces (400
    scans each), .50 and .46 against .38 and .37 on adrenal glands (two choices of channels).
    """
    rows, held = study.halves()
    learn, judge = study.take(rows), study.take(held)
    made = [_trained(learn, head) for head in _CANDIDATES]
    losses = [judge.target.loss(predict(one, judge.prepared)) for one in made]
    return Ranks.here().from_first(lambda: _CANDIDATES[int(np.argmin(losses))])


def _learned(
    study: Study, checkpoint: str | PathLike[str] | None = None, meter: Meter | None = None
) -> Fitted:
    """Return a network with the head that was asked for, or the better one, trained."""
    asked = study.settings.network.head
    head = _better_head(study) if asked == "auto" else asked
    fitted = _trained(study, head, checkpoint, meter)
    return replace(fitted, blend=_blend(study, head)) if study.settings.prepare.measures else fitted


def _blend(study: Study, head: str) -> Blend:
    """Return what measures say, with the best share beside a network that knows the others."""
    if not isinstance(study.target, ClassTarget):
        raise ArgumentError("measures=True is for classes")
    config, prepared = study.settings.train, study.prepared
    values, whom = measured_rows(prepared.measures), prepared.subjects
    measured = Measured(values, families_of(values.shape[1]), study.target.index, whom)
    rows, held = study.halves()
    raw = raw_outputs(_trained(study.take(rows), head), prepared.take(held).images)
    how: dict[str, Any] = {"balanced": config.class_weight == "balanced", "seed": config.seed}
    return Ranks.here().from_first(lambda: Blend.fit(measured, rows, held, raw, **how))


def _trained(
    study: Study,
    head: str,
    checkpoint: str | PathLike[str] | None = None,
    meter: Meter | None = None,
) -> Fitted:
    """Return a network with this head, trained."""
    prepared, train_config = study.prepared, study.config
    rows, held = np.arange(len(prepared)), np.zeros(0, dtype=np.int64)
    if train_config.patience:
        rows, held = study.halves()
    learn = study.take(rows)
    standardizer = Standardizer.fit(learn.prepared.images)
    reading = learn.target.reading()
    images, augment = standardizer.of(learn.prepared.images), _augment(study, standardizer)
    network = _network(learn, images, head, reading)
    held_out = study.take(held) if len(held) else None
    progress = train(
        network,
        images,
        _of_each(network, learn.target.labels(reading)),
        config=train_config,
        sample_weight=None if learn.weight is None else torch.from_numpy(learn.weight).float(),
        validation=None
        if held_out is None
        else (
            standardizer.of(held_out.prepared.images),
            _of_each(network, held_out.target.labels(reading)),
        ),
        names=learn.prepared.names,
        augment=augment,
        checkpoint=checkpoint,
        identity=_identity(study, head, reading),
        on_epoch=None if meter is None else lambda state: meter.at(state.epoch),
    )
    if isinstance(network, Ensemble) and isinstance(learn.target, ClassTarget):
        views = [images] if augment is None else [images, MirrorImages(images, augment)]
        known = learn.target.index, learn.prepared.subjects, learn.weight
        solve_direct_heads(network, views, *known, config=train_config)
    return Fitted(
        network,
        standardizer,
        reading,
        study.template,
        study.settings,
        prepared.channel_names,
        head,
        frozenset(prepared.subjects) - {""},
        prepared.skipped,
        progress,
    )


def _of_each(network: DECNN | Ensemble, labels: Labels) -> Labels:
    """Return what is to be learned: the same by every member."""
    if isinstance(network, Ensemble) and isinstance(labels, torch.Tensor):
        return dict.fromkeys(network.members, labels)
    return labels


def _network(
    learn: Study, images: Images, head: str, reading: Classes | Measures
) -> DECNN | Ensemble:
    """Return untrained networks that look where the classes differ."""
    network = new_network(
        learn.settings,
        tuple(images.shape[1:]),
        outputs=reading.outputs,
        head=head,
        in_frame=learn.template is not None,
    ).to(learn.device)
    start_looking(network, learn, images, learn.target.labels(reading))
    return network


def _identity(study: Study, head: str, reading: Classes | Measures) -> dict[str, Any]:
    """What must agree for a checkpoint to be taken up."""
    network = study.settings.network
    return {
        "version": meshconv.__version__,
        **{name: _words(value) for name, value in reading.as_dict().items()},
        "channels": list(study.prepared.channel_names),
        "grid": [study.prepared.images.shape[-1], network.network_size],
        "model": {**network.as_dict(), "head": head},
    }


def _words(value: Any) -> Any:
    return [str(one) for one in value] if isinstance(value, list) else str(value)


def _augment(study: Study, standardizer: Standardizer) -> FrameMirror | None:
    if not study.settings.train.mirror or study.template is None:
        return None
    return FrameMirror.of(study.template, study.prepared.channel_names, standardizer)
