"""Where data sets that others own are found: MESHCONV_DATA, the user's cache, or their owners. None
is shipped.
"""

from __future__ import annotations

import os
from pathlib import Path

from meshconv.datasets.download import ORIGINS, download
from meshconv.errors import MissingFileError


def data_folders() -> list[Path]:
    """Return the folders searched, in order; the last one is where downloads go.

    Without a home, and nothing that says where else, there may be none.
    """
    given = os.environ.get("MESHCONV_DATA")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    own = [Path(cache) / "meshconv" / "data"] if os.path.isabs(cache) else []
    return ([Path(given)] if given else []) + own


def find_data(name: str) -> Path:
    """Return the path of a data file.

    It is looked for in the folder that ``MESHCONV_DATA`` names, then in the user's cache. If it is
    in neither and its owner publishes it with a checksum, it is downloaded into the cache, once.
    With a non-empty ``MESHCONV_OFFLINE`` nothing is ever downloaded.

    Raises
    ------
    MissingFileError
        If it is in none of the folders and cannot be downloaded; names the folders or the address,
        and the card that says where it comes from.
    BadFormatError
        If the download has another checksum than the owner published.
    """
    for folder in data_folders():
        if (folder / name).is_file():
            return folder / name
    folders = data_folders()
    if name in ORIGINS and folders and not os.environ.get("MESHCONV_OFFLINE"):
        return download(name, folders[-1])
    searched = ", ".join(map(str, folders)) or "no folder, for there is no home"
    why = (
        "MESHCONV_OFFLINE forbids a download"
        if name in ORIGINS
        else "it cannot be downloaded as it is"
    )
    raise MissingFileError(
        f"data file not found in {searched}; {why}",
        path=name,
        hint="set MESHCONV_DATA; origin, licence and layout: data/README.md",
    )
