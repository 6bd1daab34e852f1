"""`asymmetry_map`: where left and right differ, each scan against its own mirror image in the
frame.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from meshconv._check import require_kind
from meshconv.registration.frame import Frame
from meshconv.stats.effect_map import EffectMap
from meshconv.stats.group import group_map
from meshconv.train.dataset import Standardizer
from meshconv.train.mirror import FrameMirror
from meshconv.train.prepared import Prepared

_WHOLE = 0.999  # of a pixel's mirror place, that must be reached


def asymmetry_map(prepared: Prepared, template: Frame, **options: Any) -> EffectMap:
    """Return where scans are larger than their own mirror images, by how many millimetres, with a
    permutation test of the whole map.

    Parameters
    ----------
    prepared : Prepared
        Scans in the frame, with differences or normals among their channels.
    template : Template
        The frame; best symmetric, or the mean of many.
    **options
        Of `meshconv.group_map`, but for `subjects` and `reference`.

    Returns
    -------
    EffectMap
        ``as it is - mirrored``: positive where a side stands out farther than the other does. Left
        and right say the same with the other sign.

    Raises
    ------
    ArgumentError
        If positions are among the channels, or not all components of a vector; else as `group_map`.

    Notes
    -----
    A scan and its mirror image are compared within the subject: if neither side differs, each may
    be taken for the other, which is what the permutations do. The mean of several scans of a
    subject counts once.

    It is too sure of little: images are mirrored in the frame, by interpolation, and coarse
    triangles that all scans have alike are seen as shape. Symmetric generated faces of 2,500
    vertices are significant on 2 to 4 % of the area, beside the midline, by less than .4 mm; of 400
    vertices, by 1 mm on 12 % and more. Take no difference of that size for one.

    Examples
    --------
    >>> import meshconv as mc
    >>> from meshconv.mesh.shapes import face
    >>> from meshconv.train.prepare import PrepareConfig, prepare
    >>> frame = mc.Template.from_surface(face(500))
    >>> scans = mc.ProceduralFaces(8, amplitude=0.0, n_vertices=300)
    >>> ready = prepare(scans, frame, config=PrepareConfig(size=17))
    >>> asymmetry_map(ready, frame, permutations=20).contrast
    'as it is - mirrored'
    """
    require_kind(template, "template", Frame)
    require_kind(prepared, "prepared", Prepared)
    images, names = np.asarray(prepared.images, dtype=np.float32), prepared.channel_names
    other = mirrored_images(images, template, names)
    # twice mirrored, and as it is: together as smooth as what was mirrored once
    own = (images + mirrored_images(other, template, names)) / 2
    subjects = [name or f"scan {k}" for k, name in enumerate(prepared.subjects)]
    labels = np.repeat(["as it is", "mirrored"], len(images))
    return group_map(
        np.concatenate([own, other]),
        labels,
        reference="mirrored",
        subjects=subjects * 2,
        channels=names,
        **options,
    )


def mirrored_images(
    images: NDArray[np.float32], template: Frame, names: tuple[str, ...]
) -> NDArray[np.float32]:
    """Return what the images (n, C, N, N) would be, had the scans been seen in a mirror; NaN where
    the other side is not reached.
    """
    standardizer = Standardizer.fit(images)
    mirror = FrameMirror.of(template, names, standardizer)
    moved = mirror.mirrored(standardizer(images)).numpy()
    values = moved * standardizer.scale[:, None, None] + standardizer.mean
    there = torch.from_numpy(np.isfinite(images).all(axis=1, keepdims=True).astype(np.float32))
    grid = mirror.grid.expand(len(images), -1, -1, -1)
    reached = functional.grid_sample(there, grid, align_corners=True).numpy() >= _WHOLE
    return np.where(reached, values, np.nan).astype(np.float32)
