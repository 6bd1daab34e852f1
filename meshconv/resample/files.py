"""Geometry images on disk: one checksummed container, written whole or not at all."""

from __future__ import annotations

from os import PathLike

from meshconv.errors import CheckpointError
from meshconv.io.container import read_container, write_container
from meshconv.resample.geometry_image import GeometryImage

_KIND = "geometry image"


def save_image(path: str | PathLike[str], image: GeometryImage) -> None:
    """Write an image with its channel names and mask to an .npz file; replaces what is there."""
    arrays = {"channels": image.channels, "mask": image.mask}
    head = {"names": list(image.names), "detail": image.detail}
    write_container(path, _KIND, head, arrays)


def load_image(path: str | PathLike[str]) -> GeometryImage:
    """Read an image.

    Raises
    ------
    MissingFileError
        If there is none.
    CheckpointError
        If the file is damaged or something else.
    """
    with read_container(path, _KIND) as (head, arrays):
        names, detail = tuple(head["names"]), head.get("detail")
        if not all(isinstance(name, str) for name in names):
            raise CheckpointError("the channel names are no words")
        if detail is not None and type(detail) not in (int, float):
            raise CheckpointError("the detail is no number")
        return GeometryImage(arrays["channels"], names, arrays["mask"], detail)
