"""README tables of the layers, from results/layers_*.json: (head, rows, command)."""

from __future__ import annotations

from typing import Any

from meshconv.benchmark.seeds import with_half_width

Table = tuple[list[str], list[list[str]], str]


def scale(found: dict[str, Any]) -> Table:
    """Dice at sizes never trained on."""
    scores = [key for key in found["summary"][0] if key.startswith("dice") and "+-" not in key]
    rows = [
        [str(row["volumes"]), row["network"], *(_signed(row, "network", key) for key in scores)]
        for row in found["summary"]
    ]
    sizes = (f"Dice at size {key.removeprefix('dice at ')}" for key in scores)
    return ["training volumes", "network", *sizes], rows, "python benchmarks/layers.py scale"


def equivariance(found: dict[str, Any]) -> Table:
    """The patch errors of single layers."""
    bands = [key for key in found["equivariance"][0] if key.startswith("error")]
    rows = [
        [row["layer"], *(f"{row[key]:.1e}" if row[key] else "0" for key in bands)]
        for row in found["equivariance"]
    ]
    head = ["layer", *(f"{key} rad / voxel" for key in bands)]
    return head, rows, "python benchmarks/layers.py scale"


def adaptive(found: dict[str, Any]) -> Table:
    """Cost and intersection over union of each mask on blood cells."""
    rows = [
        [
            row["mask"],
            with_half_width({"cost": row.get("MACs / all high")}, "cost", "{:.2f}"),
            _signed(row, "mask", "mean_iou"),
            _signed(row, "mask", "iou_platelet"),
            str(row["seeds"]),
        ]
        for row in found["summary"]
    ]
    head = ["nodes", "MACs / all high", "mean IoU", "IoU of platelets", "seeds"]
    return head, rows, "python benchmarks/layers.py adaptive"


def adaptive_time(found: dict[str, Any]) -> Table:
    """CPU time of an adaptive layer beside the dense one, 75 % of the area downsampled."""
    ratios = [key for key in found["time"][0] if key.endswith("dense") and key != "dense"]
    rows = [
        [f"{row['channels']} channels, {row['side']}^2", *(f"{row[key]:.2f}" for key in ratios)]
        for row in found["time"]
    ]
    return ["layer", *ratios], rows, "python benchmarks/layers.py adaptive"


def stride(found: dict[str, Any]) -> Table:
    """Small digits among clutter: accuracy, where the windows land, and what it costs."""
    columns = {
        "accuracy": ("accuracy", "{:.3f}"),
        "less plain": ("accuracy - plain", "{:+.3f}"),
        "windows on the digit / area": ("share / area", "{:.2f}"),
        "time / plain": ("test time / plain", "{:.1f}"),
    }
    rows = [
        [
            row["network"],
            str(row["parameters"]),
            *(_three(row, key, pattern) for key, pattern in columns.values()),
            str(row["seeds"]),
        ]
        for row in found["learning"]
    ]
    head = ["network", "parameters", *columns, "seeds"]
    return head, rows, "python benchmarks/layers.py stride"


def attention(found: dict[str, Any]) -> Table:
    """Attention layers, like for like: time, parameters, faces and, where run, PneumoniaMNIST."""
    time = {row["layer"]: row for row in found["time"] if row["side"] == 224}
    there = {row["layer"]: row for row in found.get("pneumonia", [])}
    head = ["layer", "parameters", "ResNet-18 time", "faces: accuracy", "AUC", "less none"]
    head += ["gradient on the site", *(["PneumoniaMNIST: AUC", "less none"] if there else [])]
    rows = []
    for row in found["faces"]:
        layer, known = row["layer"], time[row["layer"]]
        cost = [f"{known['parameters added']:+.2%}", f"{known['forward ratio']:.2f}"]
        faces = [_three(row, "accuracy"), _three(row, "auc"), _gain(row), _three(row, "gradient")]
        more = [_three(there[layer], "auc"), _gain(there[layer])] if there else []
        rows.append([layer, *cost, *faces, *more])
    return head, rows, "python benchmarks/layers.py ppcr"


def _gain(row: dict[str, Any]) -> str:
    return "-" if row["layer"] == "none" else _three(row, "auc - none", "{:+.3f}")


def _three(row: dict[str, Any], key: str, pattern: str = "{:.3f}") -> str:
    """A figure, its half-width with three digits whatever its own are; none where it is 0."""
    half = row.get(f"{key} +-")
    return pattern.format(row[key]) + (f" ± {half:.3f}" if half else "")


def _signed(row: dict[str, Any], who: str, key: str) -> str:
    """A figure; a difference of two methods with its sign."""
    return with_half_width(row, key, "{:+.3f}" if " - " in str(row[who]) else "{:.3f}")
