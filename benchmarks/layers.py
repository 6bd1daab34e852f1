"""All scripts of the adaptive layers, one after another, then their tables in one place.

    python benchmarks/layers.py                            # all, 5 seeds: two hours of CPU
    python benchmarks/layers.py scale adaptive --quick     # some, 1 seed, little training
    python benchmarks/layers.py --table                    # only print what results/ holds

Each part is a script of its own (`layers_scale.py` and so on) with more options and files of its
own in results/. One process, one thread.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path

from _common import RESULTS, one_thread

one_thread()

from _learning import arguments, parsed

from meshconv.benchmark.seeds import as_words

PARTS = ("scale", "sizes", "adaptive", "stride", "detect", "segment", "ppcr")


def show(path: Path) -> None:
    """Print every table of a file, rows of the single seeds left out."""
    record = json.loads(path.read_text())
    print(f"== {path.stem}: {' '.join(f'{k}={v}' for k, v in record.get('options', {}).items())}")
    for name, table in record.items():
        if name != "runs" and isinstance(table, list):
            print(f"-- {name}")
            for row in table:
                print(as_words(row) if isinstance(row, dict) else row)


def main() -> None:
    """Run the parts asked for and print their tables."""
    parser = arguments(__doc__, PARTS)
    parser.add_argument("--table", action="store_true", help="run nothing, only print the results")
    args = parsed(parser, None, PARTS)
    options = ["--seeds", str(args.seeds)]
    options += [f"--{name}" for name in ("quick", "resume") if getattr(args, name)]
    for part in args.parts if not args.table else ():
        print(f"== layers_{part} {' '.join(options)}", flush=True)
        importlib.import_module(f"layers_{part}").main(options)
    for part in args.parts:
        for path in sorted(RESULTS.glob(f"layers_{part}*.json")):
            show(path)


if __name__ == "__main__":
    main()
