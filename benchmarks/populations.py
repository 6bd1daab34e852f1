"""Real populations by their measures: nodules, spines, adrenal glands; cross-validated by subject.

    MESHCONV_DATA=../shared/data python benchmarks/populations.py        # 10 minutes on one core

Nodules and spines: five folds, classes in proportion, no patient (dendrite) on both sides, means
and half-widths over seeds, each another split. Adrenal glands: the official split. What the AUC of
five folds of training and validation glands together chooses is a row of its own (``chosen``), and
so is its cut-off, where these folds are most often right; it learned from the training glands
alone, as all rows. The penalty of
every logistic or ridge regression is chosen on inner folds by subject; trees have one setting for
all populations. ``both``: the mean of these two. ``default``: what the classifier has beside its
network, logistic regression and a kernel on families of measures. ``ratings``: the readers' mean
rating by support vectors on such a kernel, learned from all nodules of the training patients, those
between the classes too; only its order counts, so there is no accuracy. Measures and these models
were chosen on other splits of the same nodules (seeds 100 to 104).
``plausible``: without nodules of which a reader says what cannot be together (see
`meshconv.datasets.nodules.contradictory`: smooth balls called spiculated, on a scale taken the
wrong way round; this takes no look at shapes, but leaves out what is hard). ``axial``: with
measures of sections across z. ``free``: without measures that have a unit.
Networks are run by ``meshconv benchmark`` and raw_scans.py. Writes results/populations.json; rows
of sets that are not run stay in it, and it says which.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

from _common import environment, one_thread, print_table, rows_in, write

one_thread()

import numpy as np
from scipy.special import softmax

import meshconv as mc
from meshconv.benchmark.measured import boosted_trees, measured
from meshconv.benchmark.seeds import over_seeds
from meshconv.datasets.files import find_data
from meshconv.datasets.nodules import FILE, TARGETS, mean_ratings
from meshconv.datasets.packed import read_packed
from meshconv.datasets.scan import Population, Scan
from meshconv.stats.folds import grouped_folds
from meshconv.stats.measure_families import families
from meshconv.stats.measure_logistic import LogisticModel
from meshconv.stats.measure_machine import KernelMachine
from meshconv.stats.measure_model import MeasureModel
from meshconv.stats.metrics import evaluate, roc_auc
from meshconv.stats.shape_measures import MEASURES

Z = (0.0, 0.0, 1.0)


class EveryNodule(Population):
    """All 734, whatever their ratings."""

    def __init__(self) -> None:
        names = ("ratings", "rating_names", "patient", "diameter_mm")
        self.file = read_packed(find_data(FILE), names)
        self.subjects = tuple(map(str, self.file.more["patient"].tolist()))

    def __len__(self) -> int:
        return len(self.file)

    def scan(self, k: int) -> Scan:
        """Return nodule k."""
        return Scan(self.file.surface(k), 0, f"nodule_{k}", self.subjects[k])


def logistic(x: Any, y: Any, whom: Any, family: Any, seed: int) -> Any:
    """Logistic regression of normal scores."""
    model = LogisticModel.fit(x, y, subjects=whom, balanced=False, seed=seed)
    return lambda new: softmax(model.logits(new), axis=1)


def default(x: Any, y: Any, whom: Any, family: Any, seed: int) -> Any:
    """Logistic regression and a kernel."""
    model = MeasureModel.fit(x, y, subjects=whom, balanced=False, seed=seed, family=family)
    return lambda new: softmax(model.logits(new), axis=1)


def trees(x: Any, y: Any, whom: Any, family: Any, seed: int) -> Any:
    """Boosted trees."""
    return boosted_trees(seed).fit(x, y).predict_proba


LEARNERS: dict[str, Any] = {"logistic": logistic, "boosted trees": trees, "default": default}
BOTH = ("logistic", "boosted trees")


def with_both(shares: dict[str, Any]) -> dict[str, Any]:
    """Return probabilities by learner, and the mean of two of these."""
    if not {*BOTH} <= shares.keys():
        return shares
    return {**shares, "both": (shares[BOTH[0]] + shares[BOTH[1]]) / 2}


def rated(x: Any, rating: Any, rows: Any, held: Any, family: Any) -> Any:
    """The mean rating by support vectors."""
    machine = KernelMachine.of_ratings(x[rows], rating[rows, None], family=family)
    return machine(x[held])[:, 0]


def columns(names: list[str], kind: str) -> Any:
    """Which measures."""
    section = np.array([name.startswith("section_") for name in names])
    free = np.array([MEASURES[name].scale_free for name in names])
    return {"plain": ~section, "axial": section | ~section, "axial, free": free}[kind]


def crossed(title: str, x: Any, y: Any, whom: list[str], names: list[str], args: Any) -> Any:
    """Yield the rows of a population without a split of its own."""
    for kind in args.measures:
        which = columns(names, kind)
        mine, family = x[:, which], families(names)[which]
        for seed in range(args.seeds):
            shares: dict[str, Any] = {name: np.zeros((len(y), y.max() + 1)) for name in args.models}
            seen: dict[str, list[float]] = {name: [] for name in shares}
            for rows, held in grouped_folds(y, whom, seed=seed):
                own = [whom[int(k)] for k in rows]
                for name in args.models:
                    answer = LEARNERS[name](mine[rows], y[rows], own, family, seed)
                    shares[name][held] = answer(mine[held])
                    seen[name].append((answer(mine[rows]).argmax(axis=1) == y[rows]).mean())
            for name, p in with_both(shares).items():
                found = evaluate(y, p, subjects=whom, n_bootstrap=0)
                yield {
                    "population": title,
                    "measures": kind,
                    "model": name,
                    "seed": seed,
                    "accuracy": found.accuracy,
                    "auc": found.auc,
                    "training accuracy": float(np.mean(seen[name])) if name in seen else None,
                }


def by_ratings(title: str, x: Any, some: Any, who: Any, args: Any) -> Any:
    """Yield the rows of nodules ranked by the rating that is predicted of them."""
    whom, names, rating = who
    kept, y = some.indices, some.labels
    for kind in args.measures:
        which = columns(names, kind)
        mine, family = x[:, which], families(names)[which]
        for seed in range(args.seeds):
            score = np.zeros(len(kept))
            for _, held in grouped_folds(y, some.subjects, seed=seed):
                tested = {whom[int(k)] for k in kept[held]}
                rows = np.array([k for k, one in enumerate(whom) if one not in tested])
                score[held] = rated(mine, rating, rows, kept[held], family)
            row = {"population": title, "measures": kind, "model": "ratings", "seed": seed}
            yield {**row, "auc": roc_auc(y == 1, score)}


def nodules(cache: Path, args: Any) -> Any:
    """Yield the rows of the nodules."""
    every = EveryNodule()
    names, x, sound = measured(every, cache / "every_nodule.npz", axis=Z)
    assert sound == list(range(len(every)))
    means = mean_ratings(every.file.more["ratings"])
    order = list(map(str, every.file.more["rating_names"]))
    cases: dict[str, tuple[str, dict[str, Any]]] = {target: (target, {}) for target in TARGETS}
    cases["malignancy, 8 to 20 mm"] = "malignancy", {"diameters": (8.0, 20.0)}
    for target in ("spiculation", "lobulation"):
        cases[f"{target}, plausible"] = target, {"plausible": True}
    for name, (target, options) in cases.items():
        some, title = mc.LungNodules(target, **options), f"nodules, {name}"
        whom, kept = list(some.subjects), some.indices
        yield from crossed(title, x[kept], some.labels, whom, list(names), args)
        who = every.subjects, list(names), means[:, order.index(target)]
        yield from by_ratings(title, x, some, who, args)


def spines(cache: Path, args: Any) -> Any:
    """Yield the rows of the spines."""
    some = mc.DendriticSpines()
    names, x, sound = measured(some, cache / "spines.npz", axis=Z)
    whom = [some.subjects[k] for k in sound]
    yield from crossed("spines", x, some.labels[sound], whom, list(names), args)


def adrenal(cache: Path, args: Any) -> Any:
    """Yield the rows of the adrenal glands."""
    parts = {}
    for split in ("train", "val", "test"):
        glands = mc.AdrenalSurfaces(split, cache=cache / "surfaces")
        names, x, sound = measured(glands, cache / f"adrenal_{split}.npz", axis=Z)
        parts[split] = x, glands.labels[sound]
    (x, y), (new, truth) = parts["train"], parts["test"]
    known, whose = (np.concatenate(pair) for pair in zip(parts["train"], parts["val"], strict=True))
    found: list[dict[str, Any]] = []
    for kind in args.measures:
        which = columns(list(names), kind)
        family = families(list(names))[which]
        held = with_both(answers_of_folds(known[:, which], whose, family, args))
        shares = {
            name: LEARNERS[name](x[:, which], y, None, family, 0)(new[:, which])
            for name in args.models
        }
        for name, p in with_both(shares).items():
            judged, said = evaluate(truth, p), held[name][:, 1]
            row = {"population": "adrenal glands", "measures": kind, "model": name, "seed": 0}
            row |= {"accuracy": judged.accuracy, "auc": judged.auc, "n": len(truth)}
            row |= {"auc of folds": roc_auc(whose == 1, said), "cut-off": cut_off(said, whose)}
            beyond = (p[:, 1] > row["cut-off"]) == truth
            found.append({**row, "accuracy at the cut-off": float(beyond.mean())})
    yield from found
    best = max(found, key=lambda row: row["auc of folds"])
    print("chosen by folds of training and validation glands:", best["measures"], best["model"])
    own = {"population": "adrenal glands, chosen", "chosen": best["measures"]}
    own |= {"accuracy": best["accuracy at the cut-off"], "accuracy at one half": best["accuracy"]}
    yield {**best, **own}


def cut_off(said: Any, y: Any) -> float:
    """Return the probability beyond which the second class is most often right: the middle of the
    best ones.
    """
    tried = np.linspace(0.3, 0.7, 81)
    right = np.array([((said > at) == y).mean() for at in tried])
    return float(tried[right == right.max()].mean())


def answers_of_folds(x: Any, y: Any, family: Any, args: Any) -> dict[str, Any]:
    """Return what each learner says of scans held out in five folds."""
    said = {name: np.zeros((len(y), y.max() + 1)) for name in args.models}
    for rows, out in grouped_folds(y, None, seed=0):
        for name in args.models:
            said[name][out] = LEARNERS[name](x[rows], y[rows], None, family, 0)(x[out])
    return said


def main() -> None:
    """Measure, learn, print, write."""
    parser = argparse.ArgumentParser(description="Real populations by their measures.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", default=["nodules", "spines", "adrenal"])
    parser.add_argument("--measures", nargs="+", default=["axial", "axial, free"])
    parser.add_argument("--models", nargs="+", default=list(LEARNERS), choices=list(LEARNERS))
    parser.add_argument("--cache", type=Path, default=Path("out/populations"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    start, rows = time.process_time(), list[dict[str, Any]]()
    makers = {"nodules": nodules, "spines": spines, "adrenal": adrenal}
    for name in args.sets:
        for row in makers[name](args.cache, args):
            rows.append(row)
            print(row, flush=True)
    before = rows_in("populations")
    new = {row["population"] for row in rows}
    rows = [row for row in before if row["population"] not in new] + rows
    by = ("population", "measures", "model")
    means = over_seeds(rows, by, ("accuracy", "auc", "training accuracy"))
    print_table(means)
    record = {"environment": environment("numpy", "scikit-learn"), "seeds": args.seeds}
    record["CPU s"] = time.process_time() - start
    record["run in one go"] = sorted(new)
    record["kept from earlier runs"] = sorted({row["population"] for row in rows} - new)
    write("populations", {**record, "means": means, "rows": rows})


if __name__ == "__main__":
    main()
