"""`ImageStack`: the images of a large population, in files; read when asked for, never all at
once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
            return np.asarray(self._read(int(rows))[tuple(rest)])
        if not len(rows):
            return np.empty(self.shape[1:], self.dtype)[None][:0][(slice(None), *rest)]
        out = np.empty((len(rows), *self._read(int(rows[0]))[tuple(rest)].shape), self.dtype)
        for place, k in enumerate(rows.tolist()):
            out[place] = self._read(k)[tuple(rest)]
        return out

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self._read(k) for k in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("images in files cannot be an array without being read")
        return np.asarray(self[:], dtype=dtype)

    def _read(self, k: int) -> NDArray[Any]:
        name, shape = self.files[int(self.file[k])], self.shape[1:]
        try:
            found = np.fromfile(name, self.dtype, prod(shape), offset=int(self.offset[k]))
        except FileNotFoundError as error:
            raise MissingFileError("the images in it are gone", path=name) from error
        except OSError as error:
            raise CheckpointError(f"cannot be read ({error.strerror})", path=name) from error
        if len(found) < prod(shape):
            raise CheckpointError(f"image {k} is cut short", path=name, hint="prepare it again")
        return found.reshape(shape)


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
