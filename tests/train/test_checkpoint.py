import io
import json
import pickle
import struct

import numpy as np
import pytest

from meshconv.errors import CheckpointError, MissingFileError
from meshconv.train.checkpoint import (
    differences,
    read_checkpoint,
    refuse_differences,
    write_checkpoint,
)

ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array(7),
    "flags": np.array([True, False]),
}


@pytest.fixture
def path(tmp_path):
    target = tmp_path / "run.npz"
    write_checkpoint(target, ARRAYS, {"name": 'Zoë "x"', "nested": {"k": [1, 2]}})
    return target


def test_round_trip_to_the_last_bit(path):
    arrays, head = read_checkpoint(path)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)
    assert head["name"] == 'Zoë "x"' and head["nested"] == {"k": [1, 2]}


def test_every_flipped_byte_is_refused(path):
    good = path.read_bytes()
    for k in range(len(good)):
        path.write_bytes(good[:k] + bytes([good[k] ^ (1 << (k % 8))]) + good[k + 1 :])
        with pytest.raises(CheckpointError):
            read_checkpoint(path)


def test_every_cut_is_refused(path):
    good = path.read_bytes()
    for k in range(0, len(good), 7):
        path.write_bytes(good[:k])
        with pytest.raises(CheckpointError, match=r"run\.npz"):
            read_checkpoint(path)


def test_plain_numpy_opens_it(path):
    with np.load(path, allow_pickle=False) as found:
        np.testing.assert_array_equal(found["a"], ARRAYS["a"])


class _Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was run",))


def test_foreign_files_are_refused_and_nothing_is_run(path):
    header = json.dumps({"__metadata__": {"sha256": "0" * 64}}).encode()
    plain = io.BytesIO()
    np.savez(plain, a=np.zeros(2))
    foreign = [
        b"",
        b"hello",
        pickle.dumps(_Bomb()),
        plain.getvalue(),
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", len(header)) + header,
    ]
    for data in foreign:
        path.write_bytes(data)
        with pytest.raises(CheckpointError):
            read_checkpoint(path)


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"none\.st"):
        read_checkpoint(tmp_path / "none.st")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(tmp_path)


def test_nan_is_refused_and_the_old_file_kept(path):
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="w holds 1 values that are not finite"):
        write_checkpoint(path, {"w": np.array([1.0, np.nan])}, {})
    assert path.read_bytes() == before


def test_other_format_is_refused(path, monkeypatch):
    monkeypatch.setattr("meshconv.io.container.FORMAT", 99)
    with pytest.raises(
        CheckpointError, match="checkpoint of format 99, found checkpoint of format 1"
    ):
        read_checkpoint(path)


def test_differences_name_both_values():
    found, wanted = (
        {"grid": [65, 33], "train": {"epochs": 3}},
        {"grid": [65, 33], "train": {"epochs": 4}, "new": 1},
    )
    assert differences(found, wanted) == ["new is None, not 1", "train.epochs is 3, not 4"]
    with pytest.raises(CheckpointError, match=r"train\.epochs is 3, not 4"):
        refuse_differences(found, wanted, "x")
    refuse_differences(found, found, "x")
