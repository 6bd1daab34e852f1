"""Mirror images in the frame: what the image of a scan would be, had the scan been seen in a
mirror.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from meshconv._check import FloatArray
from meshconv.errors import ArgumentError
from meshconv.registration.fit import fit_template
from meshconv.registration.frame import Frame
from meshconv.resample.channels import channels
from meshconv.resample.domain import square_coordinates
from meshconv.resample.grid import grid_nodes
from meshconv.resample.resampler import Resampler
from meshconv.train.dataset import Standardizer
from meshconv.train.two_stage import Images

_VECTORS = ("difference", "normal")


@dataclass(frozen=True, eq=False)
class FrameMirror:
    """The mirror as a map of the frame onto itself; an augmentation for `train`.

    With m(p) the place of p's mirror partner and Q the reflection that lays the mirrored template T
    on itself: vectors become Q d(m(p)), differences from the template get Q T(m(p)) - T(p) on top,
    scalars are read at m(p). Exact on a symmetric template, good on the mean of many; on one
    asymmetric individual the two registrations agree only roughly.

    Attributes
    ----------
    grid : (1, N, N, 2) float32 Tensor
        m, in [-1, 1].
    matrix : (C, C) float32 Tensor
        Q on each three channels of a vector, 1 on scalars.
    shift : (C, N, N) float32 Tensor
        The template's asymmetry.
    standardizer : Standardizer
    """

    grid: Tensor
    matrix: Tensor
    shift: Tensor
    standardizer: Standardizer

    @classmethod
    def of(
        cls, template: Frame, channel_names: Sequence[str], standardizer: Standardizer
    ) -> FrameMirror:
        """Return the mirror of a template's frame, found by registering the mirrored template to
        itself.

        Raises
        ------
        ArgumentError
            If positions are among the channels, or not all three components of a vector.
        """
        size = standardizer.mean.shape[-1]
        flat = fit_template(template.surface, template, mirror=True).parameterization()
        frame = template.parameterization
        there = Resampler(flat, size)  # from the mirrored template to the frame
        places = _filled(there, square_coordinates(frame.coordinates, frame.domain))
        fields = channels(flat.surface, flat, template)
        before, after = (
            template.surface.vertices,
            np.stack([fields[axis] for axis in "xyz"], axis=1),
        )
        reflect = np.linalg.lstsq(
            before - before.mean(axis=0), after - after.mean(axis=0), rcond=None
        )[0].T
        asymmetry = there.to_image(
            {axis: fields[f"difference_{axis}"] for axis in "xyz"}, fill=0.0
        ).channels
        matrix, shift = _on_channels(tuple(channel_names), reflect, asymmetry)
        grid = torch.from_numpy((2 * places - 1).astype(np.float32))[None]
        return cls(grid, _tensor(matrix), _tensor(shift), standardizer)

    def mirrored(self, x: Tensor) -> Tensor:
        """Return the mirror images of standardized images (B, C, N, N)."""
        known = torch.from_numpy(self.standardizer.mean).to(x)
        mean = torch.nan_to_num(known)
        scale = torch.from_numpy(self.standardizer.scale).to(x)[:, None, None]
        grid = self.grid.to(x).expand(len(x), -1, -1, -1)
        moved = functional.grid_sample(
            x * scale + mean, grid, align_corners=True, padding_mode="border"
        )
        turned = torch.einsum("cd,bdij->bcij", self.matrix.to(x), moved) + self.shift.to(x)
        return torch.where(torch.isnan(known), 0, (turned - mean) / scale)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return the batch with each image mirrored by the toss of a coin."""
        toss = (torch.rand(len(x), generator=generator) < 0.5).to(x.device)
        return torch.where(toss[:, None, None, None], self.mirrored(x), x)


@dataclass(frozen=True, eq=False)
class MirrorImages:
    """Mirror images of standardized images, made as they are asked for."""

    images: Images
    mirror: FrameMirror

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> Sequence[int]:
        """That of the images."""
        return self.images.shape

    @property
    def ndim(self) -> int:
        """Their axes."""
        return self.images.ndim

    def __getitem__(self, rows: Any, /) -> Tensor:
        return self.mirror.mirrored(self.images[rows])


def _filled(resampler: Resampler, places: FloatArray) -> FloatArray:
    """Return places (N, N, 2), those off the template mirrored left to right."""
    found = np.moveaxis(resampler.to_image(places, fill=0.0).channels, 0, -1)
    flipped = grid_nodes(resampler.size) * [-1, 1] + [1, 0]
    return np.where(resampler.mask[..., None], found, flipped)


def _on_channels(
    names: tuple[str, ...], reflect: FloatArray, asymmetry: FloatArray
) -> tuple[FloatArray, FloatArray]:
    matrix, shift = np.eye(len(names)), np.zeros((len(names), *asymmetry.shape[1:]))
    if {"x", "y", "z"} & set(names):
        raise ArgumentError(
            "positions cannot be mirrored in the frame",
            hint="use the differences from the template",
        )
    for kind in _VECTORS:
        members = [f"{kind}_{axis}" for axis in "xyz"]
        there = [name for name in members if name in names]
        if len(there) not in (0, 3):
            raise ArgumentError(
                f"mirroring needs all of {', '.join(members)}, found {', '.join(there)}"
            )
        if there:
            at = [names.index(name) for name in members]
            matrix[np.ix_(at, at)] = reflect
            if kind == "difference":
                shift[at] = asymmetry
    return matrix, shift


def _tensor(array: FloatArray) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))
