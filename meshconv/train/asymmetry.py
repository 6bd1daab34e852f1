"""`asymmetry_map`: where left and right differ, each scan against its own mirror image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np

from meshconv._check import require_kind
from meshconv.datasets.scan import Population, Scan
from meshconv.errors import ArgumentError
from meshconv.registration.frame import Frame
from meshconv.stats.effect_map import EffectMap
from meshconv.stats.group import group_map
from meshconv.train.config import PrepareConfig
from meshconv.train.prepare import prepare
from meshconv.train.prepared import Prepared
from meshconv.train.scans import ScanLike, as_scan


def asymmetry_map(
    scans: Sequence[ScanLike],
    template: Frame,
    *,
    config: PrepareConfig | None = None,
    cache: str | PathLike[str] | None = None,
    workers: int = 1,
    on_error: str = "raise",
    progress: bool = True,
    **options: Any,
) -> EffectMap:
    """Return where scans are larger than their own mirror images, by how many millimetres, with a
    permutation test of the whole map.

    Every scan is prepared twice, as it is and as one sees it in a mirror, each registered to the
    same frame.

    Parameters
    ----------
    scans : sequence of Scan, Surface or path
        Subjects whose left and right are of one piece: faces, skulls, a pelvis.
    template : Template
        The frame; it need not be symmetric.
    config, cache, workers, on_error, progress
        As in `meshconv.prepare`. With ``on_error='skip'``, a scan of which either image cannot be
        prepared is left out.
    **options
        Of `meshconv.group_map`, but for `labels`, `subjects`, `reference` and `channels`.

    Returns
    -------
    EffectMap
        ``as it is - mirrored``: positive where a side stands out farther than the other does. Left
        and right say the same with the other sign.

    Raises
    ------
    ArgumentError
        If no scan has both images; else as `prepare` and `group_map`.

    Notes
    -----
    If neither side differs, a scan and its mirror image may be taken for each other, and that is
    what is permuted, within the subject; the mean of several scans of a subject counts once.
    Whatever registration, template and sampling do to a shape, they do to both: the test is exact
    for scans that are as probable as their mirror images. What is not so counts as asymmetric, be
    it a scanner that sees one side better.

    References
    ----------
    A face against its mirror image, without landmarks: pmc.ncbi.nlm.nih.gov/articles/PMC4614853.

    Examples
    --------
    >>> import meshconv as mc
    >>> from meshconv.mesh.shapes import face
    >>> from meshconv.train.prepare import PrepareConfig
    >>> frame = mc.Template.from_surface(face(500))
    >>> scans = mc.ProceduralFaces(6, amplitude=0.0, n_vertices=300)
    >>> asymmetry_map(scans, frame, config=PrepareConfig(size=17), permutations=20).contrast
    'as it is - mirrored'
    """
    require_kind(template, "template", Frame)
    ready = prepare(
        _BothSides(scans),
        template,
        config=config,
        cache=cache,
        workers=workers,
        on_error=on_error,
        progress=progress,
    )
    ready = _pairs(ready, len(scans))
    mirrored = ready.kept >= len(scans)
    return group_map(
        ready.images,
        np.where(mirrored, "mirrored", "as it is"),
        reference="mirrored",
        subjects=ready.subjects,
        channels=ready.channel_names,
        **options,
    )


class _BothSides(Population):
    """Scans, and then the same scans as one sees them in a mirror."""

    def __init__(self, scans: Sequence[ScanLike]) -> None:
        self.scans = scans

    def __len__(self) -> int:
        return 2 * len(self.scans)

    def scan(self, k: int) -> Scan:
        """Read a scan; from the middle on, with its mirror image for its surface."""
        row = k % len(self.scans)
        name = f"scan {row}"
        found = as_scan(self.scans[row], name=name)
        turned = found.mirrored != (k >= len(self.scans))
        # a scan of nobody known is compared with itself all the same
        return replace(found, subject=found.subject or name, mirrored=turned)


def _pairs(ready: Prepared, count: int) -> Prepared:
    """Return what was prepared of the scans of which both images are there."""
    rows = ready.kept % count
    both = np.bincount(rows, minlength=count)[rows] == 2
    if not both.any():
        raise ArgumentError("no scan could be prepared both as it is and mirrored")
    return ready.take(np.flatnonzero(both))
