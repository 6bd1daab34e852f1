"""Does a density that goes on learning from its first map gain? Mechanisms x effects x populations.

    python benchmarks/going_on.py                        # some 35 minutes on one core
    python benchmarks/going_on.py --effects sign --seeds 61 --mechanisms "steeper, if it pays"

Faces as in kinds.py: 400 to learn from, 200 others to test. Every mechanism starts from the first
map (the evidence of all scans that are learned from) and sees training scans alone. What it makes
of the map is given to a network of its own; all networks of an effect are trained side by side, in
the order and with the noise of one training. Beside each stand its direct head and the networks of
the uniform density, by weights that were learned from scans held out, of the first map, for all
alike. The true site stands beside for comparison. Each finished effect is in results/going_on.json
at once: break off, call again, and the rest is done.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _common import environment, one_thread, print_table, rows_in, write

one_thread()

import numpy as np
import torch
from _going_on import (
    FIRST,
    UNIFORM,
    Parts,
    Start,
    by_leave_one_out,
    evidence_of_errors,
    of_densities,
    of_other_scans,
    out_of_fold,
    saliency_of_unseen,
    steeper,
)
from torch import Tensor

from meshconv._check import IntArray
from meshconv.benchmark.effects import KINDS
from meshconv.benchmark.tasks import load_task
from meshconv.datasets.morphable import EFFECTS
from meshconv.nn.equalize import bounded_density
from meshconv.resample.resampler import Resampler
from meshconv.stats.metrics import roc_auc
from meshconv.train.stacking import Stack

GRADIENT, TRUE = "by gradient", "the true site"
ONE_ROUND, TWO_ROUNDS = "evidence of errors", "evidence of errors, two rounds"


def one_round(start: Start) -> Tensor:
    """Evidence of out-of-fold errors beside the first map."""
    return evidence_of_errors(start, start.first, start.unseen)


def two_rounds(start: Start) -> Tensor:
    """The same of the errors that are left then."""
    density = one_round(start)
    if torch.equal(density, start.first):
        return density
    return evidence_of_errors(start, density, out_of_fold(start, density))


def by_gradient(start: Start) -> Tensor:
    """The option of the package: `density_epochs`."""
    learned = start.learn({GRADIENT: start.first}, density_epochs=10, epochs=20)
    return learned.network.networks[GRADIENT].density.logits.detach().clone()


def true_site(start: Start) -> Tensor:
    """What nobody has."""
    assert start.task.template is not None
    frame = Resampler(start.task.template.parameterization, start.task.size)
    return start.logits(frame.to_image({"site": start.task.truth}).filled(0.0).channels[0])


MECHANISMS: dict[str, Callable[[Start], Tensor]] = {
    FIRST: lambda start: start.first,
    GRADIENT: by_gradient,
    "by gradient, of other scans": of_other_scans,
    "by leave-one-out, closed form": by_leave_one_out,
    ONE_ROUND: one_round,
    TWO_ROUNDS: two_rounds,
    "saliency of scans held out": saliency_of_unseen,
    "steeper, if it pays": steeper,
    TRUE: true_site,
}


def rows(
    start: Start, chosen: list[str], which: dict[str, Any], initialisations: int
) -> list[dict[str, Any]]:
    """Return one row a mechanism; those that leave the first map as it is share its networks."""
    start.timed(FIRST, lambda: start.first)
    stack = start.unseen.stack(FIRST, start.labels)
    densities = {name: start.timed(name, lambda n=name: MECHANISMS[n](start)) for name in chosen}
    moved = {name: one for name, one in densities.items() if not torch.equal(one, start.first)}
    different = {FIRST: start.first, **moved}
    tests = start.task.test
    trained: list[Parts] = []
    begun = time.process_time()
    for k in range(initialisations):
        again = Start(start.task, start.seed + 1000 * k)
        trained.append(again.learn({UNIFORM: None, **different}).parts(tests.images))
    each = (time.process_time() - begun) / (1 + len(different)) / initialisations
    out = []
    for name, density in densities.items():
        own = name if name in different else FIRST
        figures = [judged(tests.labels, parts, own, stack) for parts in trained]
        site = start.task.judge(bounded_density(density, size=start.task.size)[0, 0].numpy())
        out.append(
            which
            | {"mechanism": name}
            | {key: float(np.mean([one[key] for one in figures])) for key in figures[0]}
            | {
                "each": figures,
                "AUC, site": None if site is None else site.auc,
                "changed": float((density - start.first).abs().mean()),
                "CPU s of it": start.seconds[name],
                "CPU s of folds": start.seconds["folds"],
                "CPU s of a network": each,
            }
        )
    return out


def judged(index: IntArray, parts: Parts, density: str, stack: Stack) -> dict[str, float]:
    """Return how well test faces are told apart under a density."""
    whole = stack(np.stack([parts[part] for part in of_densities((density, UNIFORM))]))
    alone = parts[density]
    return {
        "accuracy": float((whole.argmax(axis=1) == index).mean()),
        "AUC": roc_auc(index == 1, whole[:, 1] - whole[:, 0]),
        "AUC, its network": roc_auc(index == 1, alone[:, 1] - alone[:, 0]),
    }


def main() -> None:
    """Run what is missing, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--effects", nargs="+", default=list(KINDS), choices=(*KINDS, *EFFECTS),
        help="at 4 mm, shifts of the mean at 2.5 mm",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, nargs="+", default=[3], help="populations")
    parser.add_argument("--mechanisms", nargs="+", default=list(MECHANISMS), choices=MECHANISMS)
    parser.add_argument("--initialisations", type=int, default=1, help="networks of each density")
    parser.add_argument("--cache", type=Path, default=Path("out/faces"))
    parser.add_argument("--name", default="going_on")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    made = rows_in(args.name)
    for population in args.seeds:
        for effect in args.effects:
            which = {"effect": effect, "population": population}
            if any(which.items() <= one.items() for one in made):
                continue
            task = load_task(
                f"kinds:{effect}:{4 if effect in KINDS else 2.5:g}:{population}", cache=args.cache
            )
            found = rows(Start(task, population), args.mechanisms, which, args.initialisations)
            print_table([{k: v for k, v in one.items() if k != "each"} for one in found])
            made += found
            write(args.name, {"environment": environment("numpy", "torch"), "rows": made})


if __name__ == "__main__":
    main()
