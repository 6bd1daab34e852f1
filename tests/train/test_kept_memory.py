"""Inside the block freed memory stays with the process; outside it the worker's setting holds."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import numpy as np
from meshconv.train.kept_memory import kept_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(200):
        np.ones(100_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
with kept_memory():
    inside = faults()
print(before, inside, faults())
"""


def _faults(**setting: str) -> list[int]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    argv = [sys.executable, "-c", SCRIPT]
    found = subprocess.run(argv, env=clean | setting, capture_output=True, text=True, check=True)
    return [int(word) for word in found.stdout.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is tuned")
def test_a_worker_of_dask_keeps_its_memory_while_it_works() -> None:
    before, inside, after = _faults(MALLOC_TRIM_THRESHOLD_="65536")
    if before < 10_000:
        pytest.skip("this C library does not know the setting")
    assert inside < 0.1 * before and after > 0.5 * before


def test_nothing_changes_without_the_setting() -> None:
    before, inside, after = _faults()
    assert max(inside, after) <= before + 2000
