"""Where numba keeps compiled code: beside the source, in the user's cache, or wherever one may
write. Asked once, when the package is imported and before numba is.
"""

from __future__ import annotations

import os
import stat
import sys
import warnings

from meshconv.errors import MeshConvWarning

_SHARED = ("/tmp", "/var/tmp", "/dev/shm")  # where every user of a machine may write


def cache_folder() -> str:
    """Return where compiled code is kept, in words; '' if nowhere."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    if given and _writable(given):
        return given
    if _writable(_beside_the_source()):
        return "beside the source"
    home = _users_cache()
    return home if home and _writable(home) else ""


def provide_cache() -> None:
    """Send compiled code to a temporary folder of this user where no usual place is writable.

    Without one it is compiled anew in every process. Either is said once, in a warning.
    """
    if cache_folder():
        return
    given = os.environ.get("NUMBA_CACHE_DIR")
    folder = _temporary_folder()
    if not folder:
        _compile_anew()
        what = "is compiled anew in every process, which takes minutes"
    else:
        os.environ["NUMBA_CACHE_DIR"] = folder  # heard by processes that this one starts, too
        if "numba" in sys.modules:
            sys.modules["numba"].config.CACHE_DIR = folder
        what = f"is kept in {folder}, which may not last"
    where = f"neither in NUMBA_CACHE_DIR={given} nor" if given else "neither"
    warnings.warn(
        f"compiled code can be written {where} beside the source nor in a home: it {what};"
        " set NUMBA_CACHE_DIR to a folder of your own",
        MeshConvWarning,
        stacklevel=2,
    )


def _beside_the_source() -> str:
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "__pycache__")


def _users_cache() -> str:
    """numba's folder in the user's cache; '' where there is no home."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "numba") if os.path.isabs(base) else ""


def _writable(folder: str) -> bool:
    """Whether a folder may be written to, or made."""
    place = os.path.abspath(folder)
    while not os.path.exists(place) and place != os.path.dirname(place):
        place = os.path.dirname(place)
    return os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK)


def _temporary_folder() -> str:
    """A folder for temporary files that is this user's alone; '' if there is no place for one.

    Compiled code is run when it is read, so that nobody else may write there.
    """
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    given = (os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    for base in (*filter(None, given), *_SHARED):
        folder = os.path.join(base, f"meshconv-{user}")
        try:
            if not os.path.isdir(folder):
                os.mkdir(folder, mode=0o700)
            found = os.lstat(folder)
        except OSError:
            continue
        ours = not hasattr(os, "getuid") or (
            found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o022
        )
        if stat.S_ISDIR(found.st_mode) and ours and os.access(folder, os.W_OK | os.X_OK):
            return folder
    return ""


def _compile_anew() -> None:
    """Let numba ignore ``cache=True``, for it raises where no folder can be written."""
    from numba.core.dispatcher import Dispatcher

    Dispatcher.enable_caching = lambda self: None  # type: ignore[method-assign]
