"""From scans to registered images: load, mend, register, resample; in parallel, and once only for each scan."""

from __future__ import annotations

import hashlib
import json
import operator
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from os import PathLike, fspath
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshconv._check import IntArray, one_of
from meshconv.datasets.scan import Scan
from meshconv.errors import ArgumentError, CacheWarning, CheckpointError, MeshConvError, MissingFileError
from meshconv.maps.parameterization import Parameterization
from meshconv.maps.registration import fit_template
from meshconv.maps.template import Template
from meshconv.mesh.io import load
from meshconv.mesh.repair import Repaired, repair
from meshconv.mesh.surface import Surface
from meshconv.resample.channels import channels
from meshconv.resample.geometry_image import GeometryImage
from meshconv.resample.resampler import Resampler
from meshconv.train.checkpoint import read_checkpoint, write_checkpoint
from meshconv.train.config import PrepareConfig

_VERSION = 1  # of the images: raise it when preparation gives other values
_EXPECTED = (ValueError, OSError, ArithmeticError, LookupError)  # what a bad scan may raise; all else is a bug

ScanLike = Scan | Surface | str | PathLike[str]


@dataclass(frozen=True, eq=False)
class Skipped:
    """A scan that could not be prepared, and why."""

    index: int
    name: str
    error: Exception

    def __str__(self) -> str:
        return f"{self.name}: {self.error}"


@dataclass(frozen=True, eq=False)
class Prepared(Sequence[GeometryImage]):
    """Registered images of a population, in one frame.

    Attributes
    ----------
    images : (n, C, N, N) float32
        NaN outside each image's mask.
    channel_names : tuple of C str
    names, subjects : tuple of n str
        A subject is empty where it is not known.
    labels : (n,) int64
        -1 where a scan came without one.
    kept : (n,) int64
        Which of the given scans each image is of.
    skipped : tuple of Skipped
        The others.
    """

    images: NDArray[np.float32]
    channel_names: tuple[str, ...]
    names: tuple[str, ...]
    subjects: tuple[str, ...]
    labels: IntArray
    kept: IntArray
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, k: int) -> GeometryImage: ...
    @overload
    def __getitem__(self, k: slice) -> Sequence[GeometryImage]: ...
    def __getitem__(self, k: int | slice) -> GeometryImage | Sequence[GeometryImage]:
        if isinstance(k, slice):
            return [self[j] for j in range(*k.indices(len(self)))]
        image = self.images[operator.index(k)]
        return GeometryImage(image, self.channel_names, np.isfinite(image).all(axis=0))

    def take(self, rows: ArrayLike) -> Prepared:
        """Return some of the images, in the order of `rows`, with all that is known of them."""
        k = np.asarray(rows, dtype=np.int64)
        names, subjects = (tuple(all_[j] for j in k) for all_ in (self.names, self.subjects))
        return Prepared(self.images[k], self.channel_names, names, subjects, self.labels[k], self.kept[k])


@dataclass(frozen=True, eq=False)
class Placed:
    """One scan in the frame: what was mended, where its vertices lie, and its image."""

    repaired: Repaired | None
    parameterization: Parameterization
    resampler: Resampler
    image: GeometryImage


def prepare(
    scans: Sequence[ScanLike],
    template: Template,
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
        A folder of finished images, one file each, named by the content of scan, template and settings. A
        damaged one is made anew, with a `CacheWarning`. Several processes may share it.
    workers : int
        Processes of one thread each; -1 for one per core.
    client : optional
        Anything with ``submit(function, *arguments)`` that returns futures, such as a Dask client: used
        instead of processes of our own.
    on_error : {'raise', 'skip'}
        What a scan that cannot be prepared leads to; with ``skip`` it is listed in ``skipped``.
    progress : bool
        Show a bar, on a terminal only.

    Raises
    ------
    MeshConvError
        Of the first bad scan, with its name; or, where all were skipped, an `ArgumentError`.

    Examples
    --------
    >>> from meshconv.datasets.procedural import ProceduralFaces
    >>> from meshconv.mesh.shapes import face
    >>> faces = ProceduralFaces(2, n_vertices=400)
    >>> prepare(faces, Template.from_surface(face(500)), config=PrepareConfig(size=17)).images.shape
    (2, 6, 17, 17)
    """
    from tqdm import tqdm

    one_of(on_error, ("raise", "skip"), "on_error")
    if len(scans) == 0:
        raise ArgumentError("there are no scans to prepare")
    job = _Job(template, config or PrepareConfig(), None if cache is None else Path(cache))
    results = _run(job, _tasks(scans), workers, client)
    bar = tqdm(results, total=len(scans), desc="prepare", unit="scan", disable=None if progress else True)
    done, skipped = [], []
    for result in bar:
        if not isinstance(result, Skipped):
            done.append(result)
        elif on_error == "raise":
            raise _named(result) from result.error
        else:
            skipped.append(result)
    if not done:
        raise ArgumentError(f"none of {len(scans)} scans could be prepared; first {skipped[0]}")
    return _stack(done, skipped, job.config)


def place(surface: Surface, template: Template, config: PrepareConfig, *, mirrored: bool = False) -> Placed:
    """Return one surface in the frame, with everything that is needed to come back."""
    mended = repair(surface, target=template.parameterization.domain) if config.repair else None
    clean = surface if mended is None else mended.surface
    flat = fit_template(clean, template, mirror=mirrored).parameterization()
    grid = Resampler(flat, config.size)
    fields = channels(flat.surface, flat, template)
    unknown = [name for name in config.channels if name not in fields]
    if unknown:
        raise ArgumentError(f"no channel {unknown[0]!r}; there are {', '.join(fields)}")
    return Placed(mended, flat, grid, grid.to_image({name: fields[name] for name in config.channels}))


@dataclass(frozen=True, eq=False)
class _Task:
    index: int
    name: str
    subject: str
    label: int
    mirrored: bool
    surface: Surface


@dataclass(frozen=True, eq=False)
class _Done:
    """All that is kept of a scan: its surface is not, or memory would grow with what was computed on it."""

    index: int
    name: str
    subject: str
    label: int
    image: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Job:
    """What all scans share; sent to every worker with what the template has computed."""

    template: Template
    config: PrepareConfig
    cache: Path | None

    def __call__(self, task: _Task | Skipped) -> _Done | Skipped:
        """Prepare one scan, or read it from the cache; a failure is a result, so that it crosses processes."""
        if isinstance(task, Skipped):
            return task
        path = None if self.cache is None else self.cache / f"{self._key(task)}.safetensors"
        image = None if path is None else _read_cached(path, self.config)
        if image is None:
            try:
                placed = place(task.surface, self.template, self.config, mirrored=task.mirrored)
            except _EXPECTED as error:
                return Skipped(task.index, task.name, error)
            image = placed.image.channels.astype(np.float32)
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_checkpoint(path, {"image.channels": image}, {"name": task.name})
        return _Done(task.index, task.name, task.subject, task.label, image)

    def _key(self, task: _Task) -> str:
        """Return a name made of all that the image depends on."""
        settings = {"config": self.config.as_dict(), "mirrored": task.mirrored, "version": _VERSION}
        total = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        frame, orientation = self.template.parameterization, self.template.orientation
        total.update((frame.domain if orientation == "any" else f"{frame.domain} {orientation}").encode())
        for array in (task.surface.vertices, task.surface.faces, frame.surface.vertices, frame.surface.faces,
                      frame.coordinates):  # fmt: skip
            total.update(str(array.shape).encode() + array.tobytes())
        return total.hexdigest()


def _tasks(scans: Sequence[ScanLike]) -> Iterator[_Task | Skipped]:
    """Read the scans one by one; one that cannot be read is a result too."""
    for k in range(len(scans)):
        name = f"scan {k}"
        try:
            if callable(getattr(scans, "name", None)):
                name = scans.name(k)  # type: ignore[attr-defined]
            yield _task(k, scans[k])
        except _EXPECTED as error:
            source = getattr(error, "path", None)
            yield Skipped(k, name if source is None or name != f"scan {k}" else source, error)


def _task(index: int, scan: ScanLike) -> _Task:
    if isinstance(scan, Scan):
        return _Task(index, scan.name, scan.subject, scan.label, scan.mirrored, scan.surface)
    if isinstance(scan, Surface):
        return _Task(index, f"scan {index}", "", -1, False, scan)
    if isinstance(scan, str | PathLike):
        name = fspath(scan)
        return _Task(index, name, name, -1, False, load(scan))
    raise ArgumentError(f"scan {index} must be a Scan, a Surface or a path, found {type(scan).__name__}")


def _run(job: _Job, tasks: Iterable[_Task | Skipped], workers: int, client: Any) -> Iterator[_Done | Skipped]:
    """Yield the results in the order of the tasks."""
    if client is None and workers == 1:
        yield from map(job, tasks)
        return
    _warm(job.template)
    if client is not None:
        yield from (future.result() for future in [client.submit(job, task) for task in tasks])
        return
    from joblib import Parallel, delayed

    call: Callable[..., Any] = delayed(job)
    yield from Parallel(n_jobs=workers, return_as="generator", inner_max_num_threads=1, backend="loky")(
        call(task) for task in tasks
    )


def _warm(template: Template) -> None:
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
    return np.asarray(image, dtype=np.float32) if image.shape == expected else None


def _named(skipped: Skipped) -> Exception:
    """Return the error of a scan with its name in front."""
    error = skipped.error
    if isinstance(error, MeshConvError):
        return error if error.path is not None else error.at(skipped.name)
    return MeshConvError(f"{type(error).__name__}: {error}", path=skipped.name)


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


def population_template(
    scans: Sequence[ScanLike],
    *,
    count: int = 8,
    on_error: str = "raise",
    domain: str | None = None,
    orientation: str = "any",
    rounds: int = 1,
) -> Template:
    """Return a frame made from scans themselves: the mean of the first few, on the mesh of one of them.

    Of open scans the one of the largest area is the most complete and lends its triangles; of closed ones the
    one of median area.

    Parameters
    ----------
    scans : sequence of Scan, Surface or path
    count : int
        How many sound scans are used.
    on_error : {'raise', 'skip'}
        What a bad scan leads to.
    domain : {'disk', 'sphere'}, optional
        What the scans are; what most of the first `count` are if None.
    orientation : {'any', 'kept'}
        Whether closed scans are all turned alike, see `Template`.
    rounds : int
        How often the mean is renewed.
    """
    tasks = _tasks(scans)
    first = list(islice(tasks, count))
    shape = domain or _majority(first)
    surfaces: list[Surface] = []
    for task in chain(first, tasks):
        found = task if isinstance(task, Skipped) else _upright(task, shape)
        if isinstance(found, Surface):
            surfaces.append(found)
        elif on_error == "raise":
            raise _named(found) from found.error
        if len(surfaces) == count:
            break
    if not surfaces:
        raise ArgumentError("no scan is sound enough to make a template of")
    order = np.argsort([surface.area for surface in surfaces], kind="stable")
    lender = int(order[len(order) // 2]) if shape == "sphere" else int(np.argmax([s.area for s in surfaces]))
    rest = [*surfaces[:lender], *surfaces[lender + 1 :]]
    return Template.from_population([surfaces[lender], *rest], domain=shape, rounds=rounds, orientation=orientation)


def _majority(tasks: Sequence[_Task | Skipped]) -> str:
    """Return ``sphere`` if most of the surfaces are closed, else ``disk``."""
    closed = [not task.surface.boundary_loops for task in tasks if not isinstance(task, Skipped)]
    return "sphere" if 2 * sum(closed) > len(closed) else "disk"


def _upright(task: _Task, domain: str) -> Surface | Skipped:
    """Return the mended scan, mirrored back if it is said to be a mirror image."""
    try:
        clean = repair(task.surface, target=domain).surface
    except _EXPECTED as error:
        return Skipped(task.index, task.name, error)
    return Surface(clean.vertices * [-1, 1, 1], clean.faces[:, ::-1]) if task.mirrored else clean
