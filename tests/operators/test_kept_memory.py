"""Inside the block freed memory stays with the process; outside it the worker's setting holds."""

from __future__ import annotations

import os
import subprocess
import sys
from unittest.mock import patch

import pytest

from meshconv.operators import kept_memory as kept
from meshconv.operators.kept_memory import kept_for_large

SCRIPT = """
import resource
import numpy as np
from meshconv.operators.kept_memory import kept_for_large, kept_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range({times}):
        np.ones({size}, np.uint8)[::4096].sum()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
with {block}:
    inside = faults()
print(before, inside, faults())
"""
SMALL = SCRIPT.format(block="kept_memory()", times=200, size=800_000)
LARGE = SCRIPT.format(block="kept_for_large(10**6)", times=40, size=36_000_000)


def _faults(script: str, **setting: str) -> list[int]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    argv = [sys.executable, "-c", script]
    found = subprocess.run(argv, env=clean | setting, capture_output=True, text=True, check=True)
    return [int(word) for word in found.stdout.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is tuned")
def test_a_worker_of_dask_keeps_its_memory_while_it_works() -> None:
    before, inside, after = _faults(SMALL, MALLOC_TRIM_THRESHOLD_="65536")
    if before < 10_000:
        pytest.skip("this C library does not know the setting")
    assert inside < 0.1 * before and after > 0.5 * before


def test_nothing_changes_without_the_setting() -> None:
    before, inside, after = _faults(SMALL)
    assert max(inside, after) <= before + 2000


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is tuned")
def test_arrays_of_a_large_mesh_use_one_memory_until_it_is_done() -> None:
    before, inside, after = _faults(LARGE)
    assert inside < 0.4 * before and after > 0.8 * before


def test_threads_keep_memory_until_the_last_is_done() -> None:
    wanted: list[tuple[int, ...]] = []
    with patch.object(kept, "_set", wanted.append), kept_for_large(10**6):
        with kept_for_large(10**6), kept_for_large(5):
            pass
        assert wanted == [kept._ALL] * 3
    assert len(wanted) == 4 and wanted[-1].most_maps > 0


def test_what_the_environment_says_of_one_threshold_stands(monkeypatch) -> None:
    names = [f"MALLOC_{name}_" for name in ("MMAP_MAX", "MMAP_THRESHOLD", "TRIM_THRESHOLD")]
    for name in names:
        monkeypatch.delenv(name, raising=False)
    assert kept._outside() == kept._BY_ITSELF
    for place, name in enumerate(names):
        monkeypatch.setenv(name, "4711")
        assert kept._outside() == tuple(
            4711 if k == place else value for k, value in enumerate(kept._AT_FIRST)
        )
        monkeypatch.setenv(name, "128K")  # glibc does not know it either
        assert kept._outside() == kept._BY_ITSELF
        monkeypatch.delenv(name)
