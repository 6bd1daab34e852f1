"""A cache of prepared scans survives whatever ends its writers: a kill at any moment, a full disk,
a lost worker, two writers at once.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meshconv as mc
from meshconv.datasets.procedural import ProceduralFaces
from meshconv.errors import MeshIOError
from meshconv.io import atomic
from meshconv.mesh.shapes import face
from meshconv.train.config import PrepareConfig
from meshconv.train.prepare import prepare

_CONFIG = PrepareConfig(size=129)
_COUNT = 6
_CHILD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
sys.path.insert(0, {folder!r})
from test_killed_cache import prepared
print("ready", flush=True)
prepared(sys.argv[1])
print("done", flush=True)
"""


def prepared(cache: str | Path) -> Any:
    """Prepare a small population into a cache."""
    scans = ProceduralFaces(_COUNT, n_vertices=400, seed=4)
    return prepare(scans, mc.Template.from_surface(face(500)), config=_CONFIG, cache=cache)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, bytes]]:
    """The images and the cache of an unbroken run."""
    cache = tmp_path_factory.mktemp("whole") / "cache"
    return prepared(cache).images.tobytes(), _content(cache)


def _content(cache: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in cache.iterdir()}


def _child(cache: Path) -> subprocess.Popen[bytes]:
    code = _CHILD.format(folder=os.path.dirname(__file__))
    command = [sys.executable, "-c", code, str(cache)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return child


def _survives(cache: Path, whole: tuple[bytes, dict[str, bytes]]) -> None:
    """What lies there is whole and right, and a second run ends as an unbroken one."""
    if cache.exists():
        assert _content(cache).items() <= whole[1].items()
    assert prepared(cache).images.tobytes() == whole[0]
    assert _content(cache) == whole[1]


def _kill(cache: Path, number: int, delay: float) -> bool:
    with _child(cache) as child:
        time.sleep(delay)
        child.send_signal(number)
        return child.wait() != 0


def _killed_again_and_again(folder: Path, whole: Any, moments: int) -> int:
    with _child(folder / "timed") as child:
        start = time.monotonic()
        child.wait()
    lasts, rng, killed = time.monotonic() - start, np.random.default_rng(moments), 0
    for k in range(moments):
        number = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[k % 3]
        cache = folder / f"cache{k}"
        killed += _kill(cache, number, rng.uniform(0, lasts))
        _survives(cache, whole)
    return killed


def test_a_cache_whose_writer_was_killed_is_finished_by_the_next(
    tmp_path: Path, whole: Any
) -> None:
    assert _killed_again_and_again(tmp_path, whole, 1) >= 0


@pytest.mark.slow
def test_sixty_kills(tmp_path: Path, whole: Any) -> None:
    assert _killed_again_and_again(tmp_path, whole, 60) >= 30


@pytest.mark.slow
def test_two_writers_of_one_cache(tmp_path: Path, whole: Any) -> None:
    cache = tmp_path / "cache"
    children = [_child(cache) for _ in range(2)]
    for child in children:
        with child:
            assert child.wait() == 0
    assert _content(cache) == whole[1]


def test_a_disk_that_is_full_at_any_write(
    tmp_path: Path, whole: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each in turn: one error that names the file, no half file, and the next run goes on."""
    fsync, left = os.fsync, 0

    def full(handle: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    for room in range(0, _COUNT, 2):
        cache, left = tmp_path / f"cache{room}", 2 * room  # of each file, and of its folder
        monkeypatch.setattr(atomic.os, "fsync", full)
        with pytest.raises(MeshIOError, match="No space left") as caught:
            prepared(cache)
        monkeypatch.undo()
        assert caught.value.errno == errno.ENOSPC and str(cache) in str(caught.value.path)
        assert len(_content(cache)) == room
        _survives(cache, whole)


_FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.path.insert(0, {folder!r})
import test_killed_cache as here
here.prepared({other!r})  # compiled code is written before the limit is
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    here.prepared(sys.argv[1])
except here.MeshIOError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_file_that_grows_beyond_what_the_system_allows(tmp_path: Path, whole: Any) -> None:
    """The system itself refuses in the middle of a file."""
    cache, folder = tmp_path / "cache", os.path.dirname(__file__)
    size = max(map(len, whole[1].values()))
    code = _FULL.format(folder=folder, other=str(tmp_path / "other"), limit=size // 2)
    command = [sys.executable, "-c", code, str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "File too large" in done.stdout and ".npz" in done.stdout
    assert not _content(cache)
    _survives(cache, whole)


def test_a_full_disk_while_training_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    from test_loop import _data, _model

    from meshconv.train.config import TrainConfig
    from meshconv.train.loop import train

    config = TrainConfig(epochs=6, batch_size=5, noise=0.3)
    path = tmp_path / "run.npz"
    unbroken = _model()
    train(unbroken, *_data(), config=config)
    fsync, calls = os.fsync, 0

    def full(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 7:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(MeshIOError, match="No space left"):
        train(_model(), *_data(), config=config, checkpoint=path)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["run.npz"]
    model = _model()
    train(model, *_data(), config=config, checkpoint=path)
    for name, value in unbroken.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


def test_a_worker_that_is_killed_is_told_of_and_the_rest_is_kept(
    tmp_path: Path, whole: Any
) -> None:
    """Not a hang, nor a traceback of joblib's; what was finished is not done again."""
    code = f"""
import os, signal, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
import test_killed_cache as here
from meshconv.datasets.procedural import ProceduralFaces

class Deadly(ProceduralFaces):
    def __getitem__(self, k):
        if k == 3 and os.getpid() != {os.getpid()}:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(k)

scans = Deadly(here._COUNT, n_vertices=400, seed=4)
template = here.mc.Template.from_surface(here.face(500))
try:
    here.prepare(scans, template, config=here._CONFIG, cache=sys.argv[1], workers=2)
except here.mc.MeshConvError as error:
    print("told:", error)
"""
    cache = tmp_path / "cache"
    script = tmp_path / "script.py"
    script.write_text(code)
    command = [sys.executable, str(script), str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "told:" in done.stdout and "worker" in done.stdout
    _survives(cache, whole)
