"""Rows of the README's tables of dynamic strides and PPCR, from results/layers_stride.json and
layers_ppcr.json.

`readme.py` hooks them in: ``TABLES["stride"] = lambda: table(*stride(read("layers_stride")))``, and
so on.
"""

from __future__ import annotations

from typing import Any

Table = tuple[list[str], list[list[str]], str]


def stride(found: dict[str, Any]) -> Table:
    """Small digits among clutter: accuracy, where the windows land, and what it costs."""
    rows = [
        [
            row["network"],
            str(row["parameters"]),
            _pm(row, "accuracy"),
            _pm(row, "accuracy - plain", "{:+.3f}"),
            _pm(row, "share / area", "{:.2f}"),
            _pm(row, "test time / plain", "{:.1f}"),
            str(row["seeds"]),
        ]
        for row in found["learning"]
    ]
    head = [
        "network",
        "parameters",
        "accuracy",
        "less plain",
        "windows on the digit / area",
        "time / plain",
        "seeds",
    ]
    return head, rows, "python benchmarks/layers.py stride"


def stride_time(found: dict[str, Any]) -> Table:
    """Forward of a layer beside the convolution, and of the landing map beside the layer."""
    rows = [
        [
            row["layer"],
            f"{row['conv_ms']:.1f}",
            f"{row['layer / conv']:.2f}",
            f"{row['map / layer']:.1%}",
        ]
        for row in found["time"]
    ]
    return ["3 x 3, batch 4", "convolution, ms", "layer / convolution", "map / layer"], rows, _TIME


def ppcr(found: dict[str, Any]) -> Table:
    """Attention layers, like for like: time, parameters, faces and, where it was run,
    PneumoniaMNIST.
    """
    time = {row["layer"]: row for row in found["time"] if row["side"] == 224}
    sets = {
        name: {row["layer"]: row for row in found.get(name, [])} for name in ("faces", "pneumonia")
    }
    head = [
        "layer",
        "parameters",
        "ResNet-18 time",
        "faces: accuracy",
        "AUC",
        "less none",
        "gradient on the site",
    ]
    rows = []
    for layer, row in sets["faces"].items():
        cost = [f"{time[layer]['parameters added']:+.2%}", f"{time[layer]['forward ratio']:.2f}"]
        gain = "-" if layer == "none" else _pm(row, "auc - none", "{:+.3f}")
        rows.append(
            [layer, *cost, _pm(row, "accuracy"), _pm(row, "auc"), gain, _pm(row, "gradient")]
        )
        if sets["pneumonia"]:
            found_there = sets["pneumonia"][layer]
            gain = "-" if layer == "none" else _pm(found_there, "auc - none", "{:+.3f}")
            rows[-1] += [_pm(found_there, "auc"), gain]
    more = ["PneumoniaMNIST: AUC", "less none"] if sets["pneumonia"] else []
    return head + more, rows, "python benchmarks/layers.py ppcr"


def _pm(row: dict[str, Any], key: str, shown: str = "{:.3f}") -> str:
    half = row.get(f"{key} +-")
    return shown.format(row[key]) + (f" ± {half:.3f}" if half else "")


_TIME = "python benchmarks/layers_stride.py time"
