"""Content-adaptive downsampling: one network trained at random budgets, read at each.

    python benchmarks/layers_budgets.py --quick      # 1 seed
    python benchmarks/layers_budgets.py              # 5 seeds: 4 CPU minutes (MESHCONV_DATA)

The task and the network are those of layers_adaptive (blood cells by pixel). Two networks a seed:
in every step a budget between .07 and 1 of the nodes is drawn, and spent at edges or at random
places; each is then tested at budgets of .1, .3 and 1 on its own kind of mask. Rows of the networks
trained wholly at one level are those that layers_adaptive recorded for the same seed. Writes
results/layers_budgets.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from typing import Any

from _common import RESULTS, environment, one_thread, write

one_thread()

import torch
from _learning import Row, differences, learn, over_seeds, text
from layers_adaptive import HIGH, LOW, at_random, blood_cells, by_edges, evaluate, network, train
from torch import Tensor

from meshconv.nn import make_adaptive

BUDGETS = (0.1, 0.3, 1.0)
MAKERS: dict[str, Callable[[float], Any]] = {"edges": by_edges, "random": at_random}


def at_a_random_budget(make: Callable[[float], Any], seed: int) -> Callable[..., Tensor]:
    """A mask whose budget is drawn anew in every call."""
    generator = torch.Generator().manual_seed(seed)

    def mask(image: Tensor, size: tuple[int, ...]) -> Tensor:
        cost = 0.07 + 0.93 * float(torch.rand((), generator=generator))
        found: Tensor = make(cost)(image, size)
        return found

    return mask


def runs_of(seed: int, options: Row, rows: list[Row]) -> Iterator[None]:
    """Append the rows of a seed to those there are; stops after each network to be written."""
    done = {row["nodes at"] for row in rows if row["seed"] == seed}
    data = [blood_cells(part, options[part], seed) for part in ("train", "test")]
    for name, make in MAKERS.items():
        if f"{name}, budget 1" in done:
            continue
        torch.manual_seed(seed)
        model = make_adaptive(network(), "1", mask=at_a_random_budget(make, seed))
        torch.manual_seed(seed)
        train(model, None, *data[0], options["epochs"])
        for budget in BUDGETS:
            torch.manual_seed(seed)
            model.mask = make(budget)
            row = {"seed": seed, "nodes at": f"{name}, budget {budget:g}", "task": "BCCD"}
            rows.append(row | evaluate(model, None, *data[1]))
            print(text(rows[-1]), flush=True)
        yield


def of_one_level() -> list[Row]:
    """Rows of the networks that layers_adaptive trained at one level."""
    record = json.loads((RESULTS / "layers_adaptive.json").read_text())
    runs = [row for row in record["runs"] if row["mask"] in (LOW, HIGH)]
    return [row | {"nodes at": row["mask"], "task": "BCCD"} for row in runs]


def summarised(runs: list[Row]) -> list[Row]:
    """Means over seeds, then differences within seeds."""
    seeds = {row["seed"] for row in runs}
    rows = runs + [row for row in of_one_level() if row["seed"] in seeds]
    edges, chance = ("edges, budget 0.3", "random, budget 0.3")
    pairs = [(edges, chance), ("edges, budget 0.1", "random, budget 0.1")]
    pairs += [(edges, "edges, budget 1"), (edges, HIGH), (HIGH, LOW), (edges, LOW)]
    gaps = [r for pair in pairs for r in differences(rows, "nodes at", pair, "task", ["mean_iou"])]
    return over_seeds(rows, ["nodes at"], ["nodes", "mean_iou", "iou_platelet"]) + gaps


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--resume", action="store_true", help="keep the rows there are")
    parser.add_argument("--seeds", type=int, default=None, help="5, or 1 with --quick")
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / "layers_budgets.json"
    result: Row = json.loads(path.read_text()) if path.is_file() else {}
    result |= {"environment": environment("torch", "numpy")}
    options = {"seeds": args.seeds or (1 if args.quick else 5), "train": 60, "test": 30}
    options["epochs"] = args.epochs
    learn("layers_budgets", result, options, runs_of, summarised, resume=args.resume)
    print(write("layers_budgets", result))


if __name__ == "__main__":
    main()
