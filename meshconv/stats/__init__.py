"""Statistics: evidence, metrics, splits, group maps."""
