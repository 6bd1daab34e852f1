"""What `explain` can be asked for; kept apart so that a command line knows it without torch."""

METHODS = ("density", "gradient", "integrated", "gradcam", "landing", "attention", "levels")
