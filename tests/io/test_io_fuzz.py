"""Damaged files by the hundred: every one is read right or refused with our own error, in little
time and memory.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from meshconv.errors import MeshConvError
from meshconv.io import FORMATS, load, save
from meshconv.mesh.surface import Surface

_MEMORY, _SECONDS = 1500 << 20, 10
_EDGE = (
    b"-1",
    b"0",
    b"2",
    b"7",
    b"999999999",
    b"4294967295",
    b"2147483648",
    b"9223372036854775808",
    b"1e400",
    b"nan",
    b"-inf",
    b"1,5",
    b"1.5",
    b"0x10",
    b"1_000",
    b"1d3",
    b"x",
    b"",
    b"//",
    b"3/",
    b"\xff\xfe",
    b"[[[[",
)
_WORDS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE, 3, 255, 1 << 20)


def _flip(data: bytearray, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 9)):
        data[rng.integers(len(data))] = rng.integers(256)


def _cut(data: bytearray, rng: np.random.Generator) -> None:
    del data[rng.integers(len(data)) :]


def _drop(data: bytearray, rng: np.random.Generator) -> None:
    start = rng.integers(len(data))
    del data[start : start + rng.integers(1, 40)]


def _repeat(data: bytearray, rng: np.random.Generator) -> None:
    start = rng.integers(len(data))
    data[start:start] = data[start : start + rng.integers(1, 200)]


def _insert(data: bytearray, rng: np.random.Generator) -> None:
    start = rng.integers(len(data))
    data[start:start] = (
        rng.bytes(rng.integers(1, 60)) if rng.random() < 0.5 else bytes(rng.integers(1, 60))
    )


def _word(data: bytearray, rng: np.random.Generator) -> None:
    start = rng.integers(max(1, min(len(data) - 4, 2000 if rng.random() < 0.5 else len(data))))
    order = "little" if rng.random() < 0.8 else "big"
    data[start : start + 4] = int(rng.choice(_WORDS)).to_bytes(4, order)


def _number(data: bytearray, rng: np.random.Generator) -> None:
    head = 600 if rng.random() < 0.6 else len(data)
    found = list(re.finditer(rb"[-+.\w]*\d[-+.\w]*", bytes(data[:head])))
    if found:
        one = found[rng.integers(len(found))]
        data[one.start() : one.end()] = _EDGE[rng.integers(len(_EDGE))]


def _swap(data: bytearray, rng: np.random.Generator) -> None:
    found = list(
        re.finditer(rb"[^\s<>\",:]+", bytes(data[: 4000 if rng.random() < 0.7 else len(data)]))
    )
    if len(found) > 1:
        a, b = sorted(rng.choice(len(found), 2, replace=False))
        one, two = found[a], found[b]
        data[two.start() : two.end()] = one.group()


def _ends(data: bytearray, rng: np.random.Generator) -> None:
    data[:] = bytes(data).replace(b"\n", (b"\r", b"\r\n", b"\n\n", b" ")[rng.integers(4)])


_MUTATIONS: tuple[Callable[[bytearray, np.random.Generator], None], ...] = (
    _flip,
    _cut,
    _drop,
    _repeat,
    _insert,
    _word,
    _number,
    _number,
    _swap,
    _ends,
)


def mutated(seed: bytes, rng: np.random.Generator) -> bytes:
    """Return the bytes with one to three faults."""
    data = bytearray(seed)
    for _ in range(rng.integers(1, 4)):
        if len(data) > 8:
            _MUTATIONS[rng.integers(len(_MUTATIONS))](data, rng)
    return bytes(data)


def seeds(folder: Path) -> dict[str, bytes]:
    """Return small valid files of every format and kind, by file name."""
    rng = np.random.default_rng(1)
    grid = np.array([[x, y, np.sin(x) * y] for x in range(4) for y in range(4)], float) + 0.125
    corner = [4 * x + y for x in range(3) for y in range(3)]
    surface = Surface(grid, [t for k in corner for t in ([k, k + 4, k + 5], [k, k + 5, k + 1])])
    points = {
        "colors": rng.integers(0, 255, (16, 3)).astype(np.uint8),
        "normals": rng.random((16, 3)),
        "uv": rng.random((16, 2)),
        "depth": rng.random(16),
    }
    out = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for form in FORMATS:
            for binary in (True, False):
                for name, fields in ((f"a.{form}", points), (f"b.{form}", {})):
                    path = folder / name
                    save(
                        path,
                        surface,
                        vertex_fields=fields,
                        face_fields={"part": np.arange(18)},
                        binary=binary,
                    )
                    out[f"{binary}_{name}"] = path.read_bytes()
        save(folder / "c.ply.gz", surface)
        out["c.ply.gz"] = (folder / "c.ply.gz").read_bytes()
    return out | extra_seeds(folder)


def extra_seeds(folder: Path) -> dict[str, bytes]:
    """Return kinds of files that our writers do not write."""
    import pyvista as pv

    mixed = b"ply\nformat ascii 1.0\nelement vertex 5\n"
    mixed += b"property float x\nproperty float y\nproperty float z\nelement face 2\n"
    mixed += b"property list uchar int vertex_indices\nproperty list uchar float texcoord\n"
    rows = b"0 0 0\n1 0 0\n1 1 0\n0 1 0\n2 2 1\n"
    out = {"mixed.ply": mixed + b"end_header\n" + rows + b"4 0 1 2 3 2 0 1\n3 1 4 2 0\n"}
    little = (
        mixed.replace(b"ascii", b"binary_big_endian")
        + b"end_header\n"
        + np.arange(15, dtype=">f4").tobytes()
    )
    little += (
        b"\x04"
        + np.arange(4, dtype=">i4").tobytes()
        + b"\x00\x03"
        + np.array([1, 4, 2], ">i4").tobytes()
        + b"\x00"
    )
    out["ragged.ply"] = little
    out["uv.obj"] = (
        b"mtllib a.mtl\no x\n"
        + re.sub(rb"(?m)^", b"v ", rows)[:-2]
        + b"vt 0 0\nvt 1 1\ng a\nusemtl b\n"
    )
    out["uv.obj"] += b"f 1/1 2/2 3/1 4/2\nf -4/1 5/-1 \\\n -3/1\nl 1 2\n"
    out["quads.off"] = (
        b"COFF\n# made\n5 2 0\n" + rows.replace(b"\n", b" 255 0 0 255\n") + b"4 0 1 2 3\n3 1 4 2\n"
    )
    poly = pv.Sphere(theta_resolution=5, phi_resolution=5)
    poly["id"] = np.arange(poly.n_points)
    for name, binary in (("v.vtp", True), ("w.vtp", False), ("v.vtk", True), ("w.vtk", False)):
        poly.save(folder / name, binary=binary)
        out[name] = (folder / name).read_bytes()
    strip = pv.PolyData(poly.points, strips=np.array([5, 0, 1, 2, 3, 4]))
    strip.save(folder / "s.vtp")
    return out | {"s.vtp": (folder / "s.vtp").read_bytes()}


def _attempt(path: Path) -> str:
    """Return what is wrong with the way a file was read, or nothing."""
    start = time.process_time()
    try:
        surface = load(path)
        if not (
            np.isfinite(surface.vertices).all()
            and 0 <= surface.faces.min() <= surface.faces.max() < surface.n_vertices
        ):
            return "an unusable surface"
    except MeshConvError as error:
        if error.path != str(path) or not error.message:
            return f"an error without its file: {error!r}"
        if "no check names" in error.message:
            return f"an inner exception: {error.__cause__!r}"
    except BaseException as error:  # the fault we look for, whatever it is
        return f"a foreign exception: {error!r}"
    return "slow" if time.process_time() - start > 2 else ""


def _child(pipe: int, folder: Path, files: dict[str, bytes], seed: int, n: int) -> None:
    """Try n damaged files; write down each fault found. Runs in a forked process."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + _MEMORY, now + _MEMORY))
    warnings.simplefilter("ignore")
    rng, names = np.random.default_rng(seed), sorted(files)
    for k in range(n):
        name = names[k % len(names)]
        data = mutated(files[name], rng)
        path = folder / ("x" + name[name.index(".") :])
        path.write_bytes(data)
        os.write(pipe, json.dumps({"case": [seed, k, name]}).encode() + b"\n")
        signal.alarm(_SECONDS)  # the default action ends the process: a hang is seen as a death
        fault = _attempt(path)
        signal.alarm(0)
        if fault:
            (folder / f"fault_{seed}_{k}_{name}").write_bytes(data)
            os.write(pipe, json.dumps({"case": [seed, k, name], "fault": fault}).encode() + b"\n")


def run(folder: Path, files: dict[str, bytes], seed: int, n: int) -> list[str]:
    """Return the faults among n damaged files, a crash or hang of the process included."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            _child(writer, folder, files, seed, n)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        lines = [json.loads(line) for line in stream]
    _, status = os.waitpid(pid, 0)
    faults = [f"{line['case']}: {line['fault']}" for line in lines if "fault" in line]
    cases = {tuple(line["case"]) for line in lines}
    if status or len(cases) < n:
        faults.append(
            f"{lines[-1]['case'] if lines else 'start'}: the process died, status {status}"
        )
    return faults


@pytest.mark.filterwarnings("ignore::meshconv.errors.LoadWarning")
@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_are_read_right_or_refused(tmp_path: Path, seed: int) -> None:
    files = seeds(tmp_path)
    for name, data in files.items():
        path = tmp_path / ("x" + name[name.index(".") :])
        path.write_bytes(data)
        load(path)  # undamaged, all are valid; this also compiles the readers before the fork
    assert run(tmp_path, files, seed, 600) == []
