"""The one runner of the layers' scripts: their arguments, tables that are measured once, and
learning tables over seeds that go on after a stop.

A script says what its cases are (a dict of the columns that name a row), how one case with one seed
is trained and tested, and what the means are; which rows are still missing, what is kept when, and
what is printed is said here. Tables stand in results/NAME.json, those of `--quick` in
out/NAME.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from meshconv.benchmark.seeds import Row, as_words, repeat
from meshconv.errors import MissingFileError
from meshconv.io.atomic import write_bytes_atomic

OUT = Path("out")


def arguments(doc: str | None, parts: Sequence[str] = ()) -> argparse.ArgumentParser:
    """A parser of what every script takes; a script may add its own."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if parts:
        parser.add_argument(
            "parts", nargs="*", metavar="PART", help=f"of {', '.join(parts)}; all by default"
        )
    parser.add_argument("--quick", action="store_true", help="1 seed, too little to learn much")
    parser.add_argument("--resume", action="store_true", help="keep the learning rows there are")
    parser.add_argument("--seeds", type=int, default=None, help="5, or 1 with --quick")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="cases of these names alone")
    return parser


def parsed(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None, parts: Sequence[str] = ()
) -> argparse.Namespace:
    """The arguments, their defaults filled in; one thread for torch."""
    import torch

    args = parser.parse_args(argv)
    unknown = set(getattr(args, "parts", ())) - set(parts)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    args.parts = getattr(args, "parts", None) or parts
    args.seeds = args.seeds or (1 if args.quick else 5)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return args


def file_of(name: str, *, quick: bool) -> Path:
    """Where the results of a script stand."""
    from _common import RESULTS

    folder = OUT if quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.json"


def keep(path: Path, **tables: object) -> Row:
    """Put tables beside those that a file holds, with the machine that made them."""
    from _common import environment

    record: Row = json.loads(path.read_text()) if path.is_file() else {}
    record |= {"environment": environment("torch", "numpy"), **tables}
    write_bytes_atomic(path, (json.dumps(record, indent=1) + "\n").encode())
    return record


def learned(
    path: Path,
    options: Mapping[str, object],
    cases: Sequence[Row],
    rows_of: Callable[[Row, int], Iterable[Row]],
    means: Callable[[list[Row]], list[Row]],
    args: argparse.Namespace,
) -> None:
    """Fill in a learning table: the rows of each case that has none yet, seed by seed.

    `rows_of(case, seed)` trains and tests; each row it yields gets the columns of the case and the
    seed in front. Every case is written as soon as it is there.
    """

    chosen = [case for case in cases if not args.only or {*args.only} & {*case.values()}]

    def missing(seed: int, _options: Mapping[str, object], rows: Sequence[Row]) -> Iterable[Row]:
        for case in chosen:
            key = {**case, "seed": seed}
            if not any(key.items() <= row.items() for row in rows):
                yield from [key | row for row in rows_of(case, seed)]

    try:
        record = repeat(path, options, missing, means, resume=args.resume, on_row=_told)
    except MissingFileError as error:
        print(f"learning table left out: {error}")
        return
    keep(path)
    for row in record.get("summary", []):
        _told(row)


def _told(row: Row) -> None:
    print(as_words(row), flush=True)
