"""What the commands share: adding one, the file arguments, text or JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from meshconv.errors import ArgumentError

Commands = Any  # argparse keeps the type of add_subparsers() private


def add(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    """Add a command that runs `run`."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(run=run)
    return parser


def add_input(parser: argparse.ArgumentParser) -> None:
    """Add the surface that is read."""
    parser.add_argument(
        "file", type=Path, help="OBJ, PLY, STL, OFF, VTP, VTK, GLB or glTF, also .gz"
    )


def add_output(parser: argparse.ArgumentParser, text: str = "written whole or not at all") -> None:
    """Add the file that is written, and leave to replace it."""
    parser.add_argument("output", type=Path, help=text)
    parser.add_argument("--force", action="store_true", help="replace the output if it exists")


def refuse_existing(args: argparse.Namespace) -> None:
    """Raise before any work is done if the output exists and may not be replaced."""
    if args.output.exists() and not args.force:
        raise ArgumentError("exists already", path=args.output, hint="--force replaces it")


def emit(args: argparse.Namespace, data: Mapping[str, Any], text: str = "") -> None:
    """Print the data as JSON, or as text: aligned lines of the data if no other text is given."""
    if args.json:
        print(json.dumps(data, indent=2, default=_plain))
    else:
        print(text or aligned(data))


def aligned(data: Mapping[str, Any]) -> str:
    """Return one line an entry, values in one column."""
    width = max(map(len, data), default=0)
    shown = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in data.items()}
    return "\n".join(f"{key:<{width}}  {value}" for key, value in shown.items())


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return str(value)
