"""How the outputs of a network are read: as probabilities of classes, or as measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from meshconv._check import FloatArray

_KINDS = "biufU"  # of dtypes that classes in a file may have


@dataclass(frozen=True, eq=False)
class Classes:
    """Outputs are logits.

    Attributes
    ----------
    values : (K,) array
        The classes, sorted.
    """

    values: NDArray[Any]
    kind = "classifier"

    @property
    def outputs(self) -> int:
        """What the network has to give."""
        return len(self.values)

    def __call__(self, outputs: FloatArray, temperature: FloatArray | float = 1.0) -> FloatArray:
        """Return probabilities (n, K) of outputs (n, K)."""
        return np.asarray(softmax(outputs / temperature, axis=1))

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"classes": self.values.tolist(), "classes_dtype": self.values.dtype.str}

    @classmethod
    def of(cls, head: Mapping[str, Any]) -> Classes:
        """Return what `as_dict` is of."""
        kind = np.dtype(head["classes_dtype"])
        if kind.kind not in _KINDS or kind.itemsize > 4096:
            raise ValueError(f"classes of the type {kind}")
        return cls(np.array(head["classes"], dtype=kind))


@dataclass(frozen=True, eq=False)
class Measures:
    """Outputs are standardized measures.

    Attributes
    ----------
    centre, scale : (T,) float64
        Mean and standard deviation of each where it was learned.
    flat : bool
        Whether a single measure came, and is given back, without an axis of its own.
    """

    centre: FloatArray
    scale: FloatArray
    flat: bool = True
    kind = "regressor"

    @property
    def outputs(self) -> int | dict[str, int]:
        """What the network has to give: one value, or one for each task."""
        count = len(self.centre)
        return 1 if count == 1 else {f"measure_{k}": 1 for k in range(count)}

    def __call__(self, outputs: FloatArray, temperature: FloatArray | float = 1.0) -> FloatArray:
        """Return measures (n, T) of outputs (n, T)."""
        return outputs / temperature * self.scale + self.centre

    def standardized(self, values: FloatArray) -> FloatArray:
        """Return what the network is to give for measures (n, T)."""
        return (values - self.centre) / self.scale

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"centre": self.centre.tolist(), "scale": self.scale.tolist(), "flat": self.flat}

    @classmethod
    def of(cls, head: Mapping[str, Any]) -> Measures:
        """Return what `as_dict` is of."""
        centre, scale = (np.array(head[name], dtype=np.float64) for name in ("centre", "scale"))
        if centre.ndim != 1 or scale.shape != centre.shape or not len(centre):
            raise ValueError(f"measures of shapes {centre.shape} and {scale.shape}")
        if not (np.isfinite(centre).all() and (scale > 0).all()):
            raise ValueError("measures whose mean or spread is no number")
        return cls(centre, scale, bool(head["flat"]))
