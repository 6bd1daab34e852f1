"""`ImageStack`: the images of a large population, in files; read when asked for, never all at
once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from io import FileIO
from math import prod
from os import PathLike, fspath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import IntArray
from meshconv.errors import CheckpointError, MissingFileError


class ImageStack:
    """Images (n, C, N, N) that lie in one file or in many, as uncompressed numbers.

    An array in all that reads some of it: ``len``, ``shape``, ``stack[k]``, ``stack[rows]``,
    iteration; what it gives are arrays in memory. Nothing is mapped, so what was read once does not
    stay, and a population larger than memory can be gone through. `numpy.asarray` reads it whole.

    Parameters
    ----------
    files : sequence of paths
    file : (n,) int
        Which of them each image lies in.
    offset : (n,) int
        At which byte it begins there.
    shape : (C, N, N)
    dtype : NumPy dtype

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/images.npy"
    >>> np.save(path, np.arange(32.0).reshape(8, 1, 2, 2))
    >>> stack = ImageStack.of_mapped(np.load(path, mmap_mode="r")[::2])
    >>> stack.shape, stack[1].ravel().tolist()
    ((4, 1, 2, 2), [8.0, 9.0, 10.0, 11.0])
    """

    def __init__(
        self,
        files: Sequence[str | PathLike[str]],
        file: IntArray,
        offset: IntArray,
        shape: tuple[int, ...],
        dtype: Any,
    ) -> None:
        self.files, self.file, self.offset = tuple(fspath(one) for one in files), file, offset
        self.shape, self.dtype = (len(file), *shape), np.dtype(dtype)

    @classmethod
    def of_mapped(cls, images: np.memmap[Any, Any]) -> ImageStack | None:
        """Return the images of a memory map; None if each does not lie there in one piece, or the
        map is not what its file holds.
        """
        one = images[:1].flags.c_contiguous
        if images.filename is None or images.mode == "c" or images.ndim < 2 or not one:
            return None
        whole = images
        while isinstance(whole.base, np.memmap):
            whole = whole.base
        start = whole.offset + _address(images) - _address(whole)
        offset = start + images.strides[0] * np.arange(len(images), dtype=np.int64)
        file = np.zeros(len(images), dtype=np.int64)
        return cls([images.filename], file, offset, images.shape[1:], images.dtype)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """What it would take in memory."""
        return prod(self.shape) * self.dtype.itemsize

    def take(self, rows: Any) -> ImageStack:
        """Return some of the images, in the order of `rows`, still in their files."""
        return ImageStack(
            self.files, self.file[rows], self.offset[rows], self.shape[1:], self.dtype
        )

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        first, *rest = key if isinstance(key, tuple) else (key,)
        rows = np.arange(len(self))[first]
        if rows.ndim == 0:
            return np.asarray(next(self._each([int(rows)]))[tuple(rest)])
        if not len(rows):
            return np.empty(self.shape[1:], self.dtype)[None][:0][(slice(None), *rest)]
        shape = np.broadcast_to(self.dtype.type(0), self.shape[1:])[tuple(rest)].shape
        out = np.empty((len(rows), *shape), self.dtype)
        for place, image in enumerate(self._each(rows.tolist())):
            out[place] = image[tuple(rest)]
        return out

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (image.copy() for image in self._each(range(len(self))))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("images in files cannot be an array without being read")
        return np.asarray(self[:], dtype=dtype)

    def _each(self, rows: Iterable[int]) -> Iterator[NDArray[Any]]:
        """Yield one image after the other, each in the place of the last; a file is opened once for
        those of it that follow each other.
        """
        image, last = np.empty(self.shape[1:], self.dtype), -1
        with ExitStack() as open_file:
            for k in rows:
                if self.file[k] != last:
                    last = int(self.file[k])
                    open_file.close()
                    file = open_file.enter_context(_opened(self.files[last]))
                self._fill(image, file, k)
                yield image

    def _fill(self, image: NDArray[Any], file: FileIO, k: int) -> None:
        name, numbers, done = self.files[int(self.file[k])], image.reshape(-1).view(np.uint8), 0
        try:
            file.seek(int(self.offset[k]))
            while size := file.readinto(numbers[done:].data):  # a network may give it in pieces
                done += size
        except OSError as error:
            raise CheckpointError(f"cannot be read ({error.strerror})", path=name) from error
        if done < image.nbytes:
            raise CheckpointError(f"image {k} is cut short", path=name, hint="prepare it again")


def _opened(name: str) -> FileIO:
    try:
        return open(name, "rb", buffering=0)
    except FileNotFoundError as error:
        raise MissingFileError("the images in it are gone", path=name) from error
    except OSError as error:
        raise CheckpointError(f"cannot be read ({error.strerror})", path=name) from error


def in_files(images: Any) -> Any:
    """Return images that are mapped into memory as an `ImageStack`, all others as they are."""
    if not isinstance(images, np.memmap):
        return images
    found = ImageStack.of_mapped(images)
    return images if found is None else found


def some_of(images: Any, rows: Any) -> Any:
    """Return some of the images, in files as they are if they are."""
    return images.take(rows) if isinstance(images, ImageStack) else images[rows]


def _address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])
