"""Nowhere to write: compiled code goes to the user's temporary folder, or is compiled anew."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from meshconv import compiled_cache
from meshconv.errors import MeshConvWarning

_SOURCE = Path(compiled_cache.__file__).parent


@pytest.fixture
def locked(monkeypatch, tmp_path):
    """A machine on which neither the installation nor a home can be written; as root nothing is
    refused, so the answer of the system is put in its place.
    """
    access = os.access
    closed = [_SOURCE, tmp_path / "home"]
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(
        compiled_cache.os,
        "access",
        lambda path, mode: (
            not any(Path(path).is_relative_to(one) for one in closed) and access(path, mode)
        ),
    )
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return closed


def _warned() -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        compiled_cache.provide_cache()
    assert all(issubclass(one.category, MeshConvWarning) for one in found)
    return [str(one.message) for one in found]


def test_where_one_may_write_nothing_is_said() -> None:
    assert compiled_cache.cache_folder()
    assert not _warned()


def test_the_users_cache_will_do(locked, tmp_path) -> None:
    locked.pop()
    assert compiled_cache.cache_folder() == str(tmp_path / "home/.cache/numba") and not _warned()


def test_a_temporary_folder_of_the_user_alone(locked, tmp_path, monkeypatch) -> None:
    (said,) = _warned()
    folder = tmp_path / f"meshconv-{os.getuid()}"
    assert "set NUMBA_CACHE_DIR" in said and str(folder) in said
    assert os.environ["NUMBA_CACHE_DIR"] == str(folder) and folder.stat().st_mode & 0o777 == 0o700
    assert not _warned()  # the second time, and in processes that this one starts
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    folder.chmod(0o777)  # somebody else may have put code there
    (said,) = _warned()
    assert os.environ["NUMBA_CACHE_DIR"] != str(folder)


def test_a_folder_that_was_given_and_cannot_be_written_is_named(locked, tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "home/cache"))
    (said,) = _warned()
    assert f"NUMBA_CACHE_DIR={tmp_path / 'home/cache'}" in said


def test_no_home_makes_no_folder_called_tilde(monkeypatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(compiled_cache.os.path, "expanduser", lambda path: path)
    assert compiled_cache._users_cache() == ""


def test_compiled_anew_where_nothing_can_be_written() -> None:
    """numba itself raises there; the map is the same."""
    code = """
import os, warnings
from meshconv import compiled_cache
os.environ.pop("NUMBA_CACHE_DIR", None)
compiled_cache._writable = lambda folder: False
compiled_cache._temporary_folder = lambda: ""
with warnings.catch_warnings(record=True) as found:
    warnings.simplefilter("always")
    compiled_cache.provide_cache()
assert "NUMBA_CACHE_DIR" in str(found[0].message) and len(found) == 1
import numba
from numba.core.caching import FunctionCache
def refused(self, function): raise RuntimeError("cannot cache function")
FunctionCache.__init__ = refused
@numba.njit(cache=True)
def twice(x): return 2 * x
assert twice(2) == 4
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
