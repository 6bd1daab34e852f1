"""Adaptive layers: scale-equivariant, content-adaptive, dynamic stride, recalibration."""
