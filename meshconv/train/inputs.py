"""What a classifier accepts: scans in any form, images ready made, and labels of any kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray
from meshconv.datasets.scan import Population
from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.resample.geometry_image import GeometryImage
from meshconv.resample.image_stack import ImageStack, in_files
from meshconv.train.prepared import Prepared


def as_prepared(
    scans: Any, prepare_scans: Callable[[Sequence[Any]], Prepared] | None = None
) -> Prepared:
    """Return images of whatever was given: `Prepared`, an array (n, C, N, N), images, or scans,
    which `prepare_scans` makes images of.

    Raises
    ------
    ArrayTypeError
        If an array is not (n, C, N, N), or images differ in size or channels; names the first.
    ValueError
        If an array has NaN or infinities, or no samples (scikit-learn's wording).
    """
    if isinstance(scans, Prepared):
        return scans
    if hasattr(scans, "__array__") or hasattr(scans, "toarray"):
        return _from_array(scans)
    if not isinstance(scans, Sequence) or isinstance(scans, str | bytes):
        raise ArrayTypeError(
            "scans must be a list of Surface, Scan or paths, or an array (n, C, N, N), found"
            f" {type(scans).__name__}"
        )
    if not isinstance(scans, Population) and len(scans) and isinstance(scans[0], GeometryImage):
        return _from_images(scans)
    if prepare_scans is None:
        raise ArrayTypeError("these are scans, images are needed", hint="prepare them first")
    return prepare_scans(scans)


def weights_of(weights: Any, scans: Any, prepared: Prepared) -> FloatArray | None:
    """Return the weight of each image, (n,), of those given, without the scans that were left out;
    None for none.

    Raises
    ------
    ArgumentError
        If they are of another number, negative, not finite, or all zero.
    """
    if weights is None:
        return None
    found = np.asarray(labels_of(scans, weights, prepared), dtype=np.float64)
    if found.shape != (len(prepared),):
        raise ArgumentError(
            f"sample_weight.shape == {found.shape}, expected {(len(prepared),)}: one for each scan"
        )
    bad = np.flatnonzero(~(np.isfinite(found) & (found >= 0)))
    if len(bad):
        raise ArgumentError(
            f"sample_weight {bad[0]} is {found[bad[0]]}: Negative values in data passed to"
            " sample_weight, or none that is finite",
            indices=bad.tolist(),
            count=len(bad),
        )
    if not found.any():
        raise ArgumentError("sample_weight: every weight is zero, there is nothing to learn from")
    return found


def labels_of(scans: Any, labels: Any, prepared: Prepared) -> NDArray[Any]:
    """Return the label of each image: of those given, without the scans that were left out; else
    what the scans bring along.
    """
    if labels is None:
        return _own_labels(scans, prepared)
    given = np.asarray(labels)
    left_out = len(prepared.skipped)
    return given[prepared.kept] if left_out and len(given) == len(prepared) + left_out else given


def _own_labels(scans: Any, prepared: Prepared) -> NDArray[Any]:
    named = getattr(scans, "classes", None)
    if len(prepared) and (prepared.labels >= 0).all():
        return prepared.labels if named is None else np.asarray(named)[prepared.labels]
    raise ArgumentError("SurfaceClassifier requires y to be passed, but the target y is None")


def _from_array(array: Any) -> Prepared:
    from sklearn.utils import check_array

    if isinstance(stack := in_files(array), ImageStack) and stack.ndim == 4:
        return _from_files(stack)
    images = check_array(array, allow_nd=True, dtype="numeric", ensure_2d=False, input_name="X")
    _refuse_shape(images.shape)
    return _bare(
        images.astype(np.float32, copy=False), tuple(str(k) for k in range(images.shape[1]))
    )


def _from_files(images: ImageStack) -> Prepared:
    """Return images that are mapped into memory, which are not to be read at once."""
    _refuse_shape(images.shape)
    for k, image in enumerate(images):
        if not np.isfinite(image).all():
            raise ValueError(f"Input X contains NaN or infinity: image {k}")
    return _bare(images, tuple(str(k) for k in range(images.shape[1])))


def _refuse_shape(shape: tuple[int, ...]) -> None:
    if len(shape) != 4 or shape[2] != shape[3]:
        raise ArrayTypeError(
            f"Expected images (n, C, N, N), found an array of shape {shape}",
            hint="Reshape your data, or pass a list of surfaces",
        )
    if 0 in shape[1:]:
        raise ArrayTypeError(f"0 feature(s) (shape={shape[:2]}) while a minimum of 1 is required.")


def _from_images(images: Sequence[GeometryImage]) -> Prepared:
    first = images[0]
    for k, image in enumerate(images):
        if (image.names, image.size, image.detail) != (first.names, first.size, first.detail):
            raise ArrayTypeError(
                f"image {k} has channels {list(image.names)}, size {image.size} and detail"
                f" {image.detail}, image 0 {list(first.names)}, {first.size} and {first.detail}"
            )
    stack = np.stack([image.filled(np.nan).channels for image in images]).astype(np.float32)
    return replace(_bare(stack, first.names), detail=first.detail)


def _bare(images: Any, channel_names: tuple[str, ...]) -> Prepared:
    names = tuple(f"sample {k}" for k in range(len(images)))
    unknown = np.full(len(images), -1, dtype=np.int64)
    return Prepared(
        images, channel_names, names, ("",) * len(images), unknown, np.arange(len(images))
    )
