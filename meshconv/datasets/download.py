"""Data sets fetched from where their owners publish them, checked, and kept in the user's cache.

Only files that an owner (or a mirror that keeps the owner's bytes) serves under a fixed address
with a published checksum are here. Where the loaders read another layout, the file is converted on
arrival.
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv.errors import BadFormatError, MeshConvError, MissingDependencyError, MissingFileError
from meshconv.io.atomic import atomic_write
from meshconv.io.source import from_os_error

_TIMEOUT = 20.0  # seconds without a byte
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class RemoteFile:
    """One file at its owner's: address and checksum (``md5:...`` or ``sha256:...``)."""

    url: str
    checksum: str


@dataclass(frozen=True)
class Origin:
    """What a data file is made from.

    Attributes
    ----------
    parts : tuple of RemoteFile
    convert : callable, optional
        From the fetched files to the arrays of the data file; None if the one part is the data
        file.
    """

    parts: tuple[RemoteFile, ...]
    convert: Callable[[Sequence[Path]], Arrays] | None = None


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array of a gzipped IDX file of bytes, the format of MNIST.

    Raises
    ------
    BadFormatError
        If it is another file.
    """
    with gzip.open(path) as file:
        data = file.read()
    n_axes = data[3] if data[:3] == b"\0\0\x08" and len(data) > 3 else 0
    shape = np.frombuffer(data[4 : 4 + 4 * n_axes], dtype=">u4").astype(int)
    if not n_axes or len(data) != 4 + 4 * n_axes + shape.prod():
        raise BadFormatError(
            f"not an IDX file of bytes (starts with {data[:4].hex()}, {len(data)} bytes)", path=path
        )
    return np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * n_axes).reshape(shape)


def mnist_arrays(files: Sequence[Path]) -> Arrays:
    """Return the arrays of ``mnist.npz`` from the four files of MNIST."""
    names = ("train_images", "train_labels", "test_images", "test_labels")
    return dict(zip(names, map(read_idx, files), strict=True))


def adrenal_arrays(files: Sequence[Path]) -> Arrays:
    """Return the arrays of ``adrenalmnist3d_64.npz`` from MedMNIST's file: masks packed to bits,
    labels flat.
    """
    out: Arrays = {}
    with np.load(files[0], allow_pickle=False) as data:
        for split in ("train", "val", "test"):
            images = data[f"{split}_images"]
            out[f"{split}_images"] = np.packbits(images > images.max() // 2, axis=-1)
            out[f"{split}_labels"] = data[f"{split}_labels"].ravel()
    return out


_MEDMNIST = "https://zenodo.org/records/10519652/files/"
# the owner's own site refuses; same bytes, same checksums
_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"

ORIGINS: dict[str, Origin] = {
    "pneumoniamnist.npz": Origin(
        (
            RemoteFile(
                f"{_MEDMNIST}pneumoniamnist.npz?download=1", "md5:28209eda62fecd6e6a2d98b1501bb15f"
            ),
        )
    ),
    "adrenalmnist3d_64.npz": Origin(
        (
            RemoteFile(
                f"{_MEDMNIST}adrenalmnist3d_64.npz?download=1",
                "md5:17721accfe9fb005146a47d33bc54b2f",
            ),
        ),
        adrenal_arrays,
    ),
    "mnist.npz": Origin(
        (
            RemoteFile(
                f"{_MNIST}train-images-idx3-ubyte.gz", "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873"
            ),
            RemoteFile(
                f"{_MNIST}train-labels-idx1-ubyte.gz", "md5:d53e105ee54ea40749a09fcbcd1e9432"
            ),
            RemoteFile(
                f"{_MNIST}t10k-images-idx3-ubyte.gz", "md5:9fb629c4189551a2d022fa330f9573f3"
            ),
            RemoteFile(
                f"{_MNIST}t10k-labels-idx1-ubyte.gz", "md5:ec29112dd5afc8b62a52d9c1d73c3e9c"
            ),
        ),
        mnist_arrays,
    ),
}


def download(name: str, folder: Path) -> Path:
    """Fetch a data file from its owner into `folder`, whole or not at all; return its path.

    Every part is compared with its published checksum before it is used. A bar shows the progress
    on a terminal.

    Raises
    ------
    MissingFileError
        If the address cannot be reached or has no such file; names the address.
    BadFormatError
        If what came has another checksum; nothing is kept.
    MissingDependencyError
        If pooch is not installed.
    AccessError, MeshIOError
        If the folder cannot be written.
    """
    origin, target = ORIGINS[name], folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as scratch:
            files = [
                _fetch(part, Path(scratch) / str(k), name) for k, part in enumerate(origin.parts)
            ]
            with atomic_write(target) as file:
                if origin.convert is None:
                    with files[0].open("rb") as source:
                        shutil.copyfileobj(source, file)
                else:
                    np.savez_compressed(file, allow_pickle=False, **origin.convert(files))
    except OSError as error:
        raise (
            error
            if isinstance(error, MeshConvError)
            else from_os_error(error, str(folder), "write")
        ) from error
    return target


def _fetch(part: RemoteFile, path: Path, name: str) -> Path:
    """Fetch one part to `path`, or say why not."""
    try:
        import pooch  # type: ignore[import-untyped]
        from requests import RequestException
    except ImportError as error:
        raise MissingDependencyError(
            "pooch is not installed, so nothing can be downloaded",
            path=name,
            hint="pip install pooch",
        ) from error
    from tqdm import tqdm

    # pooch asks for the bar's truth value, which a tqdm without total does not have
    with tqdm(
        total=1, unit="B", unit_scale=True, desc=Path(part.url.partition("?")[0]).name, disable=None
    ) as bar:
        get = pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 16, timeout=_TIMEOUT)
        try:
            found = pooch.retrieve(
                part.url, part.checksum, fname=path.name, path=path.parent, downloader=get
            )
        except RequestException as error:
            raise MissingFileError(
                f"{part.url} could not be fetched ({_reason(error)})", path=name, hint=_remedy(name)
            ) from error
        except ValueError as error:  # pooch's word for another checksum
            raise BadFormatError(
                f"what {part.url} sent does not have the checksum {part.checksum}; nothing of"
                " it was kept",
                path=name,
                hint=f"try again, for it may have been cut short; else {_remedy(name)}",
            ) from error
    return Path(found)


def _remedy(name: str) -> str:
    return f"put {name} in the folder that MESHCONV_DATA names; origin and layout: data/README.md"


def _reason(error: Exception) -> str:
    """Return the innermost reason of a failed request in a few words."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP {response.status_code} {response.reason}"
    return f"{type(error).__name__}: {str(error).rpartition(': ')[2][:120]}"
