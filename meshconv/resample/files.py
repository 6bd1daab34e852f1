"""Geometry images on disk: one checksummed .npz file, written whole or not at all."""

from __future__ import annotations

from os import PathLike

from meshconv.maps.files import load_arrays, save_arrays
from meshconv.resample.geometry_image import GeometryImage


def save_image(path: str | PathLike[str], image: GeometryImage) -> None:
    """Write an image with its channel names and mask; replaces what is there."""
    save_arrays(
        path,
        "geometry image",
        {"names": list(image.names)},
        {"channels": image.channels, "mask": image.mask},
    )


def load_image(path: str | PathLike[str]) -> GeometryImage:
    """Read an image.

    Raises
    ------
    CheckpointError
        If the file is damaged or something else.
    """
    head, arrays = load_arrays(path, "geometry image")
    return GeometryImage(arrays["channels"], tuple(head["names"]), arrays["mask"])
