"""Files are read before numba is loaded, to the very same result; what compiles for the first time
says so.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import meshconv as mc
from meshconv._compiled import Kernel
from meshconv.io import ragged, scanners, stl_weld
from meshconv.io.read import FORMATS
from meshconv.mesh import areas
from meshconv.mesh.shapes import face
from meshconv.mesh.vector import fixed

_INFO = """
import sys
from meshconv.cli import main
for name in sys.argv[1:]:
    assert main(["info", name]) == 0
print(*(name for name in ("numba", "scipy", "torch", "vtk") if name in sys.modules), "end")
"""


def test_info_loads_no_compiler(tmp_path: Path) -> None:
    """Of every format; a scan with polygons, colours and texture coordinates too."""
    surface = face(3000)
    names = [str(tmp_path / f"a.{one}") for one in FORMATS]
    for name in names:
        mc.save(name, surface)
    rich = tmp_path / "rich.obj"
    corners = "f 1/1/1 2/2/2 3/3/3 4/4/4\nf 4/4/4 3/3/3 5/5/5\n"
    rows = [f"v {k % 2} {k // 2} 0 .5 .5 .5\nvt {k} 0\nvn 0 0 1\n" for k in (0, 1, 3, 2, 5)]
    rich.write_text("".join(rows) + corners)
    done = subprocess.run(
        [sys.executable, "-c", _INFO, *names, str(rich)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "end", done


_LETTERS = st.sampled_from([*"0123456789.+-eE#\\/ \t\r\nvf\0\x1f\xa0é", "e+2", "17", "0.1", "nan"])
_TEXTS = st.lists(_LETTERS, max_size=60).map(lambda some: "".join(some).encode())


def _scan(run: Any, text: bytes, comment: int, continued: bool) -> list[Any]:
    data, n = np.frombuffer(text, np.uint8), len(text)
    begin, length = np.zeros(n, np.int64), np.zeros(n, np.int32)
    out = begin, length, np.zeros(n), np.zeros(n, np.uint8), np.zeros(n, np.bool_)
    used = run(data, comment, continued, *out)
    return [array[:used].tolist() for array in out]


@given(_TEXTS, st.sampled_from([0, ord("#")]), st.booleans())
def test_tokens_are_the_same_without_a_compiler(text: bytes, comment: int, continued: bool) -> None:
    data = np.frombuffer(text, np.uint8)
    kernel = scanners.scan_tokens
    assert _scan(kernel._plain, text, comment, continued) == _scan(
        kernel.compiled, text, comment, continued
    )
    count = scanners.count_tokens
    assert count._plain(data) == count.compiled(data)


@example("1234567890123456")
@example("0.12345678901234567")
@example("-1234567890.12345678")
@given(st.from_regex(r"[+-]?[0-9]{0,24}\.?[0-9]{0,24}([eE][+-]?[0-9]{1,4})?", fullmatch=True))
def test_numbers_are_the_same_without_a_compiler(number: str) -> None:
    text = f"{number} {number}\n".encode()
    found = _scan(scanners.scan_tokens._plain, text, 0, False)
    assert found == _scan(scanners.scan_tokens.compiled, text, 0, False)
    for value, kind in zip(found[2], found[3], strict=True):
        if kind in (scanners.INTEGER, scanners.REAL):
            assert value == float(number)


def _same(kernel: Kernel, *args: Any, out: tuple[int, ...]) -> None:
    """The plain version and the compiled one give the same answer, and fill `out` alike."""
    plain = kernel._plain if kernel._plain is not kernel._function else kernel
    results = []
    for run in (plain, kernel.compiled):
        own = [np.array(one) if k in out else one for k, one in enumerate(args)]
        answer = run(*own)
        results.append((answer, [own[k].tolist() for k in out]))
    assert results[0] == results[1]


@given(st.lists(st.sampled_from(["v", "endloop", "FACET", "normals-of-it", "f"]), max_size=9))
def test_codes_and_places_are_the_same(words: list[str]) -> None:
    text = " ".join(words).encode()
    begin, length, *_ = map(np.array, _scan(scanners.scan_tokens.compiled, text, 0, False))
    where, data = np.arange(len(begin))[::-1].copy(), np.frombuffer(text, np.uint8)
    out = np.empty(len(where), np.uint64)
    _same(scanners.word_codes, data, begin.astype(int), length.astype(int), where, out, out=(4,))
    flags = np.array([word == "f" for word in words], np.bool_)
    _same(scanners.true_places, flags, np.empty(flags.sum() + 1, np.int32), out=(1,))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), max_size=8))
def test_spreading_and_welding_are_the_same(pairs: list[tuple[int, int]]) -> None:
    starts, counts = np.array([*zip(*pairs, strict=True)] or [[], []], np.int64)
    _same(ragged._spread, starts, counts, np.empty(counts.sum(), np.int64), out=(2,))
    rows = np.array([(a % 2, b, a) for a, b in pairs], np.float64).reshape(-1, 3).view(np.uint64)
    table, label = np.full(64, -1), np.empty(len(rows), np.int64)
    results = []
    for run in (stl_weld.weld_rows._plain, stl_weld.weld_rows.compiled):
        origin = np.full(len(rows), -1)
        n = run(rows, table.copy(), label, origin)
        results.append((n, label.tolist(), origin[:n].tolist()))
    assert results[0] == results[1]


def test_areas_are_the_same_to_the_last_bit() -> None:
    surface = face(300)
    vertices, faces = fixed(surface.vertices), fixed(surface.faces)
    _same(areas._area_vectors, vertices, faces, np.empty((surface.n_faces, 3)), out=(2,))


_BOTH = """
import json, sys, warnings
import meshconv as mc
warnings.simplefilter("ignore")
if sys.argv[1] == "compiled":
    import numba
out = []
for name in sys.argv[2:]:
    try:
        found = mc.read(name)
        fields = {k: v.tolist() for k, v in found.vertex_fields.items()}
        surface = found.surface
        out.append([surface.vertices.tolist(), surface.faces.tolist(), found.warnings, fields])
    except mc.MeshConvError as error:
        out.append(str(error))
print(json.dumps([out, "numba" in sys.modules]))
"""


def test_odd_files_are_read_and_refused_alike(tmp_path: Path) -> None:
    """Whole numbers of one byte do not wrap round, ragged lists and concave polygons are walked."""
    lists = b"ply\nformat %s 1.0\nelement vertex 5\nproperty float x\nproperty float y\n"
    lists += b"property float z\nelement face 2\nproperty list %s int vertex_indices\nend_header\n"
    points = np.array([[0, 0, 0], [2, 0, 0], [0.5, 0.5, 0], [0, 2, 0], [3, 3, 0]])
    files = {}
    for form, order in ((b"binary_little_endian", "<"), (b"binary_big_endian", ">")):
        for name, count in ((b"uchar", "u1"), (b"short", "i2"), (b"ulong", "u8")):
            rows = b"".join(
                np.array(len(ids), order + count).tobytes() + np.array(ids, order + "i4").tobytes()
                for ids in ([0, 1, 2, 3], [1, 4, 3])
            )
            head = lists % (form, b"uint64" if name == b"ulong" else name)
            body = head + points.astype(order + "f4").tobytes() + rows
            files[f"{form[7:9].decode()}_{count}.ply"] = body
            files[f"cut_{form[7:9].decode()}_{count}.ply"] = body[:-5]
    obj = "v 0 0 0\nv 1 0 0\nv 0.1 1e-3 123456789012345678901\nv 1e400 0 0\n"
    for k, line in enumerate(
        ("f 1 2 3", "f 1/ 2 3", "f -4 -3 -2", "f 1 2 300", "f 1 2 x", "f 1 2 4")
    ):
        files[f"{k}.obj"] = (obj + line + "\n").encode()
    files["polygons.obj"] = (obj[:16] + "v 2 2 0\nv .4 .6 0\nv 0 2 0\nf 1 2 3 4 5\n").encode()
    files["free.off"] = b"OFF 3 1 0 0 0 0 1 0 0 0 1 0 3 0 1 2"
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    names = [str(tmp_path / name) for name in files]
    results = []
    for how in ("plain", "compiled"):
        command = [sys.executable, "-c", _BOTH, how, *names]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        results.append(json.loads(done.stdout))
    assert results[0][0] == results[1][0]
    assert [loaded for _, loaded in results] == [False, True]
    assert sum(isinstance(one, list) for one in results[0][0]) >= 8


_COMPILE = """
import logging, os, sys
sys.stderr = os.fdopen(int(sys.argv[1]), "w")
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
import numpy as np
from meshconv._compiled import tell_of_compiling
tell_of_compiling()
tell_of_compiling()
from numba import njit
assert njit(lambda n: 2 * n[0])(np.ones(3)) == 2
assert njit(lambda n: 3 * n[0])(np.ones(3)) == 3
"""


def test_a_first_compilation_is_told_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(_COMPILE)
    pty = pytest.importorskip("pty")
    reader, writer = pty.openpty()
    command = [sys.executable, str(script), str(writer)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, pass_fds=[writer])
    os.close(writer)
    said = b""
    with os.fdopen(reader, "rb", buffering=0) as stream:
        try:
            while part := stream.read(1000):
                said += part
        except OSError:  # the end of a terminal
            pass
    assert done.returncode == 0, done.stderr
    assert len(re.findall(b"compiling for this machine", said)) == 1
    assert done.stdout.count("compiling for this machine") == 1
