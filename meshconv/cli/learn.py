"""Commands on populations: prepare, train, evaluate, predict, explain, report; and show, on
anything.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import meshconv as mc
from meshconv.cli._common import Commands, add, emit, refuse_existing
from meshconv.errors import ArgumentError, MeshConvError
from meshconv.io import write_bytes_atomic
from meshconv.train.config import TrainConfig


def add_commands(commands: Commands) -> None:
    """Add the commands of this file."""
    ready = _with_folder(add(commands, "prepare", _prepare, "scans -> registered images, cached"))
    ready.add_argument("--cache", type=Path, required=True, help="folder of finished images")
    _with_training(ready)
    train = _with_folder(
        add(commands, "train", _train, "learn from a folder of scans and a table of labels")
    )
    train.add_argument("output", type=Path, help="the classifier, one file")
    train.add_argument("--force", action="store_true", help="replace the output if it exists")
    train.add_argument("--cache", type=Path, help="folder of finished images")
    train.add_argument(
        "--checkpoint", type=Path, help="written after every epoch; training goes on from it"
    )
    train.add_argument("--epochs", type=int, default=TrainConfig.epochs)
    train.add_argument(
        "--network-size", type=int, default=33, help="nodes per side that the network sees"
    )
    train.add_argument("--density", choices=("shared", "sample", "uniform"), default="shared")
    train.add_argument(
        "--head",
        choices=("flatten", "mean", "mean+max", "auto"),
        default="flatten",
        help="tell places apart (flatten), pool over them, or try both on held-out scans (auto)",
    )
    train.add_argument("--mirror", action="store_true", help="also learn from mirror images")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--device", help="cpu, cuda, cuda:1, ...")
    _with_training(train)
    tested = add(commands, "evaluate", _evaluate, "test figures with intervals")
    _with_cache(_with_folder(_with_model(tested)))
    _with_cache(
        _with_files(_with_model(add(commands, "predict", _predict, "the class of each scan")))
    )
    explain = _with_files(
        _with_model(add(commands, "explain", _explain, "class and saliency of each scan, in files"))
    )
    explain.add_argument(
        "--out", type=Path, required=True, help="folder for NAME.vtp (field saliency) and NAME.png"
    )
    explain.add_argument("--method", choices=("density", "gradient", "gradcam"), default="density")
    explain.add_argument("--no-picture", action="store_true")
    _with_on_error(explain)
    show = add(commands, "show", _show, "open a window: a surface, or with --model its saliency")
    show.add_argument("file", type=Path)
    show.add_argument("--model", type=Path, help="a classifier; the scan is explained first")
    show.add_argument("--field", help="vertex field of the file to colour by")
    show.add_argument(
        "--inspect", action="store_true", help="surface, map and image side by side, linked"
    )
    report = _with_folder(
        _with_model(add(commands, "report", _report, "one HTML file: figures, maps, every scan"))
    )
    report.add_argument("output", type=Path)
    _with_cache(report)
    report.add_argument("--force", action="store_true", help="replace the output if it exists")
    report.add_argument("--scans", type=int, default=12, help="how many scans are shown")


def _with_folder(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("folder", type=Path, help="folder of scans")
    parser.add_argument(
        "--table", type=Path, help="CSV: file,label[,subject][,mirrored] (default: in the folder)"
    )
    return parser


def _with_model(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("model", type=Path, help="a classifier, written by train")
    return parser


def _with_files(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("files", type=Path, nargs="+", metavar="file", help="scans")
    return parser


def _with_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--template", type=Path, help="the frame (.npz); by default the mean of the first scans"
    )
    parser.add_argument(
        "--turn",
        type=float,
        default=0.0,
        metavar="DEGREES",
        help=(
            "turn the frame counter-clockwise, as seen from the front: 180 if the report"
            " shows it upside down"
        ),
    )
    parser.add_argument("--size", type=int, default=129, help="nodes per side of the images")
    _with_preparation(parser)


def _with_cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cache", type=Path, help="folder of finished images")
    _with_preparation(parser)


def _with_preparation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=1, help="processes; -1 for one per core")
    _with_on_error(parser)


def _with_on_error(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--on-error", choices=("raise", "skip"), default="raise", help="what a bad scan leads to"
    )


def _template(args: argparse.Namespace, scans: mc.FolderDataset) -> mc.Template:
    """The frame that was given, or the mean of the first scans; turned if asked for."""
    from meshconv.train.frames import population_template

    given = None if args.template is None else mc.Template.load(args.template)
    template = given or population_template(scans, on_error=args.on_error)
    return template.turned(args.turn) if args.turn else template


def _skipped(items: Any) -> list[str]:
    return [str(one) for one in items]


def _with_skipped(lines: list[str], skipped: list[str]) -> str:
    return "\n".join([*lines, *(f"skipped {one}" for one in skipped)])


def _untaught(model: Any) -> list[str]:
    """What training had to leave out, a line each."""
    return [f"left out of training: {one.name} ({one.reason})" for one in model.skipped_]


def _prepare(args: argparse.Namespace) -> int:
    from meshconv.train.config import PrepareConfig
    from meshconv.train.prepare import prepare

    scans = mc.FolderDataset(args.folder, args.table)
    template = _template(args, scans)
    if args.template is None:
        args.cache.mkdir(parents=True, exist_ok=True)
        template.save(args.cache / "template.npz")
    done = prepare(
        scans,
        template,
        config=PrepareConfig(size=args.size),
        cache=args.cache,
        workers=args.workers,
        on_error=args.on_error,
    )
    data = {
        "prepared": len(done),
        "channels": list(done.channel_names),
        "skipped": _skipped(done.skipped),
    }
    emit(args, data)
    return 0


def _train(args: argparse.Namespace) -> int:
    refuse_existing(args)
    scans = mc.FolderDataset(args.folder, args.table)
    model = mc.SurfaceClassifier(
        size=args.size,
        network_size=args.network_size,
        density=args.density,
        head=args.head,
        mirror=args.mirror,
        template=_template(args, scans),
        epochs=args.epochs,
        on_error=args.on_error,
        cache=args.cache,
        workers=args.workers,
        checkpoint=args.checkpoint,
        device=args.device,
        seed=args.seed,
        progress=True,
    ).fit(scans, scans.labels)
    model.save(args.output)
    data = {
        "output": str(args.output),
        "classes": model.classes_.tolist(),
        "head": model.head_,
        "parameters": sum(p.numel() for p in model.model_.parameters()),
        "training_loss": model.progress_.losses[-1],
        "skipped": _skipped(model.skipped_),
    }
    emit(args, data)
    return 0


def _images(args: argparse.Namespace, model: Any, scans: Any) -> Any:
    """Images of scans in the frame of a classifier."""
    from meshconv.train.fitted import prepare_for

    if model.template_ is None:
        raise ArgumentError(
            "this classifier learned from images: it has no frame for scans", path=args.model
        )
    return prepare_for(
        model.fitted_,
        scans,
        cache=args.cache,
        workers=args.workers,
        on_error=args.on_error,
        progress=True,
    )


def _tested(args: argparse.Namespace, scans: mc.FolderDataset) -> tuple[Any, Any, Any, Any, Any]:
    """Classifier, images of the scans, their true classes (as indices) and probabilities, and the
    figures.
    """
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
    done = _images(args, model, scans)
    truth = np.array([classes.index(scans.labels[k]) for k in done.kept])
    shares = model.predict_proba(done)
    return (
        model,
        done,
        truth,
        shares,
        evaluate(truth, shares, subjects=[scans.subjects[k] for k in done.kept]),
    )


def _evaluate(args: argparse.Namespace) -> int:
    model, done, _truth, _shares, found = _tested(args, mc.FolderDataset(args.folder, args.table))
    skipped = _skipped(done.skipped)
    data = {
        "classes": [str(c) for c in model.classes_],
        **found.as_dict(),
        "skipped": skipped,
        "left_out_of_training": _skipped(model.skipped_),
    }
    emit(args, data, _with_skipped([str(found), *_untaught(model)], skipped))
    return 0


def _predict(args: argparse.Namespace) -> int:
    model = mc.SurfaceClassifier.load(args.model)
    done = _images(args, model, args.files)
    rows = [
        {
            "file": str(args.files[k]),
            "label": str(model.classes_[p.argmax()]),
            "probability": float(p.max()),
        }
        for k, p in zip(done.kept, model.predict_proba(done), strict=True)
    ]
    skipped = _skipped(done.skipped)
    lines = [f"{row['file']}\t{row['label']}\t{row['probability']:.3f}" for row in rows]
    emit(args, {"predictions": rows, "skipped": skipped}, _with_skipped(lines, skipped))
    return 0


def _explain(args: argparse.Namespace) -> int:
    from meshconv.viz.explained import as_explained
    from meshconv.viz.picture import FieldStyle, figure, save_figure

    model = mc.SurfaceClassifier.load(args.model)
    args.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    skipped: list[str] = []
    for path in args.files:
        try:
            found = model.explain(path, method=args.method)
        except MeshConvError as error:
            if args.on_error == "raise":
                raise
            skipped.append(f"{path}: {error.message}")
            continue
        target = args.out / path.name.split(".")[0]
        mc.save(
            target.with_suffix(".vtp"), found.surface, vertex_fields={"saliency": found.saliency}
        )
        if not args.no_picture:
            drawn = as_explained(found).upright()
            look = FieldStyle("saliency", limits=(0.0, 1.0))
            picture = figure(drawn.surface, drawn.field, title=str(found), field_style=look)
            save_figure(picture, target.with_suffix(".png"))
        rows.append(
            {"file": str(path), "label": str(found.label), "probabilities": found.probabilities}
        )
    write_bytes_atomic(
        args.out / "explanations.json", (json.dumps(rows, indent=2, default=str) + "\n").encode()
    )
    lines = [f"{row['file']}\t{row['label']}" for row in rows]
    emit(args, {"explanations": rows, "skipped": skipped}, _with_skipped(lines, skipped))
    return 0


def _show(args: argparse.Namespace) -> int:
    if args.model is not None:
        found = mc.SurfaceClassifier.load(args.model).explain(args.file)
        (mc.inspect if args.inspect else mc.show)(found)
        return 0
    file = mc.read(args.file)
    if args.field is not None and args.field not in file.vertex_fields:
        raise ArgumentError(
            f"no vertex field {args.field!r}, found: {', '.join(file.vertex_fields) or 'none'}"
        )
    mc.show(file.surface, None if args.field is None else file.vertex_fields[args.field])
    return 0


def _report(args: argparse.Namespace) -> int:
    refuse_existing(args)
    scans = mc.FolderDataset(args.folder, args.table)
    model, done, truth, shares, figures = _tested(args, scans)
    shown = [int(k) for k in done.kept[: args.scans]]
    mc.report(
        [model.explain(scans[k]) for k in shown],
        args.output,
        title=f"{args.folder.name}: {len(scans)} scans",
        names=[scans.name(k) for k in shown],
        class_names=[str(value) for value in model.classes_],
        true_labels=[scans.labels[k] for k in shown],
        metrics=figures,
        predictions=(truth, shares),
        group_map=(
            model.template_,
            model.template_saliency(),
        ),  # with its map: drawn upright like the scans
        skipped=done.skipped,
        note="; ".join(_untaught(model)),
    )
    emit(args, {"output": str(args.output), "scans": len(shown), "skipped": _skipped(done.skipped)})
    return 0
