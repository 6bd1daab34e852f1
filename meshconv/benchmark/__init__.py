"""Data sets x models x seeds in one run: one JSON file, one table, one page of pictures."""
