"""Ranks that each do a share of every batch give the weights of one process, one killed or not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv.errors import ArgumentError
from meshconv.nn.decnn import DECNN
from meshconv.train.config import TrainConfig
from meshconv.train.labels import loss, parts_of
from meshconv.train.loop import train
from meshconv.train.ranks import Ranks

# 11 images in batches of 4, 4 and 3: no two shares are alike, and classes weigh differently
_CONFIG = TrainConfig(epochs=4, batch_size=4, density_epochs=2, noise=0.3, learning_rate=1e-2)
_KINDS = ("shared", "sample", "task")
_SCRIPT = """
import os, signal, sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[1])
from test_ranks import _KINDS, learned
from meshconv.train.ranks import joined
folder = Path(sys.argv[2])
torch.set_num_threads(1)
with joined() as (ranks, device):
    assert ranks.count == 2 and device is None
    def die_once(progress):
        if ranks.number == 1 and progress.epoch == 3 and not (folder / "died").exists():
            (folder / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    for kind in _KINDS:
        found = learned(kind, checkpoint=folder / f"{kind}.ckpt", on_epoch=die_once)
        torch.save(found, folder / f"{kind}{ranks.number}.pt")
"""


def learned(kind: str, **options: object) -> dict[str, Tensor]:
    """Return the weights that training gives, in double precision."""
    labels: Tensor = torch.arange(11) * 7 % 5 % 3
    several = kind == "task"
    model = DECNN(
        2,
        {"one": 2, "two": 3} if several else 3,
        size=17,
        network_size=9,
        width=2,
        density=kind,
        direct=kind == "shared",
        dropout=0.3,
        seed=0 if Ranks.here().leads else 7,  # the first one's counts
    ).double()
    images = torch.randn(11, 2, 17, 17, generator=torch.Generator().manual_seed(5)).double()
    if several:
        tasks = {"one": labels % 2, "two": labels}
        held = (images[:4], {name: values[:4] for name, values in tasks.items()})
        train(model, images, tasks, config=_CONFIG, validation=held, **options)  # type: ignore[arg-type]
    else:
        train(model, images, labels, config=_CONFIG, **options)  # type: ignore[arg-type]
    return model.state_dict()


@pytest.mark.parametrize("one_dies", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_two_gloo_ranks_give_the_weights_of_one_process(tmp_path: Path, one_dies: bool) -> None:
    if not one_dies:
        (tmp_path / "died").touch()
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "--max-restarts", "1", str(script)]
    done = subprocess.run(
        [*command, str(Path(__file__).parent), str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert ("exitcode: -9" in done.stderr) == one_dies
    for kind in _KINDS:
        alone = learned(kind)
        for rank in (0, 1):
            found = torch.load(tmp_path / f"{kind}{rank}.pt")
            for name, value in alone.items():
                gap = (value.double() - found[name].double()).abs().max() if value.numel() else 0
                assert gap <= 1e-12, (kind, rank, name, gap)


def test_one_process_is_one_rank() -> None:
    alone = Ranks.here()
    assert alone == Ranks(0, 1) and alone.leads
    assert alone.share(7).rows == slice(0, 7) and alone.from_first(lambda: 3) == 3
    with pytest.raises(ArgumentError, match="a batch of 2 images has no share for each of 3 ranks"):
        Ranks(1, 3).check_batches(2)


def test_shares_are_all_rows_once_and_never_empty() -> None:
    for n in (5, 8, 33):
        for count in (1, 2, 5):
            rows = [np.arange(n)[Ranks(k, count).share(n).rows] for k in range(count)]
            assert np.concatenate(rows).tolist() == list(range(n)) and min(map(len, rows)) > 0


def test_the_losses_of_shares_sum_to_the_loss_of_the_batch() -> None:
    made = torch.Generator().manual_seed(0)
    logits = torch.randn(9, 4, generator=made, dtype=torch.float64)
    labels = {"": torch.randint(4, (9,), generator=made)}
    weights = {"": torch.tensor([0.3, 1.0, 2.5, 0.7])}
    whole = loss(logits, labels, weights, smoothing=0.1)
    total = torch.zeros((), dtype=torch.float64)
    for k in range(4):
        rows = Ranks(k, 4).share(9).rows
        own = {"": labels[""][rows]}
        part = parts_of(labels, weights, rows)
        total += loss(logits[rows], own, weights, smoothing=0.1, parts=part)
    assert abs(float(total - whole)) < 1e-12


def test_a_share_draws_dropout_as_the_whole_and_leaves_other_functions_alone() -> None:
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(3)
    whole = functional.dropout(x, 0.4)
    for k in range(2):
        torch.manual_seed(3)
        share = Ranks(k, 2).share(6)
        with Ranks(k, 2).as_one(share):
            part = nn.Dropout(0.4)(x[share.rows])
            assert torch.equal(functional.relu(part), part.clamp_min(0))
        assert torch.equal(part, whole[share.rows])
