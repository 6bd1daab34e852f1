"""A bar on a terminal; elsewhere at most a line a minute, and none where nothing is to be shown."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from meshconv import _progress
from meshconv._progress import Meter, metered


@pytest.fixture
def clock(monkeypatch):
    """A clock that is moved by hand, and what is written to a stderr that is no terminal."""
    now, written = [0.0], io.StringIO()
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(_progress, "sys", SimpleNamespace(stderr=written))
    return now, written


def test_a_line_a_minute_at_most(clock) -> None:
    now, written = clock
    for _ in metered(range(1000), Meter("prepare", "scan", 1000)):
        now[0] += 1.0
    lines = written.getvalue().splitlines()
    assert lines[0] == "prepare: 60 of 1000 scans" and len(lines) == 1000 // 60


def test_nothing_where_nothing_is_to_be_shown_or_little_time_has_passed(clock) -> None:
    now, written = clock
    for _ in metered(range(10), Meter("prepare", "scan", 10)):
        now[0] += 1.0
    for _ in metered(range(1000), Meter("prepare", "scan", 1000, shown=False)):
        now[0] += 1.0
    assert written.getvalue() == ""


def test_a_reader_that_left_does_not_stop_the_work(clock, monkeypatch) -> None:
    now, _ = clock

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(_progress, "sys", SimpleNamespace(stderr=Broken()))
    done = []
    for item in metered(range(200), Meter("train", "epoch", 200)):
        now[0] += 1.0
        done.append(item)
    assert len(done) == 200


def test_a_bar_on_a_terminal(monkeypatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    monkeypatch.setattr(_progress, "sys", SimpleNamespace(stderr=shown))
    monkeypatch.setattr("sys.stderr", shown)  # where the bar is drawn
    assert list(metered("abc", Meter("train", "epoch", 3))) == ["a", "b", "c"]
    assert "3/3" in shown.getvalue()
