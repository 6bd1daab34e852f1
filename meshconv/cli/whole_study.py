"""The command that does a whole study: `meshconv study`."""

from __future__ import annotations

import argparse
from pathlib import Path

import meshconv as mc
from meshconv.cli.options import Commands, add, add_on_error
from meshconv.cli.output import emit


def add_commands(commands: Commands) -> None:
    """Add the commands of this file."""
    parser = add(
        commands, "study", _study, "folder and table -> map, verdict, power and one report"
    )
    parser.add_argument("folder", type=Path, help="folder of scans")
    parser.add_argument("--table", type=Path, help="CSV or .xlsx (default: in the folder)")
    parser.add_argument("--group", metavar="COLUMN", help="labels that are compared")
    parser.add_argument("--score", metavar="COLUMN", help="a measure that is correlated")
    parser.add_argument(
        "--covariates",
        metavar="COLUMN[,COLUMN]",
        default="",
        help="accounted for in the map: numbers, or texts such as f and m",
    )
    parser.add_argument("--reference", metavar="LABEL", help="the group compared with")
    for column in ("file", "subject"):
        parser.add_argument(f"--{column}-column", default=column, metavar="NAME")
    parser.add_argument("--out", type=Path, required=True, help="folder of results")
    parser.add_argument("--cv", type=int, default=5, metavar="FOLDS", help="by subject")
    parser.add_argument("--template", type=Path, help="the frame (.npz); by default of the scans")
    for name in ("size", "epochs", "permutations", "seed", "workers"):
        parser.add_argument(f"--{name}", type=int, default=argparse.SUPPRESS)
    add_on_error(parser)
    parser.set_defaults(on_error="skip")


def _study(args: argparse.Namespace) -> int:
    names = ("size", "epochs", "permutations", "seed", "workers")
    found = mc.study(
        args.folder,
        args.table,
        out=args.out,
        group=args.group,
        score=args.score,
        reference=args.reference,
        covariates=[name.strip() for name in args.covariates.split(",") if name.strip()],
        cv=args.cv,
        file_column=args.file_column,
        subject_column=args.subject_column,
        template=None if args.template is None else mc.Template.load(args.template),
        on_error=args.on_error,
        progress=not args.json,
        **{name: getattr(args, name) for name in names if hasattr(args, name)},
    )
    emit(args, found.as_dict(), f"{found}\n{args.out / 'report.html'}")
    return 0
