"""README tables of the scale-equivariant and the adaptive layers, from results/layers_scale and
layers_adaptive.
"""

from __future__ import annotations

from typing import Any


def scale_table(record: dict[str, Any]) -> tuple[list[str], list[list[str]], str]:
    """Head, rows and command: Dice at sizes never trained on, mean +- half of the 95 % interval
    over seeds.
    """
    scores = [
        key for key in record["summary"][0] if key.startswith("dice") and not key.endswith("+-")
    ]
    rows = [
        [str(row["volumes"]), row["network"], *(_with_interval(row, key) for key in scores)]
        for row in record["summary"]
    ]
    head = [
        "training volumes",
        "network",
        *(f"Dice at size {key.removeprefix('dice at ')}" for key in scores),
    ]
    return head, rows, "python benchmarks/layers.py scale"


def equivariance_table(record: dict[str, Any]) -> tuple[list[str], list[list[str]], str]:
    """Head, rows and command: the patch errors of single layers."""
    bands = [key for key in record["equivariance"][0] if key.startswith("error")]
    rows = [
        [row["layer"], *(f"{row[key]:.1e}" if row[key] else "0" for key in bands)]
        for row in record["equivariance"]
    ]
    return (
        ["layer", *(f"{key} rad / voxel" for key in bands)],
        rows,
        "python benchmarks/layers.py scale",
    )


def adaptive_table(record: dict[str, Any]) -> tuple[list[str], list[list[str]], str]:
    """Head, rows and command: cost and intersection over union of each mask on blood cells."""
    rows = []
    for row in record["summary"]:
        cost = f"{row['MACs / all high']:.2f}" if "MACs / all high" in row else "-"
        small = _with_interval(row, "iou_platelet") if "iou_platelet" in row else "-"
        rows.append([row["mask"], cost, _with_interval(row, "mean_iou"), small, str(row["seeds"])])
    head = ["nodes", "MACs / all high", "mean IoU", "IoU of platelets", "seeds"]
    return head, rows, "python benchmarks/layers.py adaptive"


def time_table(record: dict[str, Any]) -> tuple[list[str], list[list[str]], str]:
    """Head, rows and command: CPU time of an adaptive layer beside the dense one, 75 % of the area
    downsampled.
    """
    ratios = [key for key in record["time"][0] if key.endswith("dense") and key != "dense"]
    rows = [
        [f"{row['channels']} channels, {row['side']}^2", *(f"{row[key]:.2f}" for key in ratios)]
        for row in record["time"]
    ]
    return ["layer", *ratios], rows, "python benchmarks/layers.py adaptive"


def _with_interval(row: dict[str, Any], key: str) -> str:
    half = row.get(f"{key} +-")
    sign = "+" if " - " in str(row.get("network", row.get("mask"))) else ""
    return f"{row[key]:{sign}.3f}" + (f" ± {half:.3f}" if half is not None else "")
