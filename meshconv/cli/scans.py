"""Commands on single scans and a classifier: predict, explain; and show, on anything."""

from __future__ import annotations

import argparse
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import meshconv as mc
from meshconv.cli.options import FORMATS, Commands, add, add_on_error, add_preparation
from meshconv.cli.output import as_json, emit, one_line, say
from meshconv.errors import ArgumentError, MeshConvError
from meshconv.saliency.methods import METHODS


def add_commands(commands: Commands) -> None:
    """Add the commands of this file."""
    predict = add_model(add(commands, "predict", _predict, "the class of each scan"))
    _add_files(predict)
    add_preparation(predict)
    explain = add_model(
        add(commands, "explain", _explain, "class and saliency of each scan, in files")
    )
    _add_files(explain)
    explain.add_argument(
        "--out", type=Path, required=True, help="folder for NAME.vtp (field saliency) and NAME.png"
    )
    explain.add_argument("--method", choices=METHODS, default="density")
    explain.add_argument("--no-picture", action="store_true")
    add_on_error(explain)
    show = add(commands, "show", _show, "open a window: a surface, or with --model its saliency")
    show.add_argument("file", type=Path)
    show.add_argument("--model", type=Path, help="a classifier; the scan is explained first")
    show.add_argument("--field", help="vertex field of the file to colour by")
    show.add_argument(
        "--inspect", action="store_true", help="surface, map and image side by side, linked"
    )


def add_model(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the classifier that is read."""
    parser.add_argument("model", type=Path, help="a classifier, written by train")
    return parser


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", type=Path, nargs="+", metavar="file", help="scans")


def texts(items: Any) -> list[str]:
    """Return what was skipped, as text."""
    return [str(one) for one in items]


def with_skipped(lines: list[str], skipped: list[str]) -> str:
    """Return lines, and one for each scan that was skipped."""
    return "\n".join([*lines, *(f"skipped {one_line(one)}" for one in skipped)])


def images(args: argparse.Namespace, model: Any, scans: Any) -> Any:
    """Return images of scans in the frame of a classifier."""
    from meshconv.train.prepare import prepare

    if model.template_ is None:
        raise ArgumentError(
            "this classifier learned from images: it has no frame for scans", path=args.model
        )
    return prepare(
        scans,
        **model.fitted_.preparation,
        cache=args.cache,
        workers=args.workers,
        client=args.client,
        on_error=args.on_error,
        progress=True,
    )


def quality(model: Any) -> dict[str, Any]:
    """Return what was measured while the classifier was fitted, as JSON values."""
    found = model.quality_
    if found is None:
        return {"verdict": None}
    return {"verdict": found.verdict, "caution": found.caution, "quality": found.as_dict()}


def measured(model: Any) -> list[str]:
    """Return what was measured while the classifier was fitted, a line if it was."""
    return [] if model.quality_ is None else [f"while it was fitted: {model.quality_}"]


def _say_doubt(args: argparse.Namespace, model: Any) -> None:
    """Say beside the results where the classifier is not better than chance; JSON has it inside."""
    found = model.quality_
    if not (args.json or found is None or found.better_than_chance):
        say(f"meshconv: the classifier: {found}", aside=True)


def _predict(args: argparse.Namespace) -> int:
    model = mc.SurfaceClassifier.load(args.model)
    done = images(args, model, args.files)
    rows = [
        {
            "file": str(args.files[k]),
            "label": str(model.classes_[p.argmax()]),
            "probability": float(p.max()),
        }
        for k, p in zip(done.kept, model.predict_proba(done), strict=True)
    ]
    skipped = texts(done.skipped)
    lines = [
        f"{one_line(row['file'])}\t{one_line(row['label'])}\t{row['probability']:.3f}"
        for row in rows
    ]
    data = {"predictions": rows, "skipped": skipped, **quality(model)}
    emit(args, data, with_skipped(lines, skipped))
    _say_doubt(args, model)
    return 0


def _explain(args: argparse.Namespace) -> int:
    from meshconv.io.atomic import write_bytes_atomic
    from meshconv.train.scans import all_of
    from meshconv.train.skipped import Skipped

    model = mc.SurfaceClassifier.load(args.model)
    args.out.mkdir(parents=True, exist_ok=True)
    targets = [args.out / name for name in result_names(args.files)]
    _keep_scans(args.files, targets)
    rows: list[dict[str, Any]] = []
    bad: list[Skipped] = []
    for k, (path, target) in enumerate(zip(args.files, targets, strict=True)):
        try:
            found = model.explain(path, method=args.method)
        except MeshConvError as error:
            bad.append(Skipped(k, str(path), error))
            continue
        _write_explanation(found, target, picture=not args.no_picture)
        rows.append(
            {
                "file": str(path),
                "label": str(found.label),
                "probabilities": found.probabilities,
                "verdict": None if found.quality is None else found.quality.verdict,
                "written": f"{target.name}.vtp",
            }
        )
    if bad and args.on_error == "raise":  # when all have been tried, so that each is named
        raise all_of(bad, len(args.files)) from bad[0].error
    skipped = texts(bad)
    write_bytes_atomic(args.out / "explanations.json", (as_json(rows) + "\n").encode())
    lines = [
        f"{one_line(row['file'])}\t{one_line(row['label'])}{_how_sure(row['probabilities'])}"
        for row in rows
    ]
    data = {"explanations": rows, "skipped": skipped, **quality(model)}
    emit(args, data, with_skipped(lines, skipped))
    _say_doubt(args, model)
    return 0


def _how_sure(probabilities: Any) -> str:
    """Return the probability of the class that was said; nothing for measures."""
    return f"\t{max(probabilities.values()):.3f}" if probabilities else ""


def _write_explanation(found: Any, target: Path, *, picture: bool) -> None:
    from meshconv.viz.explained import as_explained
    from meshconv.viz.picture import FieldStyle, figure, save_figure

    fields = {"saliency": found.saliency}
    mc.save(target.with_name(f"{target.name}.vtp"), found.surface, vertex_fields=fields)
    if picture:
        drawn = as_explained(found).facing_viewer()
        look = FieldStyle("saliency", limits=(0.0, 1.0))
        made = figure(drawn.surface, drawn.field, title=str(found), field_style=look)
        save_figure(made, target.with_name(f"{target.name}.png"))


def result_names(files: Sequence[Path]) -> list[str]:
    """Return a name for the results of each scan, no two of which any file system takes for one.

    The scan's own, without its format; where that is not enough, its folders and its format.

    >>> result_names([Path("a/x.ply"), Path("b/x.ply"), Path("y.v1.ply"), Path("y.v2.ply.gz")])
    ['a_x', 'b_x', 'y.v1', 'y.v2']
    """
    shared = len(Path(os.path.commonpath([file.absolute().parent for file in files])).parts)

    def with_folders(file: Path) -> str:
        return "_".join([*file.absolute().parent.parts[shared:], _without_format(file)])

    def with_format(file: Path) -> str:
        return "_".join([*file.absolute().parent.parts[shared:], *file.name.split(".")])

    names = [_without_format(file) for file in files]
    longer: Callable[[Path], str]
    for longer in (with_folders, with_format):
        count = Counter(map(_on_disk, names))
        names = [
            longer(file) if count[_on_disk(name)] > 1 else name
            for file, name in zip(files, names, strict=True)
        ]
    taken: set[str] = set()
    for k, name in enumerate(names):
        tries = (name if n == 1 else f"{name}_{n}" for n in range(1, len(names) + 1))
        names[k] = next(one for one in tries if _on_disk(one) not in taken)
        taken.add(_on_disk(names[k]))
    return names


def _without_format(file: Path) -> str:
    name = file.name[:-3] if file.name.lower().endswith(".gz") else file.name
    stem, _, suffix = name.rpartition(".")
    return stem if suffix.lower() in FORMATS and stem else name


def _on_disk(name: str) -> str:
    """What file systems that compare least make of a name."""
    return unicodedata.normalize("NFC", name).casefold()


def _keep_scans(files: Sequence[Path], targets: Sequence[Path]) -> None:
    for target in targets:
        written = target.with_name(f"{target.name}.vtp")
        if written.exists() and any(file.exists() and file.samefile(written) for file in files):
            raise ArgumentError(
                "the result would replace the scan", path=written, hint="--out another folder"
            )


def _show(args: argparse.Namespace) -> int:
    if args.model is not None:
        found = mc.SurfaceClassifier.load(args.model).explain(args.file)
        (mc.inspect if args.inspect else mc.show)(found)
        emit(args, {"file": str(args.file), "label": str(found.label)}, str(found))
        return 0
    file = mc.read(args.file)
    if args.field is not None and args.field not in file.vertex_fields:
        raise ArgumentError(
            f"no vertex field {args.field!r}, found: {', '.join(file.vertex_fields) or 'none'}"
        )
    mc.show(file.surface, None if args.field is None else file.vertex_fields[args.field])
    emit(args, {"file": str(args.file), "field": args.field})
    return 0
