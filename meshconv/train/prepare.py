"""From scans to registered images: load, mend, register, resample; in parallel, and once only for
each scan.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray, one_of
from meshconv._progress import Meter, metered
from meshconv.datasets.scan import Population, Scan
from meshconv.errors import ArgumentError, CacheWarning, CheckpointError, MissingFileError
from meshconv.io.npz_layout import numbers_begin
from meshconv.registration.frame import Frame
from meshconv.resample.geometry_image import GeometryImage
from meshconv.resample.image_stack import ImageStack
from meshconv.resample.placed import Placed, quietly_placed, say_doubts
from meshconv.resample.standing import Standing
from meshconv.stats.shape_measures import MEASURES
from meshconv.train.checkpoint import read_checkpoint, write_checkpoint
from meshconv.train.config import PrepareConfig
from meshconv.train.engines import results
from meshconv.train.prepared import Prepared
from meshconv.train.scan_measures import measures_of
from meshconv.train.scans import EXPECTED, ScanLike, Unread, all_of, population_of, unread
from meshconv.train.skipped import Skipped

_VERSION = 6  # of the images: raise it when preparation gives other values
_IMAGE = "image.channels"  # what the arrays of a cache file are called
_MEASURED = "measures"
_STANDING = "standing"
_IN_MEMORY = 1 << 29  # bytes of images beyond which they stay in the cache


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
        Size, channels, detail, repair.
    cache : str or PathLike, optional
        A folder of finished images, one file each, named by the content of scan, template and
        settings. A damaged one is made anew, with a `CacheWarning`. Several processes may share it.
        Images of more than half a gigabyte in all stay there, see `Prepared`: keep the folder for
        as long as they are used.
    workers : int
        How many of one thread each; -1 for one per core. Processes, or what joblib's backend in
        force has (``joblib.parallel_config``).
    client : optional
        Used instead of them: a Dask client, the address or the file of its scheduler, or anything
        with ``submit(function, *arguments)`` that returns futures. The frame is sent once, files
        by their path, those of a population by their number. Then files and cache must be where
        every worker finds them by the same path.
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
    job = _Job.of(template, config or PrepareConfig(), cache, population_of(scans))
    if client is not None or workers != 1:
        _warm(template)
    done_in_order = results(job, unread(scans), workers=workers, client=client)
    meter = Meter("prepare", "scan", len(scans), shown=progress)
    done: list[_Done] = []
    skipped: list[Skipped] = []
    for result in metered(done_in_order, meter):
        if isinstance(result, Skipped):
            skipped.append(result)
        else:
            done.append(result)
    if skipped and on_error == "raise":
        raise all_of(skipped, len(scans)) from skipped[0].error
    if not done:
        raise ArgumentError(f"none of {len(scans)} scans could be prepared; first {skipped[0]}")
    say_doubts([(one.name, one.standing.doubts) for one in done])
    return _stack(done, skipped, job.config)


def place_scan(scan: Scan, template: Frame, config: PrepareConfig) -> Placed:
    """Return one scan in the frame, with everything that is needed to come back; quietly."""
    return quietly_placed(
        scan.surface, template, size=config.size, mend=config.repair, mirror=bool(scan.mirrored)
    )


def image_of(placed: Placed, config: PrepareConfig) -> GeometryImage:
    """Return the image of a scan in the frame.

    Raises
    ------
    ArgumentError
        If there is no such channel, or no node lies on the scan.
    """
    return placed.image(config.channels, detail=config.detail)


@dataclass(frozen=True, eq=False)
class _Done:
    """All that is kept of a scan: its surface is not, or memory would grow with what was computed
    on it. The image lies in the cache, if there is one, and does not travel.
    """

    index: int
    name: str
    subject: str
    label: int
    image: NDArray[np.float32] | Path
    measures: FloatArray
    standing: Standing


@dataclass(frozen=True, eq=False)
class _Job:
    """What all scans share: sent to every worker with what the template has computed."""

    template: Frame
    config: PrepareConfig
    cache: Path | None
    population: Population | None
    key: bytes  # of all that images depend on, but the scan

    @classmethod
    def of(
        cls,
        template: Frame,
        config: PrepareConfig,
        cache: str | PathLike[str] | None,
        population: Population | None,
    ) -> _Job:
        folder = None if cache is None else Path(cache).absolute()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        return cls(template, config, folder, population, _shared_key(template, config))

    def __call__(self, given: Unread | Skipped) -> _Done | Skipped:
        """Prepare one scan, or find it in the cache; a failure is a result, so that it crosses
        processes.
        """
        found = given if isinstance(given, Skipped) else given.read(self.population)
        if isinstance(found, Skipped):
            return found
        index, scan = found
        whose = index, scan.name, scan.subject, scan.label
        path = None if self.cache is None else self.cache / f"{self._key(scan)}.npz"
        if path is not None and (known := _cached(path, self.config)) is not None:
            return _Done(*whose, path, *known)
        try:
            placed = place_scan(scan, self.template, self.config)
            made = image_of(placed, self.config)
            measures, standing = measures_of(placed.surface, self.config), placed.standing
        except EXPECTED as error:
            return Skipped(index, scan.name, error)
        image = made.channels.astype(np.float32)
        if path is not None:
            more = {_MEASURED: measures} if self.config.measures else {}
            write_checkpoint(path, {_IMAGE: image, **more}, {_STANDING: standing.as_dict()})
        return _Done(*whose, image if path is None else path, measures, standing)

    def _key(self, scan: Scan) -> str:
        """Return a name made of all that the image depends on."""
        total = hashlib.sha256(self.key + bytes([bool(scan.mirrored)]))
        _add_arrays(total, scan.surface.vertices, scan.surface.faces)
        return total.hexdigest()


def _shared_key(template: Frame, config: PrepareConfig) -> bytes:
    frame = template.parameterization
    settings: dict[str, Any] = {
        "config": config.as_dict(),
        "version": _VERSION,
        "domain": frame.domain,
        "orientation": template.orientation,
    }
    if config.measures:  # an earlier version had others: they are not mixed
        settings["measures"] = list(MEASURES)
    total = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    _add_arrays(total, frame.surface.vertices, frame.surface.faces, frame.coordinates)
    _add_arrays(total, template.population, template.rivals)  # by which fits are judged
    return total.digest()


def _add_arrays(total: Any, *arrays: NDArray[Any]) -> None:
    for array in arrays:
        total.update(str(array.shape).encode())
        total.update(np.ascontiguousarray(array))


def _warm(template: Frame) -> None:
    """Compute what registration needs of the template once, before it is sent to the workers."""
    _ = template.modes, template.curvature, template.on_border


def _cached(path: Path, config: PrepareConfig) -> tuple[FloatArray, Standing] | None:
    """Return the measures and the standing of an image that the cache has whole and sound."""
    try:
        arrays, head = read_checkpoint(path)
        image, standing = arrays[_IMAGE], Standing.from_dict(head[_STANDING])
        measures = np.asarray(arrays[_MEASURED] if config.measures else [], dtype=np.float64)
    except MissingFileError:
        return None
    except (CheckpointError, KeyError, ValueError) as error:
        warnings.warn(f"cached image made anew: {error}", CacheWarning, stacklevel=4)
        return None
    expected = (len(config.channels), config.size, config.size)
    whole = not config.measures or bool(len(measures) and np.isfinite(measures).all())
    sound = whole and image.shape == expected and bool(np.isfinite(image).any())
    return (measures, standing) if sound else None


def _image_in(path: Path) -> NDArray[Any]:
    return read_checkpoint(path)[0][_IMAGE]


def _stack(done: list[_Done], skipped: list[Skipped], config: PrepareConfig) -> Prepared:
    return Prepared(
        _images([one.image for one in done], config),
        config.channels,
        tuple(one.name for one in done),
        tuple(one.subject for one in done),
        np.array([one.label for one in done], dtype=np.int64),
        np.array([one.index for one in done], dtype=np.int64),
        tuple(skipped),
        np.stack([one.measures for one in done]) if config.measures else None,
        config.detail,
        tuple(one.standing for one in done),
    )


def _images(found: list[NDArray[np.float32] | Path], config: PrepareConfig) -> Any:
    """Return all images in memory; of many that lie in a cache, where they lie."""
    shape = (len(config.channels), config.size, config.size)
    files = [one for one in found if isinstance(one, Path)]
    if files and 4 * len(files) * prod(shape) > _IN_MEMORY:
        begin = np.array([numbers_begin(path, _IMAGE) for path in files], dtype=np.int64)
        return ImageStack(files, np.arange(len(files)), begin, shape, np.float32)
    images = np.empty((len(found), *shape), dtype=np.float32)
    for k, one in enumerate(found):
        images[k] = _image_in(one) if isinstance(one, Path) else one
    return images
