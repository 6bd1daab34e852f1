"""Commands on a folder of scans and its table: prepare, train, evaluate, report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meshconv as mc
from meshconv.cli.frames import (
    add_frame,
    add_frame_command,
    add_own,
    draw_sheet,
    frame_of,
    own,
    prepared,
)
from meshconv.cli.options import (
    Commands,
    add,
    add_output,
    add_preparation,
    add_study,
    refuse_existing,
    study,
)
from meshconv.cli.output import aligned, emit
from meshconv.cli.scans import add_model, images, measured, quality, texts, with_skipped
from meshconv.errors import ArgumentError

if TYPE_CHECKING:
    from meshconv import FolderDataset, Template
    from meshconv.datasets.scan import Population


def add_commands(commands: Commands) -> None:
    """Add the commands of this file."""
    add_frame_command(commands)
    ready = add_study(add(commands, "prepare", _prepare, "scans -> registered images, cached"))
    add_frame(ready, needs_cache=True)
    ready.add_argument(
        "--shard",
        type=_shard,
        metavar="I/N",
        help="every n-th scan, from the i-th on: one job of an array; all share cache and frame",
    )
    train = add_study(
        add(commands, "train", _train, "learn from a folder of scans and a table of labels")
    )
    add_output(train, "the classifier, one file")
    add_frame(train)
    _add_network(train)
    tested = add_model(add(commands, "evaluate", _evaluate, "test figures with intervals"))
    add_preparation(add_study(tested))
    report = add_model(add(commands, "report", _report, "one HTML file: figures, maps, every scan"))
    add_study(report)
    add_output(report)
    add_preparation(report)
    report.add_argument("--scans", type=int, default=12, help="how many scans are shown")


def _add_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint", type=Path, help="written after every epoch; training goes on from it"
    )
    add_own(parser, "--epochs", type=int)
    add_own(parser, "--network-size", type=int, help="nodes per side that the network sees")
    add_own(parser, "--density", choices=("auto", "shared", "sample", "uniform"))
    add_own(
        parser,
        "--head",
        choices=("flatten", "mean", "mean+max", "auto"),
        help="tell places apart (flatten), pool over them, or try both on held-out scans (auto)",
    )
    add_own(parser, "--mirror", action="store_true", help="also learn from mirror images")
    add_own(
        parser,
        "--verdict",
        type=int,
        metavar="FOLDS",
        help="folds that say how good it is on subjects it has not seen; 0 for none",
    )
    add_own(parser, "--seed", type=int)
    parser.add_argument(
        "--device", help="cpu, cuda, cuda:1, ...; under torchrun cuda is each its own"
    )


def _shard(text: str) -> tuple[int, int]:
    """Return i and n of i/n."""
    which, _, count = text.partition("/")
    if not (which.isdecimal() and count.isdecimal() and 1 <= int(which) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text!r} is no job of an array: 1/N is the first")
    return int(which), int(count)


def _untaught(model: Any) -> list[str]:
    """What training had to leave out, a line each."""
    return [f"left out of training: {one.name} ({one.reason})" for one in model.skipped_]


def _prepare(args: argparse.Namespace) -> int:
    from meshconv.datasets.scan import shard

    scans = study(args)
    template = frame_of(args, scans)
    if args.template is None:
        args.cache.mkdir(parents=True, exist_ok=True)
        template.save(args.cache / "template.npz")
    some: Population = scans if args.shard is None else shard(scans, *args.shard)
    done = prepared(args, some, template, args.on_error)
    draw_sheet(args, some, template, done)
    data = {
        "prepared": len(done),
        "channels": list(done.channel_names),
        "skipped": texts(done.skipped),
    }
    emit(args, data)
    return 0


def _train(args: argparse.Namespace) -> int:
    from meshconv.train.ranks import joined

    refuse_existing(args)
    scans = study(args)
    scans.check_classes()
    with joined(args.device) as (ranks, device):
        model = mc.SurfaceClassifier(
            **own(args),
            template=ranks.from_first(lambda: _drawn(args, scans)),
            on_error=args.on_error,
            cache=args.cache,
            workers=args.workers,
            client=args.client,
            checkpoint=args.checkpoint,
            device=device,
            progress=True,
        ).fit(scans, scans.labels)
        if ranks.leads:
            _trained(args, model)
    return 0


def _drawn(args: argparse.Namespace, scans: FolderDataset) -> Template:
    """Return the frame, its sheet drawn if it was asked for."""
    template = frame_of(args, scans)
    draw_sheet(args, scans, template)
    return template


def _trained(args: argparse.Namespace, model: Any) -> None:
    """Write a classifier, and say what it is."""
    model.save(args.output)
    data = {
        "output": str(args.output),
        "classes": model.classes_.tolist(),
        "head": model.head_,
        "parameters": sum(p.numel() for p in model.model_.parameters()),
        "training_loss": model.progress_.losses[-1],
        **quality(model),
        "skipped": texts(model.skipped_),
    }
    shown = {key: value for key, value in data.items() if key not in {"quality", "skipped"}}
    emit(args, data, with_skipped([aligned(shown), *measured(model)], data["skipped"]))


def _tested(args: argparse.Namespace, scans: FolderDataset) -> tuple[Any, Any, Any, Any, Any]:
    """Classifier, images of the scans, their true classes (as indices) and probabilities, and the
    figures.
    """
    import numpy as np

    from meshconv.stats.folds import warn_shared_subjects
    from meshconv.stats.metrics import evaluate

    model = mc.SurfaceClassifier.load(args.model)
    classes = [str(value) for value in model.classes_]
    unknown = sorted(set(scans.labels) - set(classes))
    if unknown:
        raise ArgumentError(
            f"labels {unknown} in the table, the classifier knows {classes}", path=scans.table
        )
    warn_shared_subjects(model.subjects_, scans.subjects)
    done = images(args, model, scans)
    truth = np.array([classes.index(scans.labels[k]) for k in done.kept])
    shares = model.predict_proba(done)
    subjects = [scans.subjects[k] for k in done.kept]
    return model, done, truth, shares, evaluate(truth, shares, subjects=subjects)


def _evaluate(args: argparse.Namespace) -> int:
    model, done, _truth, _shares, found = _tested(args, study(args))
    skipped = texts(done.skipped)
    data = {
        "classes": [str(c) for c in model.classes_],
        **found.as_dict(),
        "skipped": skipped,
        "left_out_of_training": texts(model.skipped_),
        **quality(model),
    }
    lines = [str(found), *measured(model), *_untaught(model)]
    emit(args, data, with_skipped(lines, skipped))
    return 0


def _report(args: argparse.Namespace) -> int:
    refuse_existing(args)
    scans = study(args)
    model, done, truth, shares, figures = _tested(args, scans)
    shown = [int(k) for k in done.kept[: args.scans]]
    mc.report(
        (model.explain(scans[k]) for k in shown),
        args.output,
        title=f"{args.folder.name}: {len(scans)} scans",
        names=[scans.name(k) for k in shown],
        class_names=[str(value) for value in model.classes_],
        true_labels=[scans.labels[k] for k in shown],
        metrics=figures,
        predictions=(truth, shares),
        prediction_names=done.names,
        settings={
            "model": args.model,
            "scans": args.folder,
            **model.fitted_.settings.as_dict(),
        },
        quality=model.quality_,
        # with its map: drawn upright like the scans
        group_map=(model.template_, model.template_saliency()),
        skipped=done.skipped,
        note="; ".join(_untaught(model)),
        overwrite=args.force,
    )
    emit(args, {"output": str(args.output), "scans": len(shown), "skipped": texts(done.skipped)})
    return 0
