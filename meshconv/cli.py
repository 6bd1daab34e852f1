"""Command line: every command is one library call. Exit 0 done, 1 a problem found or a refusal, 2 wrong usage."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import meshconv as mc
from meshconv.errors import MeshConvError, MeshConvWarning

Command = Callable[[argparse.Namespace], int]


def _emit(args: argparse.Namespace, data: dict[str, Any], text: str) -> None:
    print(json.dumps(data, indent=2, default=str) if args.json else text)


def _info(args: argparse.Namespace) -> int:
    file = mc.read(args.file)
    surface = file.surface
    low, high = surface.vertices.min(axis=0), surface.vertices.max(axis=0)
    data = {
        "file": str(args.file),
        "format": file.format,
        "vertices": surface.n_vertices,
        "faces": surface.n_faces,
        "area": surface.area,
        "bounding_box": [low.tolist(), high.tolist()],
        "vertex_fields": {name: list(field.shape) for name, field in file.vertex_fields.items()},
        "face_fields": {name: list(field.shape) for name, field in file.face_fields.items()},
    }
    _emit(args, data, "\n".join(f"{key:<14} {value}" for key, value in data.items()))
    return 0


def _check(args: argparse.Namespace) -> int:
    report = mc.check(mc.load(args.file))
    _emit(args, report.to_dict(), str(report))
    return 1 if report.problems else 0


def _repair(args: argparse.Namespace) -> int:
    repaired = mc.repair(
        mc.load(args.file),
        weld=args.weld if args.weld is not None else True,
        keep="all" if args.keep_all else "largest",
        fill_holes=not args.keep_holes,
        remove_handles=args.remove_handles,
    )
    mc.save(args.output, repaired.surface, overwrite=args.force)
    data = {
        "output": str(args.output),
        "changes": list(repaired.changes),
        "before": repaired.report_before.to_dict(),
        "after": repaired.report_after.to_dict(),
    }
    _emit(args, data, "\n".join([*(repaired.changes or ["nothing to change"]), f"written: {args.output}"]))
    return 0


def _convert(args: argparse.Namespace) -> int:
    file = mc.read(args.file)
    mc.save(
        args.output, file.surface, vertex_fields=file.vertex_fields, face_fields=file.face_fields, overwrite=args.force
    )
    _emit(args, {"output": str(args.output)}, f"written: {args.output}")
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from meshconv import doctor

    report = doctor.diagnose(rendering=not args.no_rendering)
    _emit(args, report, doctor.readable(report))
    return 0


def _demo(args: argparse.Namespace) -> int:
    from meshconv import demo

    result = demo.run(args.out)
    _emit(args, result, "\n".join(f"{key:<22} {value}" for key, value in result.items()))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="meshconv", description="From a scan to a class, and to the place on the surface where one sees it."
    )
    parser.add_argument("--version", action="version", version=f"meshconv {mc.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--json", action="store_true", help="print JSON instead of text")
        sub.set_defaults(run=run)
        return sub

    def add_file(sub: argparse.ArgumentParser, *, output: bool = False) -> None:
        sub.add_argument("file", type=Path, help="OBJ, PLY, STL, OFF, VTP, VTK, GLB or glTF, also .gz")
        if output:
            sub.add_argument("output", type=Path, help="written whole or not at all")
            sub.add_argument("--force", action="store_true", help="replace the output if it exists")

    add_file(add("info", _info, "what is in a file"))
    add_file(add("check", _check, "components, borders, genus, faults; exit 1 if there are problems"))
    repair = add("repair", _repair, "make one clean surface of it, and say what was changed")
    add_file(repair, output=True)
    repair.add_argument("--weld", type=float, metavar="LENGTH", help="weld vertices closer than this (default: equal)")
    repair.add_argument("--keep-all", action="store_true", help="keep every component, not only the largest")
    repair.add_argument("--keep-holes", action="store_true", help="leave the holes open")
    repair.add_argument("--remove-handles", action="store_true", help="cut small handles until the genus is 0")
    add_file(add("convert", _convert, "read one format, write another, fields included"), output=True)
    doctor = add("doctor", _doctor, "versions, solver, GPU and OpenGL of this machine")
    doctor.add_argument("--no-rendering", action="store_true", help="do not try a first render")
    demo = add("demo", _demo, "the main job on generated data")
    demo.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for the pictures")
    return parser


def _warn_on_stderr(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
    if issubclass(category, MeshConvWarning):
        print(f"meshconv: warning: {message}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    args = _parser().parse_args(argv)
    with warnings.catch_warnings():
        warnings.showwarning = _warn_on_stderr
        try:
            code: int = args.run(args)
            sys.stdout.flush()
        except (MeshConvError, OSError) as error:
            if isinstance(error, BrokenPipeError):  # the reader went away: end quietly
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                return 1
            print(f"meshconv: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("meshconv: stopped", file=sys.stderr)
            return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
