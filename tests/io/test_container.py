"""The container: every bit comes back, and a file that is not byte for byte what the writer would
write is refused as a CheckpointError, signed or not.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from meshconv.errors import ArgumentError, ArrayTypeError, CheckpointError, MissingFileError
from meshconv.io import read_container, write_container

DTYPES = "?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16", ">f8"
ARRAYS = {
    "weights.0": np.arange(6, dtype=np.float32).reshape(2, 3),
    "none": np.zeros((0, 4)),
    "seven": np.array(7),
    "flags": np.array([True, False]),
}
HEAD = {"name": 'Zoë "x"', "nested": {"k": [1, 2.5, None, True]}}


def made(folder: Path) -> Path:
    path = folder / "a.npz"
    write_container(path, "example", HEAD, ARRAYS)
    return path


def signed(data: bytes) -> bytes:
    """Return the bytes with the checksum that fits them, as an attacker would leave them."""
    return data[:-64] + hashlib.sha256(data[:-64]).hexdigest().encode()


def refused(path: Path, data: bytes) -> str:
    """Check that the bytes are refused, and return why."""
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=path.name) as caught, read_container(path, "example"):
        pass
    return str(caught.value)


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_arrays = st.dictionaries(
    st.from_regex(r"[A-Za-z0-9_.-]{1,20}", fullmatch=True),
    hnp.arrays(st.sampled_from(DTYPES).map(np.dtype), hnp.array_shapes(min_dims=0, min_side=0)),
    max_size=4,
)


@given(head=st.dictionaries(st.text(), _json, max_size=4), arrays=_arrays)
def test_every_bit_comes_back_and_numpy_sees_the_same(
    tmp_path_factory: pytest.TempPathFactory, head: dict[str, Any], arrays: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("container") / "a.npz"
    write_container(path, "example", head, arrays)
    with read_container(path, "example") as (found, back):
        assert found == head and list(back) == list(arrays)
    with np.load(path, allow_pickle=False) as plain, zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for name, array in arrays.items():
            for one in (back[name], plain[name]):
                assert one.dtype == array.dtype.newbyteorder("=") and one.shape == array.shape
                assert one.tobytes() == array.astype(one.dtype).tobytes()
        assert json.loads(plain["head.json"])["head"] == head


def test_same_content_same_bytes_and_numbers_begin_aligned(tmp_path: Path) -> None:
    first = made(tmp_path).read_bytes()
    assert made(tmp_path).read_bytes() == first
    assert first.find(ARRAYS["weights.0"].tobytes()) % 64 == 0
    fortran = {name: np.array(array, order="F") for name, array in ARRAYS.items()}
    write_container(tmp_path / "b.npz", "example", HEAD, fortran)
    assert (tmp_path / "b.npz").read_bytes() == first


def test_no_flipped_bit_no_cut_and_no_addition_is_accepted(tmp_path: Path) -> None:
    path = made(tmp_path)
    good = path.read_bytes()
    for k in range(len(good)):
        refused(path, good[:k] + bytes([good[k] ^ (1 << (k % 8))]) + good[k + 1 :])
    for k in range(0, len(good), 5):
        refused(path, good[:k])
    for more in (b"\0", b"\n", good, good[-80:]):
        refused(path, good + more)
        refused(path, more + good)


def test_a_flipped_bit_is_refused_even_if_signed_again(tmp_path: Path) -> None:
    path = made(tmp_path)
    good = path.read_bytes()
    for k in range(len(good) - 64):
        refused(path, signed(good[:k] + bytes([good[k] ^ (1 << (k % 8))]) + good[k + 1 :]))


def _table(change: Callable[[list[Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda head: change(head["arrays"])


ODD_HEADS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "giant": _table(lambda t: t[0].__setitem__(2, [2**40, 2**40])),
    "giant beside nothing": _table(lambda t: t[0].__setitem__(2, [0, 2**47, 2**47])),
    "larger than the file": _table(lambda t: t[0].__setitem__(2, [2, 3000])),
    "negative": _table(lambda t: t[0].__setitem__(2, [-2, -3])),
    "fraction": _table(lambda t: t[0].__setitem__(2, [2.0, 3])),
    "boolean side": _table(lambda t: t[2].__setitem__(2, [True])),
    "deep shape": _table(lambda t: t[2].__setitem__(2, [1] * 70)),
    "object": _table(lambda t: t[0].__setitem__(1, "|O")),
    "strings": _table(lambda t: t[0].__setitem__(1, "<U4")),
    "record": _table(lambda t: t[0].__setitem__(1, [["a", "<f4"]])),
    "long double": _table(lambda t: t[0].__setitem__(1, "<f16")),
    "big-endian": _table(lambda t: t[0].__setitem__(1, ">f4")),
    "path": _table(lambda t: t[0].__setitem__(0, "../../etc/passwd")),
    "number as name": _table(lambda t: t[0].__setitem__(0, 7)),
    "twice": _table(lambda t: t.append(list(t[0]))),
    "one too many": _table(lambda t: t.append(["more", "<f4", [1]])),
    "one too few": _table(lambda t: t.pop()),
    "short entry": _table(lambda t: t[0].pop()),
    "no entry": _table(lambda t: t.__setitem__(0, None)),
    "no table": lambda head: head.__setitem__("arrays", 3),
    "no head": lambda head: head.__setitem__("head", [1]),
    "other kind": lambda head: head.__setitem__("kind", "recipe"),
    "kind is a list": lambda head: head.__setitem__("kind", [["example"]]),
    "other format": lambda head: head.__setitem__("format", 2),
}


@pytest.mark.parametrize("name", ODD_HEADS)
def test_odd_heads_are_refused_though_signed(tmp_path: Path, name: str) -> None:
    path = made(tmp_path)
    with zipfile.ZipFile(path) as archive:
        head = json.loads(archive.read("head.json"))
    ODD_HEADS[name](head)
    refused(path, with_head(path.read_bytes(), json.dumps(head, separators=(",", ":"))))


def with_head(data: bytes, text: str) -> bytes:
    """Return a file whose head is another text, with sizes, CRC and checksum that fit it."""
    import zlib

    new = text.encode()
    size = int.from_bytes(data[51:59], "little")
    lead = bytearray(data[:59])
    lead[14:18] = zlib.crc32(new).to_bytes(4, "little")
    lead[43:51] = lead[51:59] = len(new).to_bytes(8, "little")
    return signed(bytes(lead) + new + data[59 + size :])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + " ",
        lambda text: text.replace('"format":1', '"format":1,"format":1'),
        lambda text: text.replace('"format":1', '"format":1.0'),
        lambda text: text.replace('"format":1', '"format":true'),
        lambda text: text.replace('"format":1', '"format":1e0'),
        lambda text: text.replace("2.5", "NaN"),
        lambda text: text.replace("2.5", "1e999"),
        lambda text: text.replace("2.5", "9" * 5000),
        lambda text: text.replace("2.5", "[" * 100_000 + "]" * 100_000),
        lambda text: text.replace("2.5", "[" * 101 + "]" * 101),
        lambda text: text.replace("2.5", "[" + "[]," * 3_000_000 + "[]]"),
        lambda text: "\ufeff" + text,
        lambda text: "[" + text + "]",
        lambda text: "",
        lambda text: text[:-1],
    ],
)
def test_heads_that_are_not_as_written_are_refused(
    tmp_path: Path, change: Callable[[str], str]
) -> None:
    path = made(tmp_path)
    with zipfile.ZipFile(path) as archive:
        text = archive.read("head.json").decode()
    refused(path, with_head(path.read_bytes(), change(text)))


def test_a_giant_file_is_refused_without_being_read(tmp_path: Path) -> None:
    path = made(tmp_path)
    good = path.read_bytes()
    head = bytearray(good)
    head[43:51] = head[51:59] = (2**45).to_bytes(8, "little")
    for start, end in ((good, good[-80:]), (bytes(head), good[-80:]), (b"", b"")):
        with path.open("wb") as file:
            file.write(start)
            file.truncate(1 << 40)  # a hole: no disk is used
            file.seek(0, os.SEEK_END)
            file.write(end)
        tracemalloc.start()
        with pytest.raises(CheckpointError), read_container(path, "example"):
            pass
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("the pickle was run",))


def test_foreign_and_nested_files_are_refused_and_nothing_is_run(tmp_path: Path) -> None:
    good = made(tmp_path).read_bytes()
    packed, plain, nested, bomb = (io.BytesIO() for _ in range(4))
    np.savez_compressed(packed, **ARRAYS)
    np.savez(plain, a=np.array([_Bomb()], dtype=object))
    with zipfile.ZipFile(nested, "w") as archive:
        archive.writestr("a.npz", good)
        archive.comment = good[-80:]
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("head.json", b" " * 50_000_000)
        archive.comment = good[-80:]
    files = (packed, plain, nested, bomb)
    foreign = [b"", b"hello", pickle.dumps(_Bomb()), *(file.getvalue() for file in files)]
    for data in foreign:
        refused(tmp_path / "b.npz", data)
        refused(tmp_path / "b.npz", signed(data + good[-80:]))


def test_what_is_not_a_file_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(MissingFileError, match=r"none\.npz"),
        read_container(tmp_path / "none.npz", "x"),
    ):
        pass
    os.mkfifo(tmp_path / "pipe")
    for odd in (tmp_path, tmp_path / "pipe", "bad\0name"):
        with pytest.raises(CheckpointError), read_container(odd, "x"):
            pass


def test_what_goes_wrong_while_the_content_is_used_is_the_files_fault(tmp_path: Path) -> None:
    path = made(tmp_path)
    refusal = pytest.raises(CheckpointError, match=r"a\.npz: not a sound example.*'absent'")
    with refusal, read_container(path, "example") as (head, _):
        head["absent"]


def test_what_cannot_be_stored_is_refused_and_the_old_file_kept(tmp_path: Path) -> None:
    path = made(tmp_path)
    before = path.read_bytes()
    for name, array in (
        ("a", np.array(["text"])),
        ("a", np.array([None])),
        ("a", np.zeros(2, np.longdouble)),
        ("a", np.zeros(2, "M8[s]")),
    ):
        with pytest.raises(ArrayTypeError, match=r"'a' of dtype"):
            write_container(path, "example", {}, {name: array})
    for name in ("", "a/b", "..\\x", "a b", "ä", "x" * 201):
        with pytest.raises(ArgumentError, match="array name"):
            write_container(path, "example", {}, {name: np.zeros(2)})
    for value in (float("nan"), float("inf"), {1, 2}, b"x", np.int64(3)):
        with pytest.raises(ArgumentError, match="not JSON"):
            write_container(path, "example", {"a": value}, {})
    assert path.read_bytes() == before
