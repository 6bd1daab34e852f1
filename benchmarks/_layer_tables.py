"""Tables of the layers for the site, from results/layers_*.json: (head, rows, command)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meshconv.benchmark.seeds import with_half_width

Table = tuple[list[str], list[list[str]], str]
Row = Mapping[str, Any]


def _table(rows: Sequence[Row], head: Mapping[str, tuple[str, str]], command: str) -> Table:
    """A table from the head of each column, the key of its figure and how it is written."""
    cells = [[_cell(row, *how) for how in head.values()] for row in rows]
    return [*head], cells, f"python benchmarks/{command}"


def _cell(row: Row, key: str, pattern: str = "{}") -> str:
    """A figure and its half-width, none where that is 0; differences of two methods are signed."""
    value, half = row.get(key), row.get(f"{key} +-")
    if value is None or pattern == "{}":
        return "-" if value is None else str(value)
    if any(isinstance(word, str) and " - " in word for word in row.values()):
        pattern = pattern.replace("{:.", "{:+.")
    return with_half_width({**row, f"{key} +-": half or None}, key, pattern)


def _fewer(found: Row) -> str:
    """What to add to the command where there are other seeds than it takes by itself."""
    seeds = found["options"]["seeds"]
    return "" if seeds == 5 else f" --seeds {seeds}"


def equivariance(found: Row) -> Table:
    """The patch errors of single layers."""
    bands = [key for key in found["equivariance"][0] if key.startswith("error")]
    rows = [
        [row["layer"], *(f"{row[key]:.1e}" if row[key] else "0" for key in bands)]
        for row in found["equivariance"]
    ]
    head = ["layer", *(f"{key} rad / voxel" for key in bands)]
    return head, rows, "python benchmarks/layers_scale.py equivariance"


def networks(found: Row) -> Table:
    """Equivariance of whole untrained networks."""
    head = {
        "strides": ("strides", "{}"),
        "antialias": ("antialias", "{}"),
        "error of the network": ("error of the network", "{:.1e}"),
        "of its worst layer": ("of its worst layer", "{:.1e}"),
    }
    return _table(found["networks"], head, "layers_scale.py equivariance")


def sizes(found: Row) -> Table:
    """Dice at sizes that were never trained on."""
    scores = [
        key
        for key in found["summary"][0]
        if key.startswith("dice") and not key.endswith(("+-", "range"))
    ]
    head = {"volumes": ("volumes", "{}"), "network": ("network", "{}")}
    head |= {key.removeprefix("dice ").removeprefix("dice, "): (key, "{:.3f}") for key in scores}
    return _table(found["summary"], head, "layers_sizes.py")


def adaptive(found: Row, task: str) -> Table:
    """Cost and Dice of each way to spend nodes, then differences within seeds."""
    head = {
        "nodes": ("read", "{}"),
        "MACs / all high": ("MACs / all high", "{:.2f}"),
        "time / all high": ("time / all high", "{:.2f}"),
        "Dice": ("dice", "{:.3f}"),
        "seeds": ("seeds", "{}"),
    }
    return _table(found["summary"], head, f"layers_adaptive.py {task}{_fewer(found)}")


def adaptive_time(found: Row) -> Table:
    """CPU time of an adaptive layer beside the dense one, 75 % of the area downsampled."""
    ratios = [key for key in found["time"][0] if key.endswith("dense") and key != "dense"]
    rows = [
        [f"{row['channels']} channels, {row['side']}^2", *(f"{row[key]:.2f}" for key in ratios)]
        for row in found["time"]
    ]
    return ["layer", *ratios], rows, "python benchmarks/layers_adaptive.py time"


def stride(found: Row) -> Table:
    """Small digits among clutter: accuracy, where the windows land, and what it costs."""
    head = {
        "network": ("network", "{}"),
        "parameters": ("parameters", "{}"),
        "accuracy": ("accuracy", "{:.3f}"),
        "less equal parameters": ("accuracy - equal parameters", "{:+.3f}"),
        "windows on the digit / area": ("share / area", "{:.2f}"),
        "time / equal parameters": ("test time / equal parameters", "{:.1f}"),
        "seeds": ("seeds", "{}"),
    }
    return _table(found["summary"], head, "layers_stride.py")


def detection(found: Row) -> Table:
    """Blood cells: average precision at an overlap of .5."""
    equal = "plain, equal parameters"
    head = {
        "network": ("network", "{}"),
        "parameters": ("parameters", "{}"),
        "mAP@.5": ("mAP@.5", "{:.3f}"),
        "less equal parameters": (f"mAP - {equal}", "{:+.3f}"),
        "platelets": ("AP of Platelets", "{:.3f}"),
        "time / equal parameters": (f"test time / {equal}", "{:.1f}"),
        "seeds": ("seeds", "{}"),
    }
    return _table(found["summary"], head, f"layers_detect.py{_fewer(found)}")


def segmentation(found: Row, task: str, small: str) -> Table:
    """Intersection over union, of all classes and of the smallest objects."""
    equal = "plain, equal parameters"
    head = {
        "network": ("network", "{}"),
        "parameters": ("parameters", "{}"),
        "mean IoU": ("mean IoU", "{:.3f}"),
        "less equal parameters": (f"mean IoU - {equal}", "{:+.3f}"),
        f"IoU, {small}": (f"IoU of {small}", "{:.3f}"),
        f"{small}, less equal parameters": (f"IoU of {small} - {equal}", "{:+.3f}"),
        "time / equal parameters": (f"test time / {equal}", "{:.1f}"),
        "CPU s to train": ("train s", "{:.0f}"),
        "seeds": ("seeds", "{}"),
    }
    return _table(found["summary"], head, f"layers_segment.py {task}{_fewer(found)}")


def attention(cost: Row, faces: Row, pneumonia: Row) -> Table:
    """Attention layers, like for like: time, parameters, faces and PneumoniaMNIST."""
    time = {row["layer"]: row for row in cost["time"] if row["side"] == 224}
    on_faces = {row["layer"]: row for row in faces["summary"]}
    head = ["layer", "parameters", "ResNet-18 time", "faces: AUC", "less none"]
    head += ["gradient on the site", "PneumoniaMNIST: AUC", "less none"]
    cost_columns = (("parameters added", "{:+.2%}"), ("forward ratio", "{:.2f}"))
    rows = []
    for row in pneumonia["summary"]:
        layer, seen = row["layer"], on_faces.get(row["layer"], {})
        price = [_cell(time.get(layer, {}), *how) for how in cost_columns]
        found = [_cell(seen, "auc", "{:.3f}"), _gain(seen), _cell(seen, "gradient", "{:.3f}")]
        rows.append([layer, *price, *found, _cell(row, "auc", "{:.3f}"), _gain(row)])
    return head, rows, "python benchmarks/layers_ppcr.py"


def few(found: Row) -> Table:
    """AUC of PneumoniaMNIST by the number of training images."""
    counts = sorted({row["images"] for row in found["summary"]})
    by = {(row["layer"], row["images"]): row for row in found["summary"]}
    layers = list(dict.fromkeys(row["layer"] for row in found["summary"]))
    head = ["layer", *(cell for n in counts for cell in (f"{n} images: AUC", "less none"))]
    rows = []
    for layer in layers:
        pairs = ((_cell(by[layer, n], "auc", "{:.3f}"), _gain(by[layer, n])) for n in counts)
        rows.append([layer, *(cell for pair in pairs for cell in pair)])
    return head, rows, "python benchmarks/layers_ppcr.py settings few"


def _gain(row: Row) -> str:
    return "-" if row.get("layer") == "none" else _cell(row, "auc - none", "{:+.3f}")
