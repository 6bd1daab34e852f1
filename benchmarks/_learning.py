"""What the learning tables share: means over seeds with intervals, differences within seeds, going
on after a stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from meshconv.benchmark.seeds import Row, differences, over_seeds
from meshconv.benchmark.seeds import as_words as text
from meshconv.errors import MissingFileError

__all__ = ["Row", "differences", "learn", "over_seeds", "text", "unfinished"]


def unfinished(runs: Sequence[Row], before: Row, options: Row, *, resume: bool) -> list[Row]:
    """Rows of an interrupted run to go on with: all of `runs` with `resume`, if it had the same
    options but seeds.
    """
    same = {key: value for key, value in before.items() if key != "seeds"} == {
        key: value for key, value in options.items() if key != "seeds"
    }
    if resume and runs and not same:
        raise SystemExit(f"--resume: the results were made with {before}, not {options}")
    return list(runs) if resume else []


def learn(
    name: str,
    result: Row,
    options: Row,
    runs_of: Callable[[int, Row, list[Row]], Iterable[Any]],
    summarised: Callable[[list[Row]], list[Row]],
    *,
    resume: bool,
) -> None:
    """Fill in the learning table of results/NAME.json seed by seed; every finished row is written
    at once.
    """
    from _common import (
        write,  # the statistics in this file are also used without the scripts' folder on the path
    )

    runs = unfinished(result.get("runs", []), result.get("options", {}), options, resume=resume)
    result |= {"options": options, "runs": runs}
    try:
        for seed in range(options["seeds"]):
            for _ in runs_of(seed, options, runs):
                result["summary"] = summarised(runs)
                write(name, result)
    except MissingFileError as error:
        print(f"learning table left out: {error}")
    for row in result.get("summary", []):
        print(text(row))
