"""The frame of a population, and bringing scans into it."""
