"""`meshconv warmup` does every kind of job once, and each of them works."""

from __future__ import annotations

import json

import pytest

from meshconv import warmup
from meshconv.cli import main


def test_the_command_tells_what_each_kind_took(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warmup, "_JOBS", {"files": warmup._files})
    assert main(["warmup", "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert list(out["seconds"]) == ["files"] and out["kept"]


@pytest.mark.parametrize("name", [name for name in warmup._JOBS if name != "files"])
def test_every_job_can_be_done(name: str) -> None:
    warmup._JOBS[name]()
