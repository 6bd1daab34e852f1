"""Write the tables of the README and of the site from the committed results.

    python benchmarks/readme.py            # rewrites what stands between the markers in the pages
    python benchmarks/readme.py --check    # exit 1 if a page says anything else than the results

Each table is made of one JSON file of benchmarks/results, which the command printed below the table
wrote.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _face_tables as faces
import _kind_tables as kinds
import _layer_tables as layers
import _population_tables as populations

from meshconv.benchmark.page import over_populations

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results"


OTHERS = (
    'python benchmarks/classify.py --effects cleft_like_L --models "points of the mesh"'
    ' "saliency sampler" "ResNet-18" "edges of the mesh" --seeds 1 --name classify_others'
)
DENSITIES = (
    "meshconv benchmark ventricles finches --models 'DECNN 33' 'plain 33' --out populations.json"
)
SHIFTS = (
    "python benchmarks/kinds.py --seeds 3 --millimetres 2.5 --effects cleft_like_L saddle_nose"
    " micrognathia alar_widening hemimandible_R malar_flattening metopic_ridge hypertelorism"
    ' --models "DECNN 33" "plain 33, tuned" --name means'
)


def read(name: str) -> Any:
    """Return one file of results."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def table(head: list[str], rows: list[list[str]], command: str, minutes: float = 0.0) -> str:
    """Return a Markdown table and the command that reproduces it, with its CPU minutes of training
    if given.
    """
    lines = [head, ["---"] * len(head), *rows]
    took = f" ({minutes:.0f} CPU minutes of training)" if minutes else ""
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + f"\n\n`{command}`{took}"


def minutes(*names: str) -> float:
    """CPU minutes of training in some results."""
    return sum(row["cpu_s"] for name in names for row in read(name)["rows"]) / 60


def conformal() -> str:
    """Angle error, folds and time of disks and spheres."""
    found, rows = read("maps"), []
    for row in found["disk"] + found["sphere"]:
        if row["method"] == "meshconv":
            ours = row
            error = f"{ours['angle']:.3f}, {ours['folds']}"
            rows.append([ours["mesh"].removeprefix("choi_"), f"{ours['vertices']:,}", error])
        elif row["method"] in {"igl lscm", "igl harmonic", "lapy"}:
            folds = row["folds"]
            rows[-1].append(f"{row['angle']:.3f}, {folds}; {row['ratio']:.2f}")
    rows = [row + ["-"] * (5 - len(row)) for row in rows]
    for row in rows[-len([r for r in found["sphere"] if r["method"] == "meshconv"]) :]:
        row[3:5] = ["-", row[3]] if row[4] == "-" and len(row) == 5 else row[3:5]
    head = [
        "surface",
        "vertices",
        "meshconv",
        "libigl LSCM; time ratio",
        "libigl harmonic, LaPy (sphere); time ratio",
    ]
    return table(head, rows, "python benchmarks/maps.py")


def density() -> str:
    """Misplaced mass beside the published codes."""
    rows = []
    for row in read("density")["rows"]:
        published = row["published"]
        if published is None and row["density"] != "area":
            continue
        mass = (
            "no convergence"
            if published and published[0] is None
            else f"{published[0]}"
            if published
            else "-"
        )
        peer = f"{mass}, {published[1]} folds" if published else "-"
        name = f"{row['surface'].removeprefix('choi_')}, {row['domain']}, {row['density']}"
        rows.append(
            [name, f"{row['misplaced']:.4f}, {row['folds']} folds", peer, f"{row['cpu_s']:.2f}"]
        )
    return table(
        ["surface, domain, density", "meshconv: misplaced mass", "published", "CPU s"],
        rows,
        "python benchmarks/density.py",
    )


def registration() -> str:
    """Error of the correspondence found through the frame."""
    rows = [
        [
            row["landmarks"],
            f"{row['median mm']:.2f} mm",
            f"{row['p95 mm']:.2f} mm",
            str(row["folds"]),
            f"{row['CPU s a scan']:.2f}",
        ]
        for row in read("registration")["rows"]
    ]
    return table(
        ["landmarks", "median", "95 %", "folds", "CPU s a scan"],
        rows,
        "python benchmarks/registration.py",
    )


def repair() -> str:
    """Closest points, check, repair, wrapping."""
    rows = [
        [
            row["what"],
            f"{row['median_s']:.2f}",
            f"{row['to_peer']:.2f}" if "to_peer" in row else "-",
            row["quality"] or "-",
        ]
        for row in read("repair")["rows"]
    ]
    return table(["task", "CPU s", "ratio", "quality"], rows, "python benchmarks/repair.py")


def core() -> str:
    """Assembly, solves and import."""
    found = read("operators")
    rows = []
    for row in found["rows"]:
        if row["who"].startswith("meshconv") and row["ratio"] is not None:
            rows.append(
                [
                    row["task"],
                    row["mesh"],
                    row["who"],
                    f"{row['median_s']:.3f}",
                    f"{row['ratio']:.2f}",
                    row["quality"],
                ]
            )
    return table(
        ["task", "mesh", "who", "CPU s", "ratio to peer", "quality"],
        rows,
        "python benchmarks/operators.py",
    )


def files() -> str:
    """Reading files."""
    rows = [
        [
            row["file"],
            f"{row['meshconv s']:.3f}",
            f"{row['ratio to trimesh']:.2f}",
            f"{row['ratio to process=False']:.2f}",
        ]
        for row in read("io")["rows"]
    ]
    head = ["200,704 vertices", "CPU s", "ratio to trimesh", "to trimesh, `process=False`"]
    return table(head, rows, "python benchmarks/io.py")


def images(*names: str) -> str:
    """DECNN and plain networks on images."""
    lines, told = [], []
    for name in names:
        found = read(name)
        rows = found["rows"]
        for task, model in dict.fromkeys((row["task"], row["model"]) for row in rows):
            mine = [row for row in rows if (row["task"], row["model"]) == (task, model)]
            lines.append([task, model, str(mine[0]["parameters"]), *_on_images(mine, model)])
        tasks, models = (dict.fromkeys(row[key] for row in rows) for key in ("task", "model"))
        seeds = len({row["seed"] for row in rows})
        said = " ".join(f'"{model}"' for model in models)
        told.append(
            f"python benchmarks/classify.py --sets {' '.join(tasks)} --models {said} --seeds"
            f" {seeds} --scans {found['settings']['scans']} --epochs {found['settings']['epochs']}"
            f" --name {name}"
        )
    head = ["data set", "network, grid / width", "parameters", "accuracy", "AUC"]
    head += ["density on the object / by area", "CPU s"]
    return table(head, lines, "`, `".join(told), minutes(*names))


def _on_images(mine: list[dict[str, Any]], model: str) -> list[str]:
    """Return accuracy, AUC, room on the object and time of one network's rows."""
    boxes = [row["mass_in_box"] / row["area_of_box"] for row in mine if "mass_in_box" in row]
    return [
        faces.spread(faces.values(mine, model)),
        faces.shown(faces.mean(faces.values(mine, model, "auc"))),
        faces.shown(faces.mean(boxes), "{:.2f}"),
        f"{faces.mean([row['cpu_s'] for row in mine]):.0f}",
    ]


def adrenal() -> str:
    """Adrenal glands by their surfaces alone, means over seeds."""
    lines = [
        [row["method"], *(f"{row[key]:.3f}" for key in ("accuracy", "balanced_accuracy", "auc"))]
        for row in read("adrenal")["means"]
    ]
    return table(["method", "accuracy", "balanced", "AUC"], lines, "python benchmarks/adrenal.py")


def headline() -> str:
    """Return five of the best figures and five of the worst, of all tables."""
    maps, solves = read("maps"), read("operators")["rows"]
    disk = {(row["mesh"], row["method"]): row for row in maps["disk"]}
    lscm = disk["bump200k", "igl lscm"]
    solve = next(
        row
        for row in solves
        if (row["task"], row["mesh"], row["who"]) == ("factor + 2 solves", "bump200k", "meshconv")
    )
    steep = next(r for r in read("density")["rows"] if r["published"] and r["density"] == "synth2")
    alike = faces.by_task(over_populations(read("kinds")["rows"]))
    marks = {row["landmarks"]: row for row in read("registration")["rows"]}
    ply = next(row for row in read("io")["rows"] if row["file"].startswith("STL"))
    organ = {row["method"]: row for row in read("adrenal")["means"]}
    cells, rival = read("classify_platelets")["rows"], "plain 33/16, pooled, tuned"
    platelets = {m: faces.mean(faces.values(cells, m)) for m in ("DECNN 33, tuned", rival)}
    angle = disk["choi_human_face", "meshconv"], disk["choi_human_face", "igl lscm"]
    rows = [
        [
            "conformal map of 199,809 vertices: time",
            f"{lscm['ratio']:.2f}",
            "1 (libigl, LSCM)",
            "python benchmarks/maps.py",
        ],
        [
            "factorization and 2 solves on it: time",
            f"{solve['ratio']:.2f}",
            "1 (SciPy, SuperLU)",
            "python benchmarks/operators.py",
        ],
        [
            "density map of a face: misplaced mass, folds",
            f"{steep['misplaced']:.4f}, {steep['folds']}",
            f"{steep['published'][0]}, {steep['published'][1]} (published code)",
            "python benchmarks/density.py",
        ],
        [
            "faces whose groups are alike in the mean: error",
            f"{kinds.error(alike, 'DECNN 33'):.3f}",
            f"{kinds.error(alike, 'PCA 99.9 % + RBF-SVM'):.3f} (PCA + RBF-SVM)",
            "python benchmarks/kinds.py",
        ],
        [
            "the site found there: ROC-AUC (least)",
            kinds.site(alike, "DECNN 33", "density"),
            f"{kinds.site(alike, 'plain 33', 'gradcam')} (Grad-CAM, plain)",
            "python benchmarks/kinds.py",
        ],
        [
            "*angle error of a face, degrees*",
            f"{angle[0]['angle']:.3f}",
            f"**{angle[1]['angle']:.3f}** (libigl, LSCM)",
            "python benchmarks/maps.py",
        ],
        [
            "*corresponding points without landmarks, 95 %*",
            f"{marks['none']['p95 mm']:.2f} mm",
            f"**{marks['68 landmarks']['p95 mm']:.2f} mm** (with 68)",
            "python benchmarks/registration.py",
        ],
        [
            "*reading binary STL: time*",
            f"{ply['ratio to process=False']:.2f}",
            "**1** (trimesh, which does not weld it then)",
            "python benchmarks/io.py",
        ],
        [
            "*diseased adrenal glands: AUC*",
            f"{organ['DECNN, uniform']['auc']:.3f}",
            f"**{organ['shape measures + logistic']['auc']:.3f}** (thirteen shape measures)",
            "python benchmarks/adrenal.py",
        ],
        [
            "*is there a platelet in this field: accuracy*",
            f"{platelets['DECNN 33, tuned']:.3f}",
            f"**{platelets[rival]:.3f}** (plain CNN of as many parameters)",
            "python benchmarks/classify.py",
        ],
    ]
    head = ["the best, and in *italics* the worst", "meshconv", "beside it", "printed by"]
    lines = [head, ["---"] * 4, *([*row[:3], f"`{row[3]}`"] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def installed() -> str:
    """Where the wheel was installed and its first example run."""
    rows = [
        [row["python"], row["extra"], row["versions"], row["result"]]
        for row in sorted(read("wheel")["rows"], key=lambda row: (row["python"], row["extra"]))
    ]
    return table(["Python", "extra", "versions", "result"], rows, "python benchmarks/wheel.py")


TABLES: dict[str, Callable[[], str]] = {
    "wheel": installed,
    "headline": headline,
    "conformal": conformal,
    "density": density,
    "registration": registration,
    "classify": lambda: table(
        *faces.summary(read("classify")["rows"], read("classify_65")["rows"]),
        minutes("classify", "classify_65"),
    ),
    "sites": lambda: table(*faces.sites(read("classify")["rows"], read("classify_65")["rows"])),
    "effects": lambda: table(*faces.each(read("classify")["rows"])),
    "ablation": lambda: table(*faces.ablation(read("classify")["rows"])),
    "variants": lambda: table(
        *faces.variants(read("classify_variants")["rows"]), minutes("classify_variants")
    ),
    "kinds": lambda: table(
        *kinds.accuracies(read("kinds")["rows"], "python benchmarks/kinds.py"), minutes("kinds")
    ),
    "kinds sites": lambda: table(*kinds.sites(read("kinds")["rows"], "python benchmarks/kinds.py")),
    "shifts": lambda: table(*kinds.shifts(read("means")["rows"], SHIFTS), minutes("means")),
    "verdicts": lambda: table(
        *kinds.verdicts(read("verdicts")["rows"], "python benchmarks/verdicts.py")
    ),
    "meshings": lambda: table(
        *kinds.meshings(read("meshings")["rows"], "python benchmarks/meshings.py")
    ),
    "going on": lambda: table(
        *kinds.going_on(
            read("going_on")["rows"],
            "python benchmarks/going_on.py --effects sign micrognathia",
        )
    ),
    "others": lambda: table(
        *faces.others(read("classify_others")["rows"], OTHERS), minutes("classify_others")
    ),
    "images": lambda: images("classify_platelets", "classify_cluttered"),
    "images aligned": lambda: images("classify_blood", "classify_xrays"),
    "images before": lambda: images("classify_images", "classify_cells"),
    "adrenal": adrenal,
    "equivariance": lambda: table(*layers.equivariance(read("layers_scale"))),
    "whole networks": lambda: table(*layers.networks(read("layers_scale"))),
    "sizes": lambda: table(*layers.sizes(read("layers_sizes"))),
    "adaptive": lambda: table(*layers.adaptive(read("layers_adaptive_scars"), "scars")),
    "slices": lambda: table(*layers.adaptive(read("layers_adaptive_hippocampi"), "hippocampi")),
    "adaptive time": lambda: table(*layers.adaptive_time(read("layers_adaptive"))),
    "stride": lambda: table(*layers.stride(read("layers_stride"))),
    "detection": lambda: table(*layers.detection(read("layers_detect"))),
    "cells by pixel": lambda: table(
        *layers.segmentation(read("layers_segment_cells"), "cells", "Platelets")
    ),
    "attention": lambda: table(
        *layers.attention(*(read(f"layers_ppcr{part}") for part in ("", "_faces", "_pneumonia")))
    ),
    "few images": lambda: table(*layers.few(read("layers_ppcr_few"))),
    "measures of populations": lambda: table(*populations.measured(read("populations"))),
    "raw scans": lambda: table(*populations.raw(read("raw_scans"))),
    "populations": lambda: table(*populations.tasks(read("population_tasks"))),
    "densities of populations": lambda: table(
        *populations.tasks(read("population_density"), DENSITIES)
    ),
    "frames": lambda: table(*populations.frames(read("frames"))),
    "deletion": lambda: table(*populations.deletion(read("deletion"))),
    "ventricles": lambda: table(*populations.ventricles(read("ventricles"))),
    "rivals": lambda: table(*populations.rivals(read("registration"))),
    "where": lambda: table(*populations.where(read("where"))),
    "repair": repair,
    "core": core,
    "files": files,
}


def pages() -> list[Path]:
    """Return every page that may have a table."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *_results_pages()]


def _results_pages() -> list[Path]:
    return sorted((ROOT / "docs" / "results").glob("*.md"))


def rewritten(text: str) -> tuple[str, set[str]]:
    """Return a page with every table made anew, and the names of its tables."""
    found = set(re.findall("^<!-- table: (.*) -->$", text, re.MULTILINE))
    for name in found:
        if name not in TABLES:
            raise SystemExit(f"there is no table {name!r}")
        pattern = re.compile(f"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = pattern.sub(lambda m, name=name: m[1] + TABLES[name]() + "\n" + m[2], text)
    return text, found


def main() -> None:
    """Rewrite the pages, or say whether they are up to date."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    texts = {path: path.read_text(encoding="utf-8") for path in pages()}
    made = {path: rewritten(text) for path, text in texts.items()}
    unused = set(TABLES) - set().union(*(names for _, names in made.values()))
    if unused:
        raise SystemExit(f"no page shows {', '.join(sorted(unused))}")
    for path, (text, _) in made.items():
        if text == texts[path]:
            continue
        if args.check:
            raise SystemExit(f"{path.relative_to(ROOT)} says something else than the results")
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
