"""Command line: every command is one library call. Exit 0 done, 1 a problem found or a refusal, 2
wrong usage.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import meshconv as mc
from meshconv.cli import compare, learn, maps, surfaces, tools
from meshconv.errors import MeshConvError, MeshConvWarning


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="meshconv",
        description="From a scan to a class, and to the place on the surface where one sees it.",
    )
    parser.add_argument("--version", action="version", version=f"meshconv {mc.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in (surfaces, maps, learn, compare, tools):
        group.add_commands(commands)
    return parser


def _warn_on_stderr(
    message: Warning | str, category: type[Warning], *rest: Any, **more: Any
) -> None:
    if issubclass(category, MeshConvWarning):
        print(f"meshconv: warning: {message}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; the process's own by default. Wrong usage ends with
        `SystemExit` 2.
    """
    args = _parser().parse_args(argv)
    with warnings.catch_warnings():
        warnings.simplefilter("always", MeshConvWarning)
        warnings.showwarning = _warn_on_stderr
        try:
            code: int = args.run(args)
            sys.stdout.flush()
        except BrokenPipeError:  # the reader went away: end quietly
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except (MeshConvError, OSError) as error:
            print(f"meshconv: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("meshconv: stopped", file=sys.stderr)
            return 130
    return code
