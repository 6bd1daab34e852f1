"""Density-equalizing maps."""
