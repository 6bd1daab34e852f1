"""Adaptive layers: scale-equivariant, content-adaptive, dynamic stride, recalibration."""

from __future__ import annotations

from meshconv.nn.layers.conversion import convert

__all__ = ["convert"]
