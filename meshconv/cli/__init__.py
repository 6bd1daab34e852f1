"""Command line: every command is one library call. Exit 0 done, 1 a problem found or a refusal, 2
wrong usage.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import meshconv as mc
from meshconv.cli.output import as_json, lead_nowhere, open_streams, refuse, say
from meshconv.errors import MeshConvError, MeshConvWarning

# files of this room, each with the commands of one kind, in the order of the help
_GROUPS = ("surfaces", "maps", "studies", "scans", "compare", "whole_study", "tools")


class _Parser(argparse.ArgumentParser):
    """Wrong usage is said as JSON too, where that was asked for."""

    as_data = False

    def error(self, message: str) -> NoReturn:
        if _Parser.as_data:
            say(as_json({"error": {"type": "UsageError", "message": message}}))
        super().error(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="meshconv",
        description="From a scan to a class, and to the place on the surface where one sees it.",
    )
    parser.add_argument("--version", action="version", version=f"meshconv {mc.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in _GROUPS:
        import_module(f"meshconv.cli.{group}").add_commands(commands)
    return parser


def _warn_on_stderr(
    message: Warning | str, category: type[Warning], *rest: Any, **more: Any
) -> None:
    if issubclass(category, MeshConvWarning):
        say(f"meshconv: warning: {message}", aside=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; the process's own by default. Wrong usage ends with
        `SystemExit` 2.
    """
    open_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    _Parser.as_data = "--json" in words
    try:
        return _run(_parser().parse_args(words))
    finally:
        _finish()


def _run(args: argparse.Namespace) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("always", MeshConvWarning)
        warnings.showwarning = _warn_on_stderr
        try:
            code: int = args.run(args)
        except (MeshConvError, OSError, MemoryError) as error:
            refuse(error, as_data=args.json)
            return 1
        except ModuleNotFoundError as error:
            missing = MeshConvError(
                f"{args.command} needs the package {error.name}", hint=_install(error.name)
            )
            refuse(missing, as_data=args.json)
            return 1
        except KeyboardInterrupt:
            refuse(KeyboardInterrupt("stopped"), as_data=args.json)
            return 130
    return code


def _install(package: str | None) -> str:
    """The line that brings a package which is not installed."""
    if package in {"dask", "distributed"}:
        return "pip install 'meshconv[scale]'"
    extra = "view" if package in {"pyvista", "vtk", "matplotlib", "jinja2"} else "learn"
    return f"pip install 'meshconv[{extra}]'"


def _finish() -> None:
    """Write what is still held back, for the interpreter would complain of a reader that left."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            lead_nowhere(stream)
