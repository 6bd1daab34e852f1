"""All four adaptive layers, one after another: times and learning tables, then what they say in one
place.

    python benchmarks/layers.py                       # all four, 3 to 5 seeds each: about an hour
    of CPU python benchmarks/layers.py scale adaptive --quick python benchmarks/layers.py --table
    # only print what results/layers_*.json hold

Each part is a script of its own (layers_scale, layers_adaptive, layers_stride, layers_ppcr) with
more options; it writes its own file in results/. One process, one thread.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from typing import Any

from _common import RESULTS, one_thread

one_thread()

from _learning import text

PARTS = ("scale", "adaptive", "stride", "ppcr")


def run(part: str, options: list[str]) -> None:
    """Run one script's main with these options."""
    print(f"== layers_{part} {' '.join(options)}", flush=True)
    before = sys.argv
    sys.argv = [f"layers_{part}.py", *options]
    try:
        importlib.import_module(f"layers_{part}").main()
    finally:
        sys.argv = before


def show(part: str) -> None:
    """Print every table of a part's results, rows of the single seeds left out."""
    path = RESULTS / f"layers_{part}.json"
    if not path.is_file():
        print(f"== {part}: no {path.name} yet")
        return
    record: dict[str, Any] = json.loads(path.read_text())
    print(f"== {part}: {' '.join(f'{k}={v}' for k, v in record.get('options', {}).items())}")
    for name, table in record.items():
        if name != "runs" and isinstance(table, list):
            print(f"-- {name}")
            for row in table:
                print(text(row) if isinstance(row, dict) else row)


def main() -> None:
    """Run the parts asked for and print their tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} or all (default)"
    )
    parser.add_argument("--seeds", type=int, default=None)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--table", action="store_true", help="run nothing, only print the results")
    args = parser.parse_args()
    unknown = set(args.parts) - {*PARTS, "all"}
    if unknown:
        parser.error(
            f"unknown part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)} and all"
        )
    parts = [part for part in PARTS if part in args.parts or not args.parts or "all" in args.parts]
    options = ["--quick"] * args.quick + (["--seeds", str(args.seeds)] if args.seeds else [])
    for part in parts if not args.table else ():
        run(part, options)
    for part in parts:
        show(part)


if __name__ == "__main__":
    main()
