"""A process that is killed while it writes leaves the old file or the new one, whole, and nothing
else.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from meshconv.errors import MissingFileError
from meshconv.io import atomic, atomic_write, read_container, write_container

_WRITER = """
import signal, sys
import numpy as np
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
from meshconv.io import write_container
path, block = sys.argv[1], np.zeros((400, 1000))
print("ready", flush=True)
for k in range(100_000):
    block[:] = k
    write_container(path, "example", {"k": k}, {"a": block, "b": block})
"""


def _whole(path: Path) -> bool:
    try:
        with read_container(path, "example") as (head, arrays):
            return bool((arrays["a"] == head["k"]).all() and (arrays["b"] == head["k"]).all())
    except MissingFileError:
        return True


def kill(path: Path, number: int, wait: float) -> None:
    """Start a process that writes a file again and again, and kill it."""
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(wait)
        process.send_signal(number)
        try:
            assert process.wait(30) != 0
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_writer_leaves_a_whole_file_and_nothing_else(tmp_path: Path, number: int) -> None:
    rng = random.Random(number)
    for _ in range(3):
        kill(tmp_path / "a.npz", number, rng.uniform(0.0, 0.1))
        assert _whole(tmp_path / "a.npz")
        assert [one for one in os.listdir(tmp_path) if one != "a.npz"] == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_writer_killed_60_times(tmp_path: Path, number: int) -> None:
    rng = random.Random(number)
    for _ in range(60):
        kill(tmp_path / "a.npz", number, rng.uniform(0.0, 0.2))
        assert _whole(tmp_path / "a.npz")
        assert [one for one in os.listdir(tmp_path) if one != "a.npz"] == []


def test_sigterm_leaves_nothing_where_the_system_has_no_nameless_files(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from meshconv.io import atomic
atomic._nameless = lambda target: None
with atomic.atomic_write(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    assert len(os.listdir(os.path.dirname(sys.argv[1]))) == 2
    os.kill(os.getpid(), signal.SIGTERM)
"""
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGTERM
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("nameless", [True, False])
def test_both_ways_of_writing_replace_keep_and_clean_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nameless: bool
) -> None:
    if not nameless:
        monkeypatch.setattr(atomic, "_nameless", lambda _: None)
    path = tmp_path / "a.npz"
    before = signal.getsignal(signal.SIGTERM)
    for k in range(3):
        write_container(path, "example", {"k": k}, {"a": np.full(3, k), "b": np.full(3, k)})
        assert _whole(path) and os.listdir(tmp_path) == ["a.npz"]
    with pytest.raises(OSError, match="exists"), atomic_write(path, overwrite=False):
        pass
    with pytest.raises(ZeroDivisionError), atomic_write(path):
        raise ZeroDivisionError
    path.unlink()
    with pytest.raises(OSError, match="exists"), atomic_write(path, overwrite=False):
        path.write_bytes(b"meanwhile")
    assert path.read_bytes() == b"meanwhile" and os.listdir(tmp_path) == ["a.npz"]
    assert signal.getsignal(signal.SIGTERM) == before
