"""The benchmark command: data sets x models x seeds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from meshconv.cli.options import Commands, add
from meshconv.cli.output import emit
from meshconv.errors import ArgumentError

_MODELS = (
    "DECNN 33",
    "plain 33",
    "PCA 99.9 % + logistic",
    "pixels chosen by t + logistic",
    "t-map",
)


def add_commands(commands: Commands) -> None:
    """Add the command of this file."""
    parser = add(
        commands,
        "benchmark",
        _benchmark,
        "compare DECNN with its opponents on data sets, over seeds",
    )
    parser.add_argument(
        "sets",
        nargs="+",
        metavar="set",
        help="faces:EFFECT:MM, mnist, pneumonia, cluttered, adrenal, nodules:spiculation, spines,"
        " ventricles, finches, folder:PATH; what may follow the colon: an unknown word names all",
    )
    parser.add_argument("--models", nargs="+", default=list(_MODELS), metavar="MODEL")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument(
        "--folds",
        type=int,
        default=5,
        help="of populations and folders, where each seed is another split by subject",
    )
    parser.add_argument(
        "--scans", type=int, default=400, help="of each part, where a set is generated"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("out/benchmark"), help="folder of prepared images"
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="processes that prepare; -1 for one per core"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="JSON; finished rows of an earlier run are kept"
    )
    parser.add_argument("--page", type=Path, help="HTML; the same as one page to look at")


def _benchmark(args: argparse.Namespace) -> int:
    from meshconv.benchmark.folder import load_folder
    from meshconv.benchmark.page import as_text, table
    from meshconv.benchmark.populations import is_population, load_population
    from meshconv.benchmark.run import Record, run, settings
    from meshconv.benchmark.tasks import load_task

    if args.folds < 2:
        raise ArgumentError(f"--folds must be at least 2, found {args.folds}")

    def crossed(name: str) -> bool:
        return is_population(name) or name.startswith("folder:")

    def load(name: str) -> Any:
        where = {"cache": args.cache, "workers": args.workers}
        if not crossed(name):
            return load_task(name, n=args.scans, **where)
        found = load_population if is_population(name) else load_folder
        return found(name, folds=args.folds, **where)

    same = settings(n=args.scans, epochs=args.epochs, folds=args.folds)
    record = Record.open(args.out, same)
    options = {"epochs": args.epochs, "crossed": crossed}
    run(args.sets, args.models, range(args.seeds), load, record, **options)
    rows = [row for row in record.rows if row["task"] in args.sets]
    if args.page is not None:
        from meshconv.benchmark.web_page import write_page

        write_page(args.page, rows, note=f"{args.epochs} epochs of every network")
    emit(args, {"output": str(args.out), "rows": rows}, as_text(table(rows)))
    return 0
