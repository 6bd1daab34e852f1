"""What the learning tables share: means over seeds with intervals, differences within seeds, going
on after a stop.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from scipy import stats

from meshconv.errors import MissingFileError

Row = dict[str, Any]


def mean_and_half_width(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean, and half the 95 % interval of the mean (None for a single value)."""
    if len(values) < 2:
        return values[0], None
    t = stats.t.ppf(0.975, len(values) - 1)
    return statistics.fmean(values), float(t) * statistics.stdev(values) / math.sqrt(len(values))


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


def over_seeds(rows: Sequence[Row], by: Sequence[str], measures: Sequence[str]) -> list[Row]:
    """One row per combination of the columns `by`: each measure's mean and half-width over the
    seeds.
    """
    out: list[Row] = []
    for key in dict.fromkeys(tuple(row[name] for name in by) for row in rows):
        same = [row for row in rows if tuple(row[name] for name in by) == key]
        cell: Row = dict(zip(by, key, strict=True)) | {"seeds": len(same)}
        for name in measures:
            cell[name], cell[f"{name} +-"] = mean_and_half_width([row[name] for row in same])
        out.append(cell)
    return out


def differences(
    rows: Sequence[Row], column: str, pair: tuple[str, str], by: str, measures: Sequence[str]
) -> list[Row]:
    """First minus second of a pair of methods, seed by seed, then as `over_seeds`."""
    first, second = (
        {(row[by], row["seed"]): row for row in rows if row[column] == name} for name in pair
    )
    both = [key for key in first if key in second]
    gaps = [
        {by: k, "seed": s} | {m: first[k, s][m] - second[k, s][m] for m in measures}
        for k, s in both
    ]
    return [{column: f"{pair[0]} - {pair[1]}"} | row for row in over_seeds(gaps, [by], measures)]


def text(row: Row) -> str:
    """One row in words, half-widths behind their means."""
    parts = []
    for key, value in row.items():
        if key.endswith(" +-") or value is None:
            continue
        half = row.get(f"{key} +-")
        shown = f"{value:.3g}" if isinstance(value, float) else str(value)
        parts.append(f"{key} {shown}" + (f" +- {half:.2g}" if half is not None else ""))
    return "  ".join(parts)
