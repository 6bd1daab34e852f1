"""Scans as a torch-geometric data set: meshes with labels, kept in one file that cannot run
code.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from os import PathLike, fspath
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch_geometric.data import Data, InMemoryDataset

from meshconv._check import IntArray, one_of
from meshconv.datasets.graph import image_graph, scan_graph
from meshconv.datasets.scan import Population, Scan
from meshconv.errors import ArgumentError, ArrayTypeError, CheckpointError
from meshconv.io.atomic import write_bytes_atomic
from meshconv.io.convert import as_surface
from meshconv.resample.geometry_image import GeometryImage

FORMAT = 1
_BAD_SCAN = (ValueError, OSError, ArithmeticError, LookupError)


class SurfaceGraphs(InMemoryDataset):
    """Labelled meshes, or registered images as graphs of their pixels, for torch-geometric.

    Each item is what `scan_graph` or `image_graph` gives, through `pre_transform` once and
    `transform` at every look. They are kept in ``root/processed/graphs.pt``: written whole or not
    at all, with a checksum, read without running anything it holds. A file made of other scans or
    transforms is refused (told by their number and names, the first and the last scan, and how the
    transforms print).

    Parameters
    ----------
    root : str or PathLike, optional
        Folder of the processed file; nothing is written if None.
    scans : sequence of Scan, Surface, path or GeometryImage, optional
        A population, a `FolderDataset`, prepared images, ... Not needed where the processed file is
        there.
    labels : (n,) int array_like, optional
        In place of the scans' own.
    transform, pre_transform, pre_filter : callable, optional
        As in torch-geometric. See `meshconv.datasets.graph_transforms`.
    on_error : {'raise', 'skip'}
        What a scan that cannot be read or transformed leads to; those skipped are in ``skipped``.
    force_reload : bool
        Make the processed file anew.

    Attributes
    ----------
    skipped : tuple of str
        Scans that were left out, and why.
    classes : tuple of str
        Names of the classes, where the scans bring them along.

    Raises
    ------
    ArgumentError
        If there are no scans and no processed file, or it was made of something else.
    CheckpointError
        If the processed file is damaged.
    MeshConvError
        Of the first bad scan.

    Examples
    --------
    >>> from meshconv.datasets.procedural import ProceduralFaces
    >>> graphs = SurfaceGraphs(None, ProceduralFaces(4, n_vertices=400))
    >>> len(graphs), graphs.num_classes, int(graphs[1].y), graphs[1].name
    (4, 2, 1, 'procedural0_0001')
    """

    def __init__(
        self,
        root: str | PathLike[str] | None = None,
        scans: Sequence[Any] | None = None,
        labels: ArrayLike | None = None,
        *,
        transform: Callable[..., Any] | None = None,
        pre_transform: Callable[..., Any] | None = None,
        pre_filter: Callable[..., Any] | None = None,
        on_error: str = "raise",
        force_reload: bool = False,
    ) -> None:
        one_of(on_error, ("raise", "skip"), "on_error")
        self._source = None if scans is None else _Source.of(scans, labels, on_error)
        self._content: dict[str, Any] = {}
        self._folder = None if root is None else fspath(root)
        super().__init__(
            self._folder, transform, pre_transform, pre_filter, log=False, force_reload=force_reload
        )
        content, self._content, self._source = self._content, {}, None
        self.skipped, self.classes = tuple(content["skipped"]), tuple(content["classes"])
        self._data, self.slices = Data.from_dict(content["data"]), content["slices"]

    @property
    def processed_file_names(self) -> str:
        """The one file in ``root/processed``."""
        return "graphs.pt"

    def _process(self) -> None:
        """Read the processed file, or make it (torch-geometric's own reads pickles beside it)."""
        path = None if self._folder is None else Path(self.processed_paths[0])
        if path is not None and path.exists() and not self.force_reload:
            content = _read(path)
            self._refuse_others(content["made_of"], path)
        elif self._source is None:
            raise ArgumentError("no scans were given and there is no processed file", path=path)
        else:
            content = self._made(self._source)
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(path, content)
        self._content = content

    def process(self) -> None:
        """Do nothing more: see `_process`."""

    def _made(self, source: _Source) -> dict[str, Any]:
        graphs, skipped = [], []
        for k in range(len(source.scans)):
            try:
                graph = source.graph(k)
                if self.pre_filter is None or self.pre_filter(graph):
                    graphs.append(
                        graph if self.pre_transform is None else self.pre_transform(graph)
                    )
            except _BAD_SCAN as error:
                if source.on_error == "raise":
                    raise
                skipped.append(f"{source.name(k)}: {error}")
        if not graphs:
            first = f"; first {skipped[0]}" if skipped else ""
            raise ArgumentError(f"none of {len(source.scans)} scans became a graph{first}")
        data, slices = self.collate(graphs)
        return {
            "format": FORMAT,
            "made_of": self._made_of(),
            "skipped": skipped,
            "classes": source.classes,
            "data": data.to_dict(),
            "slices": None if slices is None else dict(slices),
        }

    def _made_of(self) -> dict[str, str]:
        own = {"pre_transform": repr(self.pre_transform), "pre_filter": repr(self.pre_filter)}
        own = {name: _without_address(text) for name, text in own.items()}
        return own if self._source is None else {**own, **self._source.fingerprint()}

    def _refuse_others(self, found: dict[str, str], path: Path) -> None:
        unlike = [
            f"{key} is {found.get(key)}, not {value}"
            for key, value in self._made_of().items()
            if found.get(key) != value and (self._source is not None or value != "None")
        ]
        if unlike:
            raise ArgumentError(
                f"the processed file was made of something else: {'; '.join(unlike)}",
                path=path,
                indices=unlike,
                count=len(unlike),
                hint="force_reload=True makes it anew",
            )


class _Source:
    """Scans that graphs are made of, and what they are called."""

    def __init__(self, scans: Sequence[Any], labels: IntArray | None, on_error: str) -> None:
        self.scans, self.labels, self.on_error = scans, labels, on_error
        self.classes = [str(name) for name in getattr(scans, "classes", ())]

    @classmethod
    def of(cls, scans: Sequence[Any], labels: ArrayLike | None, on_error: str) -> _Source:
        own = getattr(scans, "labels", None)
        if labels is None and isinstance(own, np.ndarray) and (own >= 0).all():
            labels = own  # of prepared images
        if labels is None:
            return cls(scans, None, on_error)
        array = np.asarray(labels)
        if array.shape != (len(scans),) or array.dtype.kind not in "iu":
            raise ArrayTypeError(
                f"labels must be ({len(scans)},) integers, found {array.shape} {array.dtype}"
            )
        return cls(scans, array.astype(np.int64), on_error)

    def graph(self, k: int) -> Data:
        scan = self.scans[k]
        label = None if self.labels is None else int(self.labels[k])
        if isinstance(scan, GeometryImage):
            graph = image_graph(scan, label)
            graph.name = self.name(k)
            return graph
        return scan_graph(scan if isinstance(scan, Scan) else as_surface(scan), label)

    def name(self, k: int) -> str:
        """The name of scan k, without reading it."""
        namer, names = getattr(self.scans, "name", None), getattr(self.scans, "names", None)
        if callable(namer):
            return str(namer(k))
        if names is not None:
            return str(names[k])
        one = None if isinstance(self.scans, Population) else self.scans[k]
        return (
            str(one.name)
            if isinstance(one, Scan)
            else fspath(one)
            if isinstance(one, str | PathLike)
            else f"scan {k}"
        )

    def fingerprint(self) -> dict[str, str]:
        """How many scans there are, their names and labels, and what the first and the last one
        hold.
        """
        total = hashlib.sha256("\n".join(self.name(k) for k in range(len(self.scans))).encode())
        total.update(b"" if self.labels is None else self.labels.tobytes())
        for k in {0, len(self.scans) - 1} if len(self.scans) else ():
            try:
                for value in self.graph(k).to_dict().values():
                    total.update(
                        value.numpy().tobytes()
                        if isinstance(value, torch.Tensor)
                        else str(value).encode()
                    )
            except _BAD_SCAN as error:
                total.update(str(error).encode())
        return {"n": str(len(self.scans)), "scans": total.hexdigest()[:16]}


def _without_address(text: str) -> str:
    """Drop where in memory a function lies: it differs from run to run."""
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def _write(path: Path, content: dict[str, Any]) -> None:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    data = buffer.getvalue()
    write_bytes_atomic(path, data + hashlib.sha256(data).digest())


def _read(path: Path) -> dict[str, Any]:
    """Read a processed file; tensors, numbers and text only, whatever it claims to hold."""
    raw = path.read_bytes()
    data, digest = raw[:-32], raw[-32:]
    if hashlib.sha256(data).digest() != digest:
        raise CheckpointError(
            "the checksum does not match: the file is damaged, or not ours",
            path=path,
            hint="force_reload=True makes it anew",
        )
    try:
        content: dict[str, Any] = torch.load(io.BytesIO(data), weights_only=True)
    except (UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        first = str(error).partition("\n")[0]
        raise CheckpointError(f"holds more than tensors and text ({first})", path=path) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(
            "of another format", path=path, hint="force_reload=True makes it anew"
        )
    return content
