"""A folder of scan files and a table to a report, by the commands a user types; three of the scans
are broken.

    MESHCONV_DATA=../shared/data python benchmarks/folder.py               # 400 faces, about 10 CPU
    minutes MESHCONV_DATA=../shared/data python benchmarks/folder.py --scans 40    # a taste, 2
    minutes

Morphable faces are written as PLY, OBJ, STL, OFF, VTP, VTK and GLB, some of them packed, beside a
table with a subject column. Three quarters of them are for training. Among the files are a PLY cut
short, a web page named .stl and an OBJ whose faces name vertices that do not exist: every command
must name them and go on. Times are of each process as a whole, start included: CPU and wall
seconds, and the largest memory it held. Writes results/folder.json; exits with 1 if a broken scan
was not named, a sound one was refused, or the report does not open.
"""

from __future__ import annotations

import argparse
import csv
import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _common import RESULTS, environment, one_thread, print_table, write

one_thread()

import meshconv as mc
from meshconv.datasets.morphable import MorphableFaces

ENDINGS = ("ply", "obj", "stl", "off", "vtp", "vtk", "glb", "ply.gz", "obj.gz")
CLASSES = ("control", "affected")
BROKEN = ("cut_short.ply", "web_page.stl", "foreign_faces.obj")
COMMANDS = ("prepare", "train", "evaluate", "report")


def write_folder(folder: Path, n: int, effect: str, amplitude: float) -> int:
    """Write scans and tables; return the bytes on the disk."""
    rows = []
    for k, scan in enumerate(MorphableFaces(n, effect, amplitude, seed=300)):
        name = f"{scan.name}.{ENDINGS[k % len(ENDINGS)]}"
        mc.save(folder / name, scan.surface)
        rows.append([name, CLASSES[scan.label], scan.subject])
    whole = (folder / rows[0][0]).read_bytes()
    cut, page, foreign = (folder / name for name in BROKEN)
    cut.write_bytes(whole[: len(whole) // 2])
    page.write_text("<!DOCTYPE html>\n<html><body><h1>404 Not Found</h1></body></html>\n")
    foreign.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\nf 2 3 17\n")
    bad = [[name, CLASSES[0], name] for name in BROKEN]
    train = [
        row for k, row in enumerate(rows) if k % 8 < 6
    ]  # labels alternate: both halves hold both classes
    test = [row for k, row in enumerate(rows) if k % 8 >= 6]
    for name, part in {
        "labels": bad + rows,
        "train": bad[:2] + train,
        "test": bad[2:] + test,
    }.items():
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["file", "label", "subject"], *part])
    return sum(path.stat().st_size for path in folder.iterdir())


def command(*words: object) -> tuple[dict[str, Any], str]:
    """Run one command of meshconv; return its times and memory, and what it printed."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        argv = [sys.executable, "-m", "meshconv", *map(str, words), "--json"]
        process = subprocess.Popen(argv, stdout=out, stderr=err)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - start
        out.seek(0), err.seek(0)
        text, errors = out.read(), err.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(argv[3:])}: exit {process.returncode}\n{errors}")
    row = {
        "CPU s": used.ru_utime + used.ru_stime,
        "wall s": wall,
        "peak MiB": used.ru_maxrss / 1024,
    }
    return row, text


def run(place: Path, args: argparse.Namespace) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """All commands in turn: what each cost and what it said."""
    study, model, report = place / "study", place / "model.mc", place / "report.html"
    shared = ["--cache", place / "cache", "--on-error", "skip", "--workers", args.workers]
    train, test = (["--table", study / f"{name}.csv"] for name in ("train", "test"))
    words = {
        "prepare": [study, *shared],
        "train": [
            study,
            model,
            *train,
            *shared,
            "--force",
            "--template",
            place / "cache/template.npz",
            "--epochs",
            args.epochs,
        ],
        "evaluate": [model, study, *test, *shared],
        "report": [model, study, report, *test, *shared, "--force"],
    }
    done = {}
    for name in COMMANDS:
        row, text = command(name, *words[name])
        done[name] = ({"step": name, **row}, json.loads(text))
        print(name, row, flush=True)
    return done


class _Links(html.parser.HTMLParser):
    """What a page would have to fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if (
                name in ("src", "href")
                and value
                and not value.startswith(("data:", "#"))
                and tag != "a"
            ):
                self.fetched.append(f"{tag} {name}={value[:80]}")


def opened(report: Path, names: list[str]) -> dict[str, Any]:
    """What the report is: its size, whether it is one file, opens in a browser, and names the
    broken scans.
    """
    text = report.read_text(encoding="utf-8")
    links = _Links()
    links.feed(text)
    browser = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    found: dict[str, Any] = {
        "MiB": report.stat().st_size / 2**20,
        "fetches": links.fetched,
        "names": [name for name in names if name in text],
        "headings": len(re.findall(r"<h[12]\b", text)),
    }
    if browser is not None:
        argv = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--virtual-time-budget=20000",
            "--dump-dom",
        ]
        argv += [f"--user-data-dir={report.parent / 'browser'}", report.resolve().as_uri()]
        dom = subprocess.run(argv, capture_output=True, text=True, timeout=240, check=False).stdout
        found["drawn in a browser"] = len(dom) > len(text) // 2 and dom.rstrip().endswith("</html>")
    return found


def record_of(
    done: dict[str, Any], broken: list[str], report: dict[str, Any], n: int
) -> dict[str, Any]:
    """What the commands cost and said."""
    rows = [row for row, _ in done.values()]
    skipped = {
        name: [text.partition(":")[0] for text in said["skipped"]]
        for name, (_, said) in done.items()
    }
    return {
        "rows": rows,
        "prepared": done["prepare"][1]["prepared"],
        "CPU s per scan prepared": rows[0]["CPU s"] / n,
        "skipped": skipped,
        "sound scans refused": sorted(
            {name for names in skipped.values() for name in names} - set(broken)
        ),
        "evaluated": {
            key: done["evaluate"][1][key] for key in ("n", "accuracy", "auc", "intervals")
        },
        "report": report,
    }


def faults(record: dict[str, Any], broken: list[str]) -> list[str]:
    """What was not as it must be."""
    expected = {
        "prepare": broken,
        "train": broken[:2],
        "evaluate": broken[2:],
        "report": broken[2:],
    }
    out = [
        f"{name} did not name {bad}"
        for name, all_ in expected.items()
        for bad in all_
        if bad not in record["skipped"][name]
    ]
    out += [f"refused {name}" for name in record["sound scans refused"]]
    report = record["report"]
    if report["fetches"] or not report.get("drawn in a browser", True):
        out.append("the report is not one file that opens")
    return out + [
        f"the report does not name {bad}" for bad in broken[2:] if bad not in report["names"]
    ]


def main() -> None:
    """Write the folder, run the commands, look at the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scans", type=int, default=400)
    parser.add_argument("--effect", default="malar_flattening")
    parser.add_argument("--amplitude", type=float, default=4.0, help="peak of the effect, mm")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="leave everything in this new folder")
    parser.add_argument(
        "--again", type=Path, help="a folder kept before: images are cached, results are added"
    )
    args = parser.parse_args()
    about = {
        "scans": args.scans,
        "broken": list(BROKEN),
        "effect": args.effect,
        "amplitude mm": args.amplitude,
        "epochs": args.epochs,
        "workers": args.workers,
    }
    with tempfile.TemporaryDirectory() as scratch:
        place = args.again or args.keep or Path(scratch)
        if not args.again:
            (place / "study").mkdir(parents=True)
            start = time.process_time()
            about["folder MiB"] = (
                write_folder(place / "study", args.scans, args.effect, args.amplitude) / 2**20
            )
            about["CPU s to write the folder"] = time.process_time() - start
        done = run(place, args)
        record = record_of(
            done, list(BROKEN), opened(place / "report.html", list(BROKEN)), args.scans
        )
    print_table(record["rows"])
    print({key: value for key, value in record.items() if key != "rows"})
    found = faults(record, list(BROKEN))
    if args.again:
        before = json.loads((RESULTS / "folder.json").read_text())
        write("folder", {**before, "again, images cached": record})
    elif args.scans == 400:
        write(
            "folder", {"environment": environment("numpy", "torch", "pyvista"), **about, **record}
        )
    sys.exit("\n".join(found) or 0)


if __name__ == "__main__":
    main()
