"""Where data sets that others own are found: MESHCONV_DATA first, then the user's cache. None is shipped."""

from __future__ import annotations

import os
from pathlib import Path

from meshconv.errors import MissingFileError


def data_folders() -> list[Path]:
    """Return the folders searched, in order."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "meshconv" / "data"
    given = os.environ.get("MESHCONV_DATA")
    return ([Path(given)] if given else []) + [cache]


def find_data(name: str) -> Path:
    """Return the path of a data file.

    Raises
    ------
    MissingFileError
        If it is in none of the folders; names them, and the card that says where it comes from.
    """
    for folder in data_folders():
        if (folder / name).is_file():
            return folder / name
    searched = ", ".join(map(str, data_folders()))
    raise MissingFileError(
        f"data file not found in {searched}",
        path=name,
        hint="set MESHCONV_DATA; origin and licence: data/README.md",
    )
