"""What a benchmark found: a table over seeds, the means over data sets, and a page of pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from meshconv._check import FloatArray
from meshconv.benchmark.seeds import SHARE, Row, over_seeds, with_half_width
from meshconv.benchmark.task import Task
from meshconv.io.atomic import write_bytes_atomic
from meshconv.saliency.attribute import unit_range
from meshconv.viz.picture import FieldStyle, pyplot, render_views

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def table(rows: Sequence[Row]) -> list[list[str]]:
    """Return one line a data set and model: accuracy over seeds, sites found, size and cost; the
    head first. What ``±`` says is in `meshconv.benchmark.seeds`.
    """
    lines = [
        ["data set", "model", "seeds", "accuracy", "AUC", "site found", "parameters", "CPU s/epoch"]
    ]
    for cell in over_seeds(rows, ["task", "model"], ["accuracy", "auc", "cpu_s_per_epoch"]):
        mine = [row for row in rows if (row["task"], row["model"]) == (cell["task"], cell["model"])]
        lines.append(
            [
                cell["task"],
                cell["model"],
                "-" if cell["accuracy"] is None else str(cell["seeds"]),
                with_half_width(cell, "accuracy", limits=SHARE),
                _or_dash(cell["auc"]),
                _sites(mine),
                str(mine[0]["parameters"] or "-"),
                _or_dash(cell["cpu_s_per_epoch"]),
            ]
        )
    return lines


def over_populations(rows: Sequence[Row]) -> list[Row]:
    """Return the rows, those of the populations of one effect (``kinds:EFFECT:MM:SEED``) named
    alike: another seed of theirs is another population.
    """
    named = [":".join(str(row["task"]).split(":")[:3]) for row in rows]
    drawn = [str(row["task"]).startswith("kinds:") for row in rows]
    return [
        {**row, "task": name} if one else row
        for row, name, one in zip(rows, named, drawn, strict=True)
    ]


def means(rows: Sequence[Row], models: Sequence[str], tasks: Sequence[str]) -> dict[str, float]:
    """Return each model's mean error over data sets (each first averaged over seeds); NaN if one is
    missing.
    """
    found = {
        (cell["task"], cell["model"]): cell["accuracy"]
        for cell in over_seeds(rows, ["task", "model"], ["accuracy"])
    }
    return {
        model: float(np.mean([1 - found.get((task, model), np.nan) for task in tasks]))
        for model in models
    }


def as_text(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells in columns."""
    width = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(line, width, strict=True)).rstrip()
        for line in lines
    )


def _sites(rows: Sequence[Row]) -> str:
    methods = dict.fromkeys(method for row in rows for method in row["saliency"])
    found = {
        m: np.mean([row["saliency"][m]["auc"] for row in rows if m in row["saliency"]])
        for m in methods
    }
    boxes = [row["mass_in_box"] / row["area_of_box"] for row in rows if "mass_in_box" in row]
    parts = [f"{method} {value:.3f}" for method, value in found.items()]
    return ", ".join([*parts, f"box x {np.mean(boxes):.2f}"] if boxes else parts) or "-"


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


# --- pictures
# --------------------------------------------------------------------------------------


def save_maps(folder: Path, task: Task, model: str, maps: Mapping[str, FloatArray]) -> None:
    """Keep a model's maps on the template's vertices, for `saliency_page`; one file a data set and
    model.
    """
    import io

    if task.template is None or not maps:
        return
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {k: task.on_template(v).astype(np.float32) for k, v in maps.items()}
    np.savez_compressed(buffer, **arrays)
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes_atomic(folder / f"{_slug(task.name)}__{_slug(model)}.npz", buffer.getvalue())


def load_maps(folder: Path, task: str, model: str) -> dict[str, FloatArray]:
    """Return the maps that were kept, by method; none if there are none."""
    path = folder / f"{_slug(task)}__{_slug(model)}.npz"
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as found:
        return {name: found[name].astype(np.float64) for name in found.files}


def saliency_page(
    panels: Sequence[tuple[str, Any, Sequence[tuple[str, FloatArray]]]], *, size: int = 260
) -> Figure:
    """Return a figure: one row a data set, one column a map, all on the front of its surface.

    Parameters
    ----------
    panels : sequence of (name, Surface, [(title, (V,) field), ...])
        Each field is scaled to 0..1 by itself.
    size : int
        Pixels of a panel.
    """
    plt = pyplot()
    columns = max(len(fields) for _, _, fields in panels)
    fig, axes = plt.subplots(
        len(panels), columns, figsize=(1.9 * columns, 2.1 * len(panels)), squeeze=False
    )
    for axis in axes.flat:
        axis.set_axis_off()
    look = FieldStyle("saliency", (0.0, 1.0), iso_lines=False)
    for row, (name, surface, fields) in zip(axes, panels, strict=True):
        for axis, (title, field) in zip(row, fields, strict=False):
            (view,) = render_views(
                surface, unit_range(field), views=("front",), field_style=look, size=size
            )
            axis.imshow(view)
            axis.set_title(title, fontsize=8, color="#6b645c")
        row[0].text(
            -0.02,
            0.5,
            name,
            transform=row[0].transAxes,
            rotation=90,
            va="center",
            ha="right",
            fontsize=8,
        )
    fig.subplots_adjust(left=0.05, right=1, top=0.96, bottom=0, wspace=0.02, hspace=0.12)
    return fig


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "_", name).strip("_")
