"""The report of a study: what it found, on one page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from meshconv.datasets.folder import FolderDataset
from meshconv.saliency.explain import explain
from meshconv.stats.effect_map import EffectMap
from meshconv.studies.result import Found, StudyResult
from meshconv.train.quality import Quality
from meshconv.train.reading import Classes
from meshconv.viz.picture import FieldStyle
from meshconv.viz.report import report


def write_page(
    result: StudyResult, scans: FolderDataset, settings: Mapping[str, Any], shown: int
) -> None:
    """Write ``report.html`` to the study's folder."""
    first = result.found[0]
    rows = _chosen(first, shown)
    explained = [explain(first.fitted, scans[int(result.ready.kept[k])]) for k in rows]
    classes = tuple(map(str, first.fitted.classes)) if _is_classes(first) else ()
    positive = [name for name in classes if name != settings["reference"]][-1:]
    report(
        explained,
        result.out / "report.html",
        title=f"{scans.folder.name}: {' and '.join(one.column for one in result.found)}",
        answer=result.answer,
        names=[result.ready.names[k] for k in rows],
        class_names=classes,
        positive=positive[0] if positive else None,
        true_labels=[first.values[k] for k in rows],
        group_map=(result.frame, *_map_drawn(first.map)),
        prediction_names=result.ready.names if first.fitted.quality else (),
        registration=result.registration,
        settings=settings,
        skipped=result.ready.skipped,
    )


def _is_classes(one: Found) -> bool:
    return isinstance(one.fitted.reading, Classes)


def _map_drawn(found: EffectMap) -> tuple[Any, FieldStyle]:
    """Return millimetres where they are known and significant, else the statistic."""
    if np.isfinite(found.local).any():
        values = np.where(found.significant() | np.isnan(found.p), found.local, 0.0)
        values = values if found.significant().any() else found.local
        sure = "mm, where significant" if found.significant().any() else "mm, not significant"
        return values, FieldStyle(sure, signed=True)
    return found.statistic, FieldStyle("statistic")


def _chosen(one: Found, count: int) -> list[int]:
    """Return rows to show: of each group in turn the surest; of a score from low to high."""
    quality, n = one.fitted.quality, len(one.values)
    if not _is_classes(one):
        order = np.argsort(np.asarray(one.values), kind="stable")
        return [int(order[k]) for k in np.linspace(0, n - 1, min(count, n)).astype(int)]
    labels = np.asarray(one.values)
    sure = quality.probabilities.max(axis=1) if isinstance(quality, Quality) else np.zeros(n)
    best = [
        iter(np.flatnonzero(labels == name)[np.argsort(-sure[labels == name])].tolist())
        for name in one.fitted.classes
    ]
    rows: list[int] = []
    while len(rows) < min(count, n):
        rows += [row for some in best if (row := next(some, None)) is not None]
    return rows[:count]
