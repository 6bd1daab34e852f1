"""Training that is killed at any moment goes on to the very weights of the unbroken run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from test_loop import _data, _model

from meshconv.train.config import TrainConfig
from meshconv.train.loop import train

_EPOCHS = 60
_CONFIG = TrainConfig(epochs=_EPOCHS, batch_size=5, noise=0.3, density_epochs=20)
_CHILD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
sys.path.insert(0, {folder!r})
from test_killed_training import _CONFIG, _data, _model
from meshconv.train.loop import train
train(_model(), *_data(), config=_CONFIG, checkpoint={path!r})
"""


def _killed(path: Path, sign: signal.Signals, delay: float) -> bool:
    """Train in a process that is sent a signal some time after its first epoch; say whether it
    died of it.
    """
    code = _CHILD.format(folder=os.path.dirname(__file__), path=str(path))
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while not path.exists() and time.monotonic() < deadline and child.poll() is None:
            time.sleep(0.002)
        time.sleep(delay)
        child.send_signal(sign)
    finally:
        code = child.wait()
    return code != 0


def _resumed_equals_unbroken(folder: Path, moments: int, seed: int) -> int:
    torch.set_num_threads(1)
    unbroken = _model()
    start = time.monotonic()
    train(unbroken, *_data(), config=_CONFIG)
    lasts = time.monotonic() - start
    rng, killed = np.random.default_rng(seed), 0
    for k in range(moments):
        sign = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[k % 3]
        path = folder / f"run{k}.npz"
        killed += _killed(path, sign, rng.uniform(0, 0.8 * lasts))
        left = [one.name for one in folder.iterdir() if one.name.startswith(".")]
        assert sign == signal.SIGKILL or not left, f"{sign!r} left {left}"
        model = _model()
        train(model, *_data(), config=_CONFIG, checkpoint=path)
        for name, value in unbroken.state_dict().items():
            assert torch.equal(value, model.state_dict()[name]), (sign, name)
    return killed


def test_training_killed_three_times_ends_as_the_unbroken_run(tmp_path: Path) -> None:
    assert _resumed_equals_unbroken(tmp_path, 3, seed=1) >= 1


@pytest.mark.slow
def test_training_killed_at_sixty_moments_ends_as_the_unbroken_run(tmp_path: Path) -> None:
    assert _resumed_equals_unbroken(tmp_path, 60, seed=0) >= 40
