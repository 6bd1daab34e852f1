"""Files that somebody wrote who had read the readers: each one, in a process of its own with little
time and memory, is read right or refused by our own error.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attack_parts import CORNERS, FACES, REFUSED, SQUARE, obj
from attacks_binary import glb_attacks, gzip_attacks, ply_attacks, stl_attacks
from attacks_gltf import gltf_attacks
from attacks_text import (
    obj_attacks,
    off_attacks,
    ply_text_attacks,
    stl_text_attacks,
)
from attacks_vtk import vtk_attacks
from attacks_vtp import vtp_attacks

from meshconv.errors import MeshConvError
from meshconv.io import load, read

KINDS = (
    ply_attacks,
    ply_text_attacks,
    stl_attacks,
    stl_text_attacks,
    obj_attacks,
    off_attacks,
    vtk_attacks,
    vtp_attacks,
    gltf_attacks,
    glb_attacks,
    gzip_attacks,
)
_SECONDS, _SHARE, _FREE = 10, 20, 200 << 20


def _outcome(path: Path) -> str:
    """Return what reading a file comes to."""
    try:
        surface = load(path)
    except MeshConvError as error:
        if "more memory than there is" in str(error):
            return "out of memory"
        if error.path != str(path) or "no check names" in str(error):
            return f"an inner exception: {error!r} from {error.__cause__!r}"
        return REFUSED
    except BaseException as error:  # the fault we look for, whatever it is
        return f"a foreign exception: {error!r}"
    here = surface.vertices[:4], surface.faces.tolist()
    if np.array_equal(here[0], CORNERS) and here[1] == FACES:
        return SQUARE
    sound = np.isfinite(surface.vertices).all() and surface.faces.max() < surface.n_vertices
    return "another surface" if sound else "an unusable surface"


def attempt(path: Path) -> str:
    """Read a file in a process of its own; return what it comes to, a crash included."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        allowed = now + _SHARE * path.stat().st_size + _FREE
        resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
        resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        warnings.simplefilter("ignore")
        try:
            os.write(writer, _outcome(path).encode()[:2000])
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        out = stream.read().decode()
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return out or "nothing"


def _warm(folder: Path) -> None:
    """Read one good file of every kind, so that all is compiled before the forks."""
    for make in KINDS:
        for name, data, expected in make():
            if expected == SQUARE:
                (folder / name).write_bytes(data)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    read(folder / name)
                break
    polygons = obj() + "f 1 2 3 4\nf 1 3 2 4\nf 1 2 1 3 4\n"
    (folder / "warm.obj").write_text(polygons)
    read(folder / "warm.obj")


def faults(folder: Path, make: Any, largest: int = 1 << 40) -> tuple[list[str], Counter[str]]:
    """Return what went wrong with the attacks of one kind, and how many came to what."""
    _warm(folder)
    wrong, counts = [], Counter[str]()
    for name, data, expected in make():
        if len(data) > largest:
            continue
        path = folder / name.replace("/", "_")
        path.write_bytes(data)
        found = attempt(path)
        path.unlink()
        counts[found] += 1
        right = found in (SQUARE, REFUSED) if expected is None else found == expected
        if not right and not (expected is None and found == "another surface"):
            wrong.append(f"{name}: expected {expected or 'the square or a refusal'}, found {found}")
    return wrong, counts


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_small_attacks_are_read_right_or_refused(tmp_path: Path, make: Any) -> None:
    wrong, counts = faults(tmp_path, make, largest=20_000)
    assert wrong == []
    assert sum(counts.values()) >= 15


@pytest.mark.slow
@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_every_attack_is_read_right_or_refused(tmp_path: Path, make: Any) -> None:
    wrong, counts = faults(tmp_path, make)
    assert wrong == []
    assert sum(counts.values()) >= 20


if __name__ == "__main__":  # python tests/io/test_attacks.py: the counts of each kind
    import tempfile

    for kind in KINDS:
        with tempfile.TemporaryDirectory() as place:
            bad, found = faults(Path(place), kind)
        sys.stdout.write(f"{kind.__name__}: {json.dumps(found)}\n")
        for line in bad:
            sys.stdout.write(f"    {line}\n")
