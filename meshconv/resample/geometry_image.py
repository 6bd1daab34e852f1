"""`GeometryImage`: fields of a surface as the channels of a square image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from meshconv._check import BoolArray, FloatArray, as_array, read_only
from meshconv.errors import ArgumentError, ArrayTypeError, NonFiniteError
from meshconv.resample.grid import grid_size


@dataclass(frozen=True, eq=False)
class GeometryImage:
    """Channels on the nodes of the unit square (convention: `meshconv.resample.grid`).

    Parameters
    ----------
    channels : (C, N, N) array_like
        Kept as read-only float64; row = v, column = u. NaN is allowed where the mask is False only.
    names : sequence of C str
        One for each channel, all different.
    mask : (N, N) array_like of bool
        True where the surface is.
    detail : float, optional
        At which positions and normals were taken, see `meshconv.resample.placed.Placed.image`; None
        where it is not known.

    Raises
    ------
    ArrayTypeError, ArgumentError, NonFiniteError
        If shapes or names do not match, or a value inside the mask is not finite.

    Examples
    --------
    >>> mask = [[True, True], [True, False]]
    >>> image = GeometryImage([[[0.0, 1.0], [2.0, np.nan]]], ["height"], mask)
    >>> image.size, image["height"][1, 0], image.filled(-1.0).channels[0, 1, 1]
    (2, np.float64(2.0), np.float64(-1.0))
    """

    channels: FloatArray
    names: tuple[str, ...]
    mask: BoolArray
    detail: float | None = None

    def __post_init__(self) -> None:
        channels = as_array(self.channels, "channels")
        if channels.ndim != 3 or channels.shape[1] != channels.shape[2]:
            raise ArrayTypeError(f"channels must be (C, N, N), found {channels.shape}")
        grid_size(channels.shape[1], "N")
        mask = np.asarray(self.mask)
        if mask.dtype != np.bool_ or mask.shape != channels.shape[1:]:
            raise ArrayTypeError(
                f"mask must be bool {channels.shape[1:]}, found {mask.dtype} {mask.shape}"
            )
        names = (self.names,) if isinstance(self.names, str) else tuple(self.names)
        if len(names) != len(channels) or len(set(names)) != len(names):
            raise ArgumentError(
                f"{len(channels)} channels need as many different names, found {list(names)}"
            )
        bad = ~np.isfinite(channels) & mask
        if bad.any():
            c, i, j = (int(k) for k in np.argwhere(bad)[0])
            raise NonFiniteError(
                f"channel {names[c]!r} is {channels[c, i, j]} at row {i}, column {j}, inside the"
                f" mask ({int(bad.sum())} such values)",
                count=int(bad.sum()),
            )
        object.__setattr__(self, "channels", read_only(channels, np.float64, self.channels))
        object.__setattr__(self, "mask", read_only(mask, np.bool_, self.mask))
        object.__setattr__(self, "names", names)

    def __repr__(self) -> str:
        count, size = len(self.names), self.size
        return (
            f"GeometryImage({count} channel{'s' if count != 1 else ''} of {size} x {size}: "
            f"{', '.join(self.names)}; {int(self.mask.sum())} nodes on the surface)"
        )

    @property
    def size(self) -> int:
        """Nodes per side N."""
        return int(self.channels.shape[1])

    def __getitem__(self, name: str) -> FloatArray:
        """Return the channel of that name, (N, N)."""
        return self.channels[self._index(name)]

    def select(self, names: Sequence[str]) -> GeometryImage:
        """Return the image with these channels only, in this order."""
        rows = [self._index(name) for name in names]
        return replace(self, channels=self.channels[rows], names=tuple(names))

    def filled(self, value: float = 0.0) -> GeometryImage:
        """Return the image with `value` everywhere outside the mask."""
        return replace(self, channels=np.where(self.mask, self.channels, value))

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise ArgumentError(f"no channel {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)
