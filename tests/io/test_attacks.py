"""Files that somebody wrote who had read the readers: each one, in a process of its own with little
time and memory, is read right or refused by our own error.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numba  # noqa: F401 - loaded here, so that no child needs to
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
    if np.array_equal(surface.vertices[:4], CORNERS) and np.array_equal(surface.faces, FACES):
        return SQUARE
    sound = np.isfinite(surface.vertices).all() and surface.faces.max() < surface.n_vertices
    return "another surface" if sound else "an unusable surface"


def attempt(paths: list[Path]) -> list[str]:
    """Read files in one process of their own; return what each comes to, a crash included."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        size = max(path.stat().st_size for path in paths)
        allowed = now + _SHARE * size + _FREE
        resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        warnings.simplefilter("ignore")
        try:
            for path in paths:
                signal.setitimer(signal.ITIMER_PROF, _SECONDS)  # of CPU; ends the process
                os.write(writer, json.dumps(_outcome(path)[:1000]).encode() + b"\n")
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        out = [json.loads(line) for line in stream]
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        out.append(f"killed by {signal.Signals(os.WTERMSIG(status)).name}")
    return out + ["not tried"] * (len(paths) - len(out))


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


def faults(
    folder: Path, make: Any, *, largest: int = 1 << 40, together: int = 1
) -> tuple[list[str], Counter[str]]:
    """Return what went wrong with the attacks of one kind, and how many came to what; so many
    files `together` are read by one process.
    """
    _warm(folder)
    wrong, counts = [], Counter[str]()
    chosen = (attack for attack in make() if len(attack[1]) <= largest)
    while some := list(itertools.islice(chosen, together)):
        paths = [folder / f"{k}_{name.replace('/', '_')}" for k, (name, _, _) in enumerate(some)]
        for path, (_, data, _) in zip(paths, some, strict=True):
            path.write_bytes(data)
        for (name, _, expected), found in zip(some, attempt(paths), strict=True):
            counts[found] += 1
            sound = found in (SQUARE, REFUSED, "another surface")
            if not (sound if expected is None else found == expected):
                wanted = expected or "a sound surface or a refusal"
                wrong.append(f"{name}: expected {wanted}, found {found}")
        for path in paths:
            path.unlink()
    return wrong, counts


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_small_attacks_are_read_right_or_refused(tmp_path: Path, make: Any) -> None:
    wrong, counts = faults(tmp_path, make, largest=20_000, together=1000)
    assert wrong == []
    assert sum(counts.values()) >= 10


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
