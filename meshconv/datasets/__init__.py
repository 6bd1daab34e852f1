"""Data sets: populations of labelled scans. Other people's data are looked for, never shipped."""
