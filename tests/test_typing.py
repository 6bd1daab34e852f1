"""A user's file sees real types for every public name, not Any."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import meshconv

ROOT = Path(__file__).resolve().parents[1]

_USES = """\
import meshconv as mc

surface = mc.load("scan.ply")
reveal_type(surface)
reveal_type(mc.repair(surface).surface.n_faces)
reveal_type(mc.conformal_map(surface, domain="disk"))
reveal_type(mc.Resampler(mc.conformal_map(surface), 65).to_image(mc.channels(surface)))
mc.load(3)
mc.conformal_map(surface, domian="disk")
mc.nonsense
"""


def _mypy(path: Path) -> list[str]:
    """What mypy says of one file, a line each; the modules of the package come from its cache."""
    command = [sys.executable, "-m", "mypy", "--hide-error-context", "--no-pretty", str(path)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return [line.split(": ", 1)[1] for line in done.stdout.splitlines() if path.name in line]


def test_every_public_name_has_a_type(tmp_path: Path) -> None:
    """mypy reveals each name as a class or a function; four uses and three mistakes are seen."""
    names = [name for name in meshconv.__all__ if not name.startswith("_")]
    user = tmp_path / "user.py"
    user.write_text(_USES + "".join(f"reveal_type(mc.{name})\n" for name in names))
    found = _mypy(user)
    first = _USES.count("\n") - 3
    shown = [line for line in found if "Revealed type" in line]
    assert shown[:4] == [
        f'note: Revealed type is "{kind}"'
        for kind in (
            "meshconv.mesh.surface.Surface",
            "int",
            "meshconv.maps.parameterization.Parameterization",
            "meshconv.resample.geometry_image.GeometryImage",
        )
    ], found[:first]
    untyped = [
        (name, line)
        for name, line in zip(names, shown[4:], strict=True)
        if not line.startswith(('note: Revealed type is "def ', 'note: Revealed type is "Overload'))
    ]
    assert not untyped
    mistakes = [line for line in found if line.startswith("error: ")]
    assert len(mistakes) == 3, mistakes
    assert "incompatible type" in mistakes[0]
    assert "domian" in mistakes[1]
    assert "nonsense" in mistakes[2]
