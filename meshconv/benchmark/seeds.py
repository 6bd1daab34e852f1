"""An experiment over seeds: every row kept as it is finished, then means with their intervals.

In every table of the project ``mean ± half`` is the mean over the seeds, and half the 95 %
interval of that mean (Student's t): what another choice of seeds would move it by. Of two seeds
that interval is 13 times as wide as what they differ by, and says nothing: there stands ``mean
(least to greatest)``. With one seed there is neither. To use it, write a function that yields the
rows of one seed and one that makes tables of rows, then::

    options = {"seeds": 5, "epochs": 10}
    repeat("results/mine.json", options, rows_of_a_seed, means, resume=True)
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from meshconv.errors import CheckpointError
from meshconv.io.atomic import write_bytes_atomic

Row = dict[str, Any]
_HALF, _RANGE = " +-", " range"  # behind the name of a figure: keys of half-width and range
_FEWEST = 3  # values of which an interval of the mean is given
SHARE = (0.0, 1.0)  # limits of accuracies and areas under curves


def repeat(
    path: str | PathLike[str],
    options: Mapping[str, Any],
    rows_of: Callable[[int, Mapping[str, Any], Sequence[Row]], Iterable[Row]],
    means: Callable[[list[Row]], list[Row]],
    *,
    table: str = "summary",
    runs: str = "runs",
    resume: bool = False,
    on_row: Callable[[Row], None] | None = None,
) -> dict[str, Any]:
    """Run an experiment with seeds 0, 1, ... and keep each row in a file as soon as it is there.

    Parameters
    ----------
    path : str or PathLike
        JSON. Other tables in it stay.
    options : mapping
        What the rows depend on; ``seeds`` is how many.
    rows_of : callable
        (seed, options, rows there are already) -> rows still to make, each with its ``seed``.
    means : callable
        All rows -> the rows of the table, see `over_seeds` and `differences`.
    table, runs : str
        Names of the table and of the single rows in the file.
    resume : bool
        Go on with the rows that are there instead of making them again.
    on_row : callable, optional
        Told of each new row.

    Returns
    -------
    record : dict
        What the file now holds.

    Raises
    ------
    CheckpointError
        If the rows to go on with were made with other options than the number of seeds.
    """
    path = Path(path)
    record: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    before = record.get("options", {})
    rows = list(record.get(runs, [])) if resume else []
    if rows and not _same(before, options):
        raise CheckpointError(
            f"made with {before}, now asked for {dict(options)}", path=path, hint="do not resume"
        )
    record |= {"options": dict(options), runs: rows}
    for seed in range(options["seeds"]):
        for row in rows_of(seed, options, tuple(rows)):
            rows.append(row)
            if on_row is not None:
                on_row(row)
            record[table] = means(rows)
            write_bytes_atomic(path, (json.dumps(record, indent=1) + "\n").encode())
    return record


def _same(before: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    return {**before, "seeds": 0} == {**options, "seeds": 0}


def mean_and_half_width(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean, and half the 95 % interval of the mean (None for fewer than three values).

    >>> mean_and_half_width([1.0, 2.0, 3.0])[0], mean_and_half_width([1.0, 2.0])
    (2.0, (1.5, None))
    """
    from scipy import stats

    if len(values) < _FEWEST:
        return statistics.fmean(values), None
    t = stats.t.ppf(0.975, len(values) - 1)
    return statistics.fmean(values), float(t) * statistics.stdev(values) / math.sqrt(len(values))


def over_seeds(rows: Sequence[Row], by: Sequence[str], measures: Sequence[str]) -> list[Row]:
    """Return one row per combination of the columns `by`: each measure's mean over the seeds, its
    half-width as ``NAME +-``, ``NAME range`` of two seeds, and the number of ``seeds``.

    Mean and half-width are None where no row has the measure; rows without it are left out of it.
    """
    out: list[Row] = []
    for key in dict.fromkeys(tuple(row[name] for name in by) for row in rows):
        same = [row for row in rows if tuple(row[name] for name in by) == key]
        cell: Row = dict(zip(by, key, strict=True)) | {"seeds": len(same)}
        for name in measures:
            values = [row[name] for row in same if row.get(name) is not None]
            cell[name], cell[name + _HALF] = mean_and_half_width(values) if values else (None, None)
            if 1 < len(values) < _FEWEST:
                cell[name + _RANGE] = [min(values), max(values)]
        out.append(cell)
    return out


def differences(
    rows: Sequence[Row], column: str, pair: tuple[str, str], by: str, measures: Sequence[str]
) -> list[Row]:
    """Return the first minus the second of a pair of methods, seed by seed, then as
    `over_seeds`.
    """
    first, second = (
        {(row[by], row["seed"]): row for row in rows if row[column] == name} for name in pair
    )
    gaps = [
        {by: key[0], "seed": key[1]} | {m: first[key][m] - second[key][m] for m in measures}
        for key in first
        if key in second
    ]
    return [{column: f"{pair[0]} - {pair[1]}"} | row for row in over_seeds(gaps, [by], measures)]


def with_half_width(
    row: Row, name: str, pattern: str = "{:.3f}", *, limits: tuple[float, float] | None = None
) -> str:
    """Return a figure of a table as text, ``0.912 ± 0.013``; a dash where it is not known.

    Of two seeds, and where the interval would go beyond the limits of what is possible, its ends
    stand in brackets.

    >>> with_half_width({"dice": 0.5, "dice +-": 0.01}, "dice", "{:+.2f}")
    '+0.50 ± 0.01'
    >>> with_half_width({"auc": 0.98, "auc +-": 0.05}, "auc", limits=SHARE)
    '0.980 (0.930 to 1.000)'
    """
    mean, half, ends = (row.get(name + key) for key in ("", _HALF, _RANGE))
    if mean is None:
        return "-"
    if half is not None and limits is not None:
        low, high = max(mean - half, limits[0]), min(mean + half, limits[1])
        ends = None if (low, high) == (mean - half, mean + half) else (low, high)
    if ends is not None:
        return f"{pattern.format(mean)} ({pattern.format(ends[0])} to {pattern.format(ends[1])})"
    shown = pattern.format(mean)
    return shown if half is None else f"{shown} ± {pattern.replace('+', '').format(half)}"


def as_words(row: Row) -> str:
    """Return one row in words, half-widths or ranges behind their means."""
    parts = []
    for key, value in row.items():
        if key.endswith((_HALF, _RANGE)) or value is None:
            continue
        half, ends = row.get(key + _HALF), row.get(key + _RANGE)
        shown = f"{value:.3g}" if isinstance(value, float) else str(value)
        shown += f" +- {half:.2g}" if half is not None else ""
        parts.append(f"{key} {shown}" + (f" ({ends[0]:.3g} to {ends[1]:.3g})" if ends else ""))
    return "  ".join(parts)
