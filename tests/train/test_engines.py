"""One loop over one job, wherever it is done: the same bits, tasks sent small and few at a time."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone

import meshconv as mc
from meshconv.cli import main
from meshconv.datasets.procedural import ProceduralFaces
from meshconv.datasets.scan import Part, shard
from meshconv.errors import ArgumentError
from meshconv.mesh.shapes import face, icosphere
from meshconv.train.config import PrepareConfig
from meshconv.train.engines import results
from meshconv.train.prepare import prepare
from meshconv.train.scans import unread
from meshconv.train.skipped import Skipped

CONFIG = PrepareConfig(size=17)


@pytest.fixture(scope="module")
def template() -> mc.Template:
    return mc.Template.from_surface(face(600))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> mc.FolderDataset:
    """Six faces and a file that is cut short."""
    folder = tmp_path_factory.mktemp("study")
    rows = ["file,label,subject"]
    for k, scan in enumerate(ProceduralFaces(6, n_vertices=400, seed=3)):
        mc.save(folder / f"face{k}.ply", scan.surface)
        rows.append(f"face{k}.ply,{'ab'[k % 2]},s{k}")
    (folder / "cut.ply").write_bytes(b"ply\nformat ascii 1.0\n")
    (folder / "labels.csv").write_text("\n".join([*rows, "cut.ply,a,s9"]) + "\n")
    return mc.FolderDataset(folder)


@pytest.fixture(scope="module")
def serial(study: mc.FolderDataset, template: mc.Template, tmp_path_factory: Any) -> Any:
    return prepare(study, template, config=CONFIG, on_error="skip", cache=_serial(tmp_path_factory))


def _serial(factory: pytest.TempPathFactory) -> Path:
    return factory.getbasetemp() / "serial"


def _content(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in folder.iterdir()}


def _same(found: Any, expected: Any) -> None:
    assert found.images.tobytes() == expected.images.tobytes()
    assert (found.names, found.subjects) == (expected.names, expected.subjects)
    assert found.kept.tolist() == expected.kept.tolist()
    assert [str(one) for one in found.skipped] == [str(one) for one in expected.skipped]


def test_two_workers_of_a_dask_cluster_give_the_same_bytes(
    study: mc.FolderDataset,
    template: mc.Template,
    serial: Any,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    distributed = pytest.importorskip("distributed")
    how: dict[str, Any] = {"config": CONFIG, "on_error": "skip"}
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        _same(prepare(study, template, client=client, cache=tmp_path / "a", **how), serial)
        files = [entry.path for entry in study.entries[:2]]
        bare = prepare(files, template, client=client, **how)
        address = cluster.scheduler_address
        _same(prepare(files, template, client=address, cache=tmp_path / "b", **how), bare)
        model = clone(mc.SurfaceClassifier(client=client, size=33))
        assert model.client is client and model.size == 33  # a connection has no copies
    assert _content(tmp_path / "a") == _content(_serial(tmp_path_factory))
    assert bare.images.tobytes() == serial.images[:2].tobytes()
    assert bare.names == tuple(map(str, files)) == bare.subjects


def test_the_joblib_backend_in_force_gives_the_same_bytes(
    study: mc.FolderDataset, template: mc.Template, serial: Any, tmp_path: Path
) -> None:
    with joblib.parallel_config(backend="threading"):
        found = prepare(
            study, template, config=CONFIG, workers=2, on_error="skip", cache=tmp_path / "new"
        )
    _same(found, serial)


def test_what_is_sent_for_a_scan_is_a_path_or_a_number(
    study: mc.FolderDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [str(entry.path) for entry in study.entries]
    for scans in (study, files, [*ProceduralFaces(2, n_vertices=400)]):
        sent = [len(pickle.dumps(task)) for task in unread(scans)]
        assert max(sent) < (600 if scans in (study, files) else 1 << 20)
    monkeypatch.chdir(study.folder)
    (near,) = unread([Path("face1.ply")])
    assert not isinstance(near, Skipped) and near.name == "face1.ply"
    assert near.given == str(study.folder / "face1.ply")  # found from any folder


class _Counting:
    """A client that says how many of its tasks wait, and what was sent."""

    def __init__(self) -> None:
        self.waiting = self.most = self.scattered = 0

    def scatter(self, shared: Any, **_: Any) -> Any:
        self.scattered += 1
        return shared

    def nthreads(self) -> dict[str, int]:
        return {"one": 2, "two": 20}

    def submit(self, function: Any, *arguments: Any, pure: bool) -> Any:
        assert not pure
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        return _Future(self, function(*arguments))


class _Future:
    def __init__(self, client: _Counting, value: Any) -> None:
        self.client, self.value = client, value

    def result(self) -> Any:
        self.client.waiting -= 1
        return self.value


def test_a_client_gets_the_job_once_and_a_bounded_number_of_tasks() -> None:
    taken = 0

    def tasks() -> Iterator[int]:
        nonlocal taken
        for k in range(1000):
            taken = k
            yield k

    client = _Counting()
    found = results(abs, tasks(), client=client)
    assert next(found) == 0 and taken < 100
    assert [0, *found] == list(range(1000))
    assert (client.scattered, client.most, client.waiting) == (1, 88, 0)


def _prepare(study: mc.FolderDataset, frame: Path, cache: Path, which: str) -> list[str]:
    words = ["prepare", str(study.folder), "--template", str(frame), "--cache", str(cache)]
    return [*words, "--size", "17", "--on-error", "skip", "--shard", which]


def test_shards_of_which_one_was_killed_fill_the_cache_of_the_serial_run(
    study: mc.FolderDataset,
    template: mc.Template,
    serial: Any,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    template.save(tmp_path / "frame.npz")
    cache = tmp_path / "cache"
    first, second = (_prepare(study, tmp_path / "frame.npz", cache, k) for k in ("1/2", "2/2"))
    child = subprocess.Popen([sys.executable, "-m", "meshconv", *first], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (cache.exists() and any(cache.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    child.wait()
    done = len(_content(cache))
    assert main(second) == 0 and main(first) == 0
    assert done < 4 and _content(cache) == _content(_serial(tmp_path_factory))
    assert "3" in capsys.readouterr().out
    for wrong in ("0/2", "3/2", "1", "a/b"):
        with pytest.raises(SystemExit):
            main(_prepare(study, tmp_path / "frame.npz", cache, wrong))


def test_shards_are_all_scans_once_under_their_own_names(study: mc.FolderDataset) -> None:
    parts = [shard(study, k, 3) for k in (1, 2, 3)]
    assert sorted(k for part in parts for k in part.rows) == list(range(7))
    assert parts[1].name(1) == study.name(4) and parts[1].subjects[1] == study.subjects[4]
    assert parts[1][1].name == "face4.ply"
    made = Part(ProceduralFaces(4, n_vertices=100), [3])
    assert made.name(0) == "scan 3" and made.subjects == ("",)
    with pytest.raises(ArgumentError, match="no shard 4 of 3"):
        shard(study, 4, 3)


def test_a_bad_surface_fails_alike_under_every_engine(template: mc.Template) -> None:
    scans = [face(400), icosphere(1), 7]
    here = prepare(scans, template, config=CONFIG, on_error="skip")  # type: ignore[arg-type]
    with joblib.parallel_config(backend="threading"):
        there = prepare(scans, template, config=CONFIG, on_error="skip", workers=2)  # type: ignore[arg-type]
    _same(there, here)
    assert [one.index for one in here.skipped] == [1, 2]
    np.testing.assert_array_equal(here.kept, [0])
