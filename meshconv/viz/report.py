"""`report`: what was found, as one HTML file that needs nothing else: the answer and a mesh to turn
first, then figures, pictures, and all that the answer rests on.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice, repeat
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

import meshconv
from meshconv._check import as_array
from meshconv.errors import ArgumentError
from meshconv.io.atomic import write_bytes_atomic
from meshconv.maps.parameterization import Parameterization
from meshconv.resample.resampler import Resampler
from meshconv.viz.explained import Explained, as_explained
from meshconv.viz.judged import Judged, judged_in_fit, judged_test
from meshconv.viz.picture import FieldStyle, views_extent
from meshconv.viz.sections import LEFT, card, left_out, meshes, row, thumbnail
from meshconv.viz.template_engine import render

_THUMBNAIL = 112  # pixels
_NOWHERE = 0.25  # of a vertex's pixels without a value, that leave it uncoloured


def report(
    results: Any,
    path: str | PathLike[str],
    *,
    title: str = "Surfaces and what decides",
    names: Sequence[str] | None = None,
    class_names: Sequence[str] = (),
    true_labels: Sequence[Any] | None = None,
    metrics: Any = None,
    predictions: tuple[ArrayLike, ArrayLike] | None = None,
    quality: Any = None,
    group_map: Any = None,
    answer: Sequence[str] = (),
    positive: str | None = None,
    prediction_names: Sequence[str] = (),
    registration: Iterable[tuple[str, str, str]] = (),
    settings: Mapping[str, Any] | None = None,
    skipped: Iterable[Any] = (),
    note: str = "",
    look: FieldStyle | None = None,
    size: int = 420,
    in_viewer: int = 6,
    in_full: int = 24,
    thumbnails: int = 1000,
    overwrite: bool = True,
) -> None:
    """Write a report of explained scans: one HTML file, no other file, nothing loaded from
    elsewhere.

    Parameters
    ----------
    results : sequence, iterator or mapping of explanations
        Each with ``surface`` and ``saliency``, and ``parameterization``, ``label``,
        ``probabilities``, ``sampling_grid`` where known (`meshconv.viz.explained.as_explained`); a
        mapping gives names. Of thousands, an iterator: each is let go when it is drawn.
    path : str or PathLike
        Written whole or not at all.
    title, note : str
        Heading and a paragraph under it; as all other text, printed as it stands.
    names : sequence of str, optional
        Of the scans.
    class_names : sequence of str
        What the labels 0, 1, ... mean.
    true_labels : sequence, optional
        Of the scans; a verdict that differs is marked.
    metrics : Metrics or mapping, optional
        Test figures with intervals; for several methods a mapping of name to `Metrics`.
    predictions : ((n,), (n, K)), optional
        Labels and probabilities of all test scans: draws the ROC curve and the calibration.
    quality : Quality, optional
        What was measured while the classifier was fitted: that of the first result if None. Without
        test scans its figures and curves are shown, said to be so; with one that is not better than
        chance, no map is.
    group_map : (surface, field) or explanation, optional
        Surface, `Parameterization` or template of the population, and a field on its vertices (V,)
        or on the nodes of its square (N, N), NaN where there is nothing. A third item is its
        `FieldStyle`.
    answer : sequence of str
        What was found, a sentence each, the first thing on the page; by default what the quality
        and the predictions say.
    positive : str, optional
        Which of two classes the ROC curve and the sensitivity are of; the second if None.
    prediction_names : sequence of n str
        Of the scans in `predictions`, else of those in `quality`, for the table of all of them.
    registration : iterable of (name, score, doubts)
        How each scan lies in the frame.
    settings : mapping, optional
        How the result was made, printed with versions and date.
    skipped : iterable
        Scans left out: texts, (name, reason) pairs, or objects with ``name`` and ``error``.
    look : FieldStyle, optional
        Of the scans' fields; by default ``saliency`` on 0..1.
    size : int
        Pixels of each picture.
    in_viewer : int
        How many scans, the first ones, can be turned; each costs some 100 to 300 kB.
    in_full, thumbnails : int
        How many scans, the first ones, are shown from all sides, at some 200 kB each, and how many
        more by one small picture, at 4 kB; the rest stand in a table. So a page of thousands stays
        below 50 MB.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    RenderingUnavailableError, MissingDependencyError
        Without OpenGL or without PyVista and matplotlib.
    NonFiniteError
        If a saliency has a NaN.
    ArgumentError
        If names, labels or predictions do not fit the results.
    MeshIOError
        If the file cannot be written; an existing one is then left as it was.
    """
    found = _with_truth(_explained(results, names, look), true_labels)
    first = list(islice(found, in_full))
    scans, classes = [one for one, _ in first], tuple(map(str, class_names))
    quality = scans[0].quality if quality is None and scans else quality
    group = (
        None if group_map is None else _group(group_map, quality).facing_viewer().without_border()
    )
    extent = max((views_extent(one.surface, LEFT) for one in scans), default=None)
    cards = [card(one, true, classes, size, extent) for one, true in first]
    small = chain(repeat(_THUMBNAIL, thumbnails), repeat(0))
    more = [
        thumbnail(one, true, classes, side, extent)
        for (one, true), side in zip(found, small, strict=False)
    ]
    judged = _judged(metrics, predictions, quality, classes, positive, prediction_names)
    page = render(
        "report.html",
        title=title,
        note=note,
        answer=list(answer) or _answer(judged, len(scans) + len(more)),
        judged=judged,
        group=None if group is None else row(group, size, None),
        first_scan=int(group is not None),
        in_viewer=in_viewer,
        registration=list(registration),
        settings=_settings(settings),
        cards=cards,
        thumbnails=[one for one in more if one.png is not None],
        others=[one for one in more if one.png is None],
        skipped=left_out(skipped),
        meshes=meshes(([] if group is None else [group]) + scans[:in_viewer]),
    )
    write_bytes_atomic(path, page.encode("utf-8", "backslashreplace"), overwrite=overwrite)


def _explained(
    results: Any, names: Sequence[str] | None, look: FieldStyle | None
) -> Iterator[Explained]:
    """Yield what is to be drawn, one by one, each with a name."""
    if isinstance(results, Mapping):
        names, results = list(results) if names is None else names, list(results.values())
    elif hasattr(results, "saliency") or not isinstance(results, Iterable):
        results = [results]
    count = len(results) if hasattr(results, "__len__") else None
    if names is not None and count not in (None, len(names)):
        raise ArgumentError(f"{len(names)} names for {count} results")
    for k, one in enumerate(results):
        if names is not None and k >= len(names):
            raise ArgumentError(f"{len(names)} names for more results")
        known = as_explained(one, name="" if names is None else str(names[k]), look=look)
        named = known if known.name else replace(known, name=f"scan {k + 1}")
        yield named.facing_viewer().without_border()


def _with_truth(
    scans: Iterator[Explained], true_labels: Sequence[Any] | None
) -> Iterator[tuple[Explained, Any]]:
    """Yield each scan with its true label, None where none are given."""
    truth, count = None if true_labels is None else list(true_labels), 0
    for count, one in enumerate(scans, start=1):
        yield one, truth[count - 1] if truth is not None and count <= len(truth) else None
    if truth is not None and len(truth) != count:
        raise ArgumentError(f"{len(truth)} true labels for {count} results")


def _judged(
    metrics: Any,
    predictions: Any,
    quality: Any,
    classes: tuple[str, ...],
    positive: str | None,
    names: Sequence[str],
) -> list[Judged]:
    """Return what is shown of test scans, and of those that were judged while it was fitted."""
    tested = judged_test(metrics, predictions, classes, positive, names)
    own = names if predictions is None else ()
    fitted = judged_in_fit(quality, classes, positive, own)
    return [one for one in (tested, fitted) if one is not None]


def _answer(judged: Sequence[Judged], shown: int) -> list[str]:
    """Return what was found in a few sentences: of how many scans, and how sure."""
    lines = []
    for one in judged:
        if one.rows:
            wrong = sum(is_wrong for is_wrong, _ in one.rows)
            right = f", {len(one.rows) - wrong} of them right" if one.confusion else ""
            lines.append(f"{one.heading}: {len(one.rows)} scans judged{right}.")
        if one.verdict:
            lines.append(f"The verdict: {one.verdict}.")
    return [*lines, f"{shown} scans are shown below."] if lines else []


def _settings(given: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return settings in words, with the version and the date; nothing if none are given."""
    if given is None:
        return []
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    versions = f"meshconv {meshconv.__version__}, NumPy {np.__version__}"
    python = ".".join(map(str, sys.version_info[:3]))
    own = {"made": now, "versions": f"{versions}, Python {python}"}
    return [(str(name), str(value)) for name, value in {**own, **given}.items()]


def _group(group_map: Any, quality: Any) -> Explained:
    """Return the population's map, blank if the classifier is not better than chance."""
    known = replace(_group_field(group_map), quality=quality)
    blank = known.at_chance and known.field is not None
    return replace(known, field=np.zeros_like(known.field)) if blank else known


def _group_field(group_map: Any) -> Explained:
    if not isinstance(group_map, tuple):
        known = as_explained(group_map)
        return replace(known, name=known.name or "group map")
    surface, field, *look = group_map
    surface = getattr(surface, "parameterization", surface)
    values = as_array(field, "group map")
    nothing = np.isnan(values)
    if values.ndim == 2 and isinstance(surface, Parameterization):
        to_vertices = Resampler(surface, len(values)).to_vertices
        values, nothing = to_vertices(np.nan_to_num(values)), to_vertices(1.0 * nothing) > _NOWHERE
    values = np.nan_to_num(values)
    known = as_explained(surface, values)
    assumed = np.min(values) >= 0 and np.max(values) <= 1
    style = look[0] if look else FieldStyle("group map", (0.0, 1.0) if assumed else None)
    return replace(known, name="group map", look=style, muted=nothing if nothing.any() else None)
