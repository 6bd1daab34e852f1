"""From scans to registered images: load, mend, register, resample; in parallel, and once only for
each scan.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import one_of
from meshconv._progress import Meter, metered
from meshconv.datasets.scan import Scan
from meshconv.errors import ArgumentError, CacheWarning, CheckpointError, MissingFileError
from meshconv.registration.frame import Frame
from meshconv.resample.geometry_image import GeometryImage
from meshconv.resample.placed import Placed, place
from meshconv.train.checkpoint import read_checkpoint, write_checkpoint
from meshconv.train.config import PrepareConfig
from meshconv.train.prepared import Prepared
from meshconv.train.scans import EXPECTED, NumberedScan, ScanLike, Skipped, all_of, read

_VERSION = 2  # of the images: raise it when preparation gives other values


def prepare(
    scans: Sequence[ScanLike],
    template: Frame,
    *,
    config: PrepareConfig | None = None,
    cache: str | PathLike[str] | None = None,
    workers: int = 1,
    client: Any = None,
    on_error: str = "raise",
    progress: bool = True,
) -> Prepared:
    """Return the registered images of scans, in the order given.

    Parameters
    ----------
    scans : sequence of Scan, Surface or path
        Read one by one.
    template : Template
        The frame.
    config : PrepareConfig, optional
        Size, channels, repair.
    cache : str or PathLike, optional
        A folder of finished images, one file each, named by the content of scan, template and
        settings. A damaged one is made anew, with a `CacheWarning`. Several processes may share it.
    workers : int
        Processes of one thread each; -1 for one per core.
    client : optional
        Anything with ``submit(function, *arguments)`` that returns futures, such as a Dask client:
        used instead of processes of our own.
    on_error : {'raise', 'skip'}
        What a scan that cannot be prepared leads to; with ``skip`` it is listed in ``skipped``.
    progress : bool
        Show a bar on a terminal, elsewhere a line a minute.

    Raises
    ------
    MeshConvError
        Of the first bad scan, when all have been tried: names each bad one; or, where all were
        skipped, an `ArgumentError`.

    Examples
    --------
    >>> from meshconv.datasets.procedural import ProceduralFaces
    >>> from meshconv.mesh.shapes import face
    >>> faces = ProceduralFaces(2, n_vertices=400)
    >>> from meshconv import Template
    >>> prepare(faces, Template.from_surface(face(500)), config=PrepareConfig(size=17)).images.shape
    (2, 6, 17, 17)
    """
    one_of(on_error, ("raise", "skip"), "on_error")
    if len(scans) == 0:
        raise ArgumentError("there are no scans to prepare")
    job = _Job(template, config or PrepareConfig(), None if cache is None else Path(cache))
    results = _run(job, read(scans), workers, client)
    meter = Meter("prepare", "scan", len(scans), shown=progress)
    done: list[_Done] = []
    skipped: list[Skipped] = []
    for result in metered(results, meter):
        if isinstance(result, Skipped):
            skipped.append(result)
        else:
            done.append(result)
    if skipped and on_error == "raise":
        raise all_of(skipped, len(scans)) from skipped[0].error
    if not done:
        raise ArgumentError(f"none of {len(scans)} scans could be prepared; first {skipped[0]}")
    return _stack(done, skipped, job.config)


def place_scan(scan: Scan, template: Frame, config: PrepareConfig) -> Placed:
    """Return one scan in the frame, with everything that is needed to come back."""
    return place(scan.surface, template, size=config.size, mend=config.repair, mirror=scan.mirrored)


def image_of(placed: Placed, config: PrepareConfig) -> GeometryImage:
    """Return the image of a scan in the frame.

    Raises
    ------
    ArgumentError
        If there is no such channel, or no node lies on the scan.
    """
    return placed.image(config.channels)


@dataclass(frozen=True, eq=False)
class _Done:
    """All that is kept of a scan: its surface is not, or memory would grow with what was computed
    on it.
    """

    index: int
    name: str
    subject: str
    label: int
    image: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Job:
    """What all scans share; sent to every worker with what the template has computed."""

    template: Frame
    config: PrepareConfig
    cache: Path | None

    def __call__(self, given: NumberedScan | Skipped) -> _Done | Skipped:
        """Prepare one scan, or read it from the cache; a failure is a result, so that it crosses
        processes.
        """
        if isinstance(given, Skipped):
            return given
        index, scan = given
        path = None if self.cache is None else self.cache / f"{self._key(scan)}.npz"
        image = None if path is None else _read_cached(path, self.config)
        if image is None:
            try:
                found = image_of(place_scan(scan, self.template, self.config), self.config)
            except EXPECTED as error:
                return Skipped(index, scan.name, error)
            image = found.channels.astype(np.float32)
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_checkpoint(path, {"image.channels": image}, {"name": scan.name})
        return _Done(index, scan.name, scan.subject, scan.label, image)

    def _key(self, scan: Scan) -> str:
        """Return a name made of all that the image depends on."""
        settings = {"config": self.config.as_dict(), "mirrored": scan.mirrored, "version": _VERSION}
        total = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        frame, orientation = self.template.parameterization, self.template.orientation
        total.update(
            (frame.domain if orientation == "any" else f"{frame.domain} {orientation}").encode()
        )
        for array in (
            scan.surface.vertices,
            scan.surface.faces,
            frame.surface.vertices,
            frame.surface.faces,
            frame.coordinates,
        ):
            total.update(str(array.shape).encode() + array.tobytes())
        return total.hexdigest()


def _run(
    job: _Job, scans: Iterable[NumberedScan | Skipped], workers: int, client: Any
) -> Iterator[_Done | Skipped]:
    """Yield the results in the order of the scans."""
    if client is None and workers == 1:
        yield from map(job, scans)
        return
    _warm(job.template)
    if client is not None:
        yield from (future.result() for future in [client.submit(job, one) for one in scans])
        return
    from joblib import Parallel, delayed

    call: Callable[..., Any] = delayed(job)
    yield from Parallel(
        n_jobs=workers, return_as="generator", inner_max_num_threads=1, backend="loky"
    )(call(one) for one in scans)


def _warm(template: Frame) -> None:
    """Compute what registration needs of the template once, before it is sent to the workers."""
    _ = template.modes, template.curvature, template.on_border


def _read_cached(path: Path, config: PrepareConfig) -> NDArray[np.float32] | None:
    try:
        image = read_checkpoint(path)[0]["image.channels"]
    except MissingFileError:
        return None
    except (CheckpointError, KeyError) as error:
        warnings.warn(f"cached image made anew: {error}", CacheWarning, stacklevel=4)
        return None
    expected = (len(config.channels), config.size, config.size)
    sound = image.shape == expected and bool(np.isfinite(image).any())
    return np.asarray(image, dtype=np.float32) if sound else None


def _stack(done: list[_Done], skipped: list[Skipped], config: PrepareConfig) -> Prepared:
    return Prepared(
        np.stack([one.image for one in done]),
        config.channels,
        tuple(one.name for one in done),
        tuple(one.subject for one in done),
        np.array([one.label for one in done], dtype=np.int64),
        np.array([one.index for one in done], dtype=np.int64),
        tuple(skipped),
    )
