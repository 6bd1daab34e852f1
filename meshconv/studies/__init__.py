"""A study from a folder and a table to one report."""
