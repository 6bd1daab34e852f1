"""Downloads against a server of our own: good, changed, cut short, absent, and already there."""

import gzip
import hashlib
import http.server
import threading
import time

import numpy as np
import pytest

from meshconv.datasets import download as module
from meshconv.datasets.download import (
    ORIGINS,
    Origin,
    RemoteFile,
    adrenal_arrays,
    mnist_arrays,
    read_idx,
)
from meshconv.datasets.files import find_data
from meshconv.datasets.images import mnist
from meshconv.errors import AccessError, BadFormatError, MissingDependencyError, MissingFileError

CONTENT = np.random.default_rng(0).bytes(200_000)


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        data = self.server.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: self.server.cut])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server on this machine, and an empty cache."""
    monkeypatch.delenv("MESHCONV_OFFLINE")
    monkeypatch.delenv("MESHCONV_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    made.requests, made.files, made.cut = [], {"/some.npz": CONTENT}, None
    made.cache = tmp_path / "meshconv" / "data"
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def offer(server, monkeypatch):
    """Say that a data file is published by the server."""

    def offer(name, *paths, checksum=None, convert=None):
        parts = []
        for path in paths:
            digest = checksum or "md5:" + hashlib.md5(server.files.get(path, b"")).hexdigest()
            parts.append(RemoteFile(f"http://127.0.0.1:{server.server_address[1]}{path}", digest))
        monkeypatch.setitem(ORIGINS, name, Origin(tuple(parts), convert))

    return offer


def _left(server):
    return [path.name for path in server.cache.rglob("*")] if server.cache.exists() else []


def test_a_file_is_fetched_once_and_then_found(server, offer):
    offer("some.npz", "/some.npz")
    path = find_data("some.npz")
    assert path == server.cache / "some.npz" and path.read_bytes() == CONTENT
    assert (
        path.stat().st_mode & 0o777 == 0o666 & ~_umask()
    )  # not the private mode of a temporary file
    assert find_data("some.npz") == path and server.requests == ["/some.npz"]
    assert _left(server) == ["some.npz"]


def test_what_is_there_is_not_asked_for(server, offer, monkeypatch, tmp_path):
    offer("some.npz", "/some.npz")
    monkeypatch.setenv("MESHCONV_DATA", str(tmp_path))
    (tmp_path / "some.npz").write_bytes(b"mine")
    assert find_data("some.npz").read_bytes() == b"mine" and server.requests == []


def test_a_changed_file_is_refused_and_not_kept(server, offer):
    offer("some.npz", "/some.npz", checksum="md5:" + "0" * 32)
    with pytest.raises(
        BadFormatError, match=r"some\.npz: what http://127.* does not have the checksum md5:000"
    ):
        find_data("some.npz")
    assert _left(server) == []


def test_a_transfer_that_breaks_off_leaves_nothing(server, offer):
    offer("some.npz", "/some.npz")
    server.cut = 70_000
    with pytest.raises((MissingFileError, BadFormatError), match=r"some\.npz.*MESHCONV_DATA"):
        find_data("some.npz")
    assert _left(server) == []
    server.cut = None
    assert find_data("some.npz").read_bytes() == CONTENT


def test_ctrl_c_leaves_nothing(server, offer, monkeypatch):
    def stop(files):
        raise KeyboardInterrupt

    offer("some.npz", "/some.npz", convert=stop)
    with pytest.raises(KeyboardInterrupt):
        find_data("some.npz")
    assert _left(server) == []


def test_a_missing_file_names_address_and_remedy(server, offer):
    offer("some.npz", "/gone.npz")
    with pytest.raises(
        MissingFileError,
        match=r"gone\.npz could not be fetched \(HTTP 404 Not Found\).*MESHCONV_DATA",
    ):
        find_data("some.npz")
    assert _left(server) == []


def test_no_server_at_all(server, offer, monkeypatch):
    offer("some.npz", "/some.npz")
    origin = Origin((RemoteFile("http://127.0.0.1:1/some.npz", "md5:" + "0" * 32),))
    monkeypatch.setitem(ORIGINS, "some.npz", origin)
    with pytest.raises(
        MissingFileError, match=r"127\.0\.0\.1:1/some\.npz could not be fetched \(ConnectionError"
    ):
        find_data("some.npz")


def test_a_server_that_falls_silent_is_given_up(server, offer, monkeypatch):
    monkeypatch.setattr(module, "_TIMEOUT", 0.2)
    done = threading.Event()
    monkeypatch.setattr(_Handler, "do_GET", lambda self: done.wait(5))
    offer("some.npz", "/some.npz")
    start = time.monotonic()
    with pytest.raises(MissingFileError, match="could not be fetched"):
        find_data("some.npz")
    done.set()
    assert time.monotonic() - start < 5


def test_offline_means_no_request(server, offer, monkeypatch):
    offer("some.npz", "/some.npz")
    monkeypatch.setenv("MESHCONV_OFFLINE", "1")
    with pytest.raises(MissingFileError, match="MESHCONV_OFFLINE forbids a download"):
        find_data("some.npz")
    with pytest.raises(
        MissingFileError, match=r"it cannot be downloaded as it is; set MESHCONV_DATA"
    ):
        find_data("ict_face.npz")
    assert server.requests == []


def test_a_cache_that_cannot_be_written_is_named(server, offer, tmp_path):
    offer("some.npz", "/some.npz")
    (tmp_path / "meshconv").write_text("a file where the folder belongs")
    with pytest.raises(OSError, match=r"meshconv.*cannot write") as caught:
        find_data("some.npz")
    assert not isinstance(caught.value, AccessError) and server.requests == []


def test_without_pooch_the_pip_line_is_given(server, offer, monkeypatch):
    offer("some.npz", "/some.npz")
    monkeypatch.setitem(__import__("sys").modules, "pooch", None)
    with pytest.raises(MissingDependencyError, match="pip install pooch"):
        find_data("some.npz")


def _idx(array):
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    return gzip.compress(head + array.tobytes(), mtime=0)


def test_mnist_is_made_from_its_four_files(server, offer):
    rng = np.random.default_rng(1)
    arrays = {
        "train_images": rng.integers(0, 256, (7, 28, 28)),
        "train_labels": rng.integers(0, 10, 7),
        "test_images": rng.integers(0, 256, (3, 28, 28)),
        "test_labels": rng.integers(0, 10, 3),
    }
    arrays = {name: array.astype(np.uint8) for name, array in arrays.items()}
    server.files = {f"/{name}.gz": _idx(array) for name, array in arrays.items()}
    offer("mnist.npz", *server.files, convert=mnist_arrays)
    for split, n in (("train", 7), ("test", 3)):
        found = mnist(split)
        np.testing.assert_array_equal(np.rint(found.images[:, 0] * 255), arrays[f"{split}_images"])
        np.testing.assert_array_equal(found.labels, arrays[f"{split}_labels"])
        assert len(found) == n
    assert len(server.requests) == 4 and _left(server) == ["mnist.npz"]


@pytest.mark.parametrize("full", [1, 255])
def test_adrenal_masks_are_packed(tmp_path, full):
    rng = np.random.default_rng(2)
    masks = {
        split: rng.random((n, 4, 4, 16)) < 0.3
        for split, n in (("train", 3), ("val", 2), ("test", 2))
    }
    arrays = {f"{split}_images": (mask * full).astype(np.uint8) for split, mask in masks.items()}
    labels = {
        f"{split}_labels": rng.integers(0, 2, (len(mask), 1)).astype(np.uint8)
        for split, mask in masks.items()
    }
    np.savez(tmp_path / "a.npz", **arrays, **labels)
    made = adrenal_arrays([tmp_path / "a.npz"])
    for split, mask in masks.items():
        np.testing.assert_array_equal(np.unpackbits(made[f"{split}_images"], axis=-1), mask)
        np.testing.assert_array_equal(made[f"{split}_labels"], labels[f"{split}_labels"][:, 0])


@pytest.mark.parametrize(
    "data", [b"", b"\0\0\x08\1\0\0\0\5abc", b"\0\0\x0d\1\0\0\0\1abcd", b"<html>"]
)
def test_other_files_are_no_idx(tmp_path, data):
    (tmp_path / "a.gz").write_bytes(gzip.compress(data, mtime=0))
    with pytest.raises(BadFormatError, match=r"a\.gz.*not an IDX file of bytes"):
        read_idx(tmp_path / "a.gz")


def test_published_addresses_are_safe_and_have_checksums():
    for origin in ORIGINS.values():
        for part in origin.parts:
            kind, _, digits = part.checksum.partition(":")
            assert part.url.startswith("https://") and kind == "md5" and len(digits) == 32


def _umask():
    import os

    mask = os.umask(0)
    os.umask(mask)
    return mask
