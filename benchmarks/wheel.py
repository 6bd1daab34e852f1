"""Build the wheel, install it into fresh environments, run `meshconv doctor` and the first example.

    python benchmarks/wheel.py                      # everything; minutes, and gigabytes with torch
    python benchmarks/wheel.py --python 3.11 --extras "" view --versions newest lowest

Each environment gets the wheel, one set of extras and nothing of the checkout. `newest`: what pip
chooses; `tested`: constraints.txt; `lowest`: constraints-lowest.txt. Environments whose Python is
not here are said to be so. The rows go to benchmarks/results/wheel.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("", "view", "learn", "excel", "exchange", "scale")
CONSTRAINTS = {
    "newest": [],
    "tested": ["-c", str(ROOT / "constraints.txt")],
    "lowest": ["-c", str(ROOT / "constraints-lowest.txt")],
}


def run(*command: str | Path, where: Path) -> str:
    """Return what a command prints; its complaint and the end if it fails."""
    done = subprocess.run(
        [str(word) for word in command], cwd=where, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise RuntimeError(next((x for x in lines if x.startswith("ERROR")), lines[-1]))
    return done.stdout


def wheel(folder: Path) -> Path:
    """Build source distribution and wheel; the wheel is made of the former."""
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, where=folder)
    (found,) = folder.glob("*.whl")
    return found


def interpreter(version: str) -> str | None:
    """Where a Python of this version is, pyenv's among them."""
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    if sys.version.startswith(f"{version}."):
        return sys.executable
    return str(pyenv[-1]) if pyenv else shutil.which(f"python{version}")


def tried(built: Path, version: str, extra: str, versions: str) -> dict[str, Any]:
    """Install and run in one environment."""
    row: dict[str, Any] = {"python": version, "extra": extra or "none", "versions": versions}
    python = interpreter(version)
    if python is None:
        return row | {"result": "no such Python here"}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        run(python, "-m", "venv", place / "venv", where=place)
        binary = place / "venv" / "bin"
        wanted = f"{built}[{extra}]" if extra else str(built)
        try:
            install = [binary / "python", "-m", "pip", "install", "-q", *CONSTRAINTS[versions]]
            run(*install, wanted, where=place)
            said = run(binary / "meshconv", "doctor", "--no-rendering", "--json", where=place)
            example = ROOT / "benchmarks" / "first_example.py"
            run(binary / "python", "-I", example, *filter(None, [extra]), where=place)
        except RuntimeError as error:
            return row | {"result": str(error)}
        report = json.loads(said)
    assert built.name.startswith(f"meshconv-{report['meshconv']}-")
    packages = {k: v for k, v in report["packages"].items() if v != "not installed"}
    return row | {"result": "works", "meshconv": report["meshconv"], "packages": packages}


def main() -> None:
    """Build, try, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--python", nargs="+", default=["3.11", "3.12", "3.13"])
    parser.add_argument("--extras", nargs="+", default=EXTRAS)
    parser.add_argument("--versions", nargs="+", choices=CONSTRAINTS, default=["newest", "lowest"])
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "wheel.json")
    args = parser.parse_args()
    rows = json.loads(args.out.read_text())["rows"] if args.out.exists() else []
    with tempfile.TemporaryDirectory() as name:
        built = wheel(Path(name))
        for case in itertools.product(args.python, args.extras, args.versions):
            row = tried(built, *case)
            print(
                f"{row['python']}  {row['extra']:9} {row['versions']:7} {row['result']}", flush=True
            )
            key = ("python", "extra", "versions")
            rows = [old for old in rows if any(old[k] != row[k] for k in key)] + [row]
    args.out.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    sys.exit(any(row["result"] not in {"works", "no such Python here"} for row in rows))


if __name__ == "__main__":
    main()
