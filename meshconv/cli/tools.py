"""Commands about the installation: doctor, demo, tour."""

from __future__ import annotations

import argparse
from pathlib import Path

from meshconv.cli.options import Commands, add
from meshconv.cli.output import emit
from meshconv.compiled_cache import cache_folder


def add_commands(commands: Commands) -> None:
    """Add the commands of this file."""
    doctor = add(commands, "doctor", _doctor, "versions, solver, GPU and OpenGL of this machine")
    doctor.add_argument("--no-rendering", action="store_true", help="do not try a first render")
    add(commands, "warmup", _warmup, "compile everything once, so that nothing is slow at first")
    demo = add(commands, "demo", _demo, "the main job on generated data")
    demo.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for the results")
    tour = add(commands, "tour", _tour, "the demo, and a page that explains each of its pictures")
    tour.add_argument("--out", type=Path, default=Path("out/tour"), help="folder for the results")


def _doctor(args: argparse.Namespace) -> int:
    from meshconv import doctor

    report = doctor.diagnose(rendering=not args.no_rendering)
    emit(args, report, doctor.readable(report))
    return 0


def _warmup(args: argparse.Namespace) -> int:
    from meshconv import warmup

    seconds = warmup.run()
    emit(args, {"seconds": seconds, "kept": cache_folder() or "nowhere: see meshconv doctor"})
    return 0


def _demo(args: argparse.Namespace) -> int:
    from meshconv import demo

    emit(args, demo.run(args.out))
    return 0


def _tour(args: argparse.Namespace) -> int:
    from meshconv import demo

    emit(args, demo.tour(args.out))
    return 0
