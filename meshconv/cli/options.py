"""The arguments that commands share, and what they stand for."""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meshconv as mc
from meshconv.errors import ArgumentError, EmptyFileError, LoadWarning, MeshConvError

if TYPE_CHECKING:
    from meshconv import FolderDataset, MeshFile

Commands = Any  # argparse keeps the type of add_subparsers() private
# as meshconv.io.FORMATS, which is slower to import than to read a small file (tested)
FORMATS = ("obj", "ply", "stl", "off", "vtp", "vtk", "glb", "gltf")


def add(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    """Add a command that runs `run`."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(run=run)
    return parser


def add_input(
    parser: argparse.ArgumentParser,
    text: str = "OBJ, PLY, STL, OFF, VTP, VTK, GLB or glTF, also .gz; - for standard input",
) -> None:
    """Add the file that is read."""
    parser.add_argument("file", type=Path, help=text)
    parser.add_argument(
        "--format", choices=FORMATS, help="read as this format, whatever the name says"
    )


def read_input(args: argparse.Namespace) -> MeshFile:
    """Return the mesh file that was named, or what comes through standard input."""
    if str(args.file) != "-":
        found = mc.read(args.file, format=args.format)
    elif args.format is None:
        raise ArgumentError(
            "standard input has no name that tells its format", hint="--format ply, for example"
        )
    else:
        found = _read_standard_input(args.format)
    for warning in found.warnings:
        warnings.warn(f"{args.file.name}: {warning}", LoadWarning, stacklevel=2)
    return found


def _read_standard_input(form: str) -> MeshFile:
    data = sys.stdin.buffer.read()
    if not data:
        raise EmptyFileError("no bytes came", path="standard input")
    with tempfile.NamedTemporaryFile(suffix=f".{form}") as file:
        file.write(data)
        file.flush()
        try:
            return mc.read(file.name, format=form)
        except MeshConvError as error:
            raise error.at("standard input") from error


def add_output(parser: argparse.ArgumentParser, text: str = "written whole or not at all") -> None:
    """Add the file that is written, and leave to replace it."""
    parser.add_argument("output", type=Path, help=text)
    parser.add_argument("--force", action="store_true", help="replace the output if it exists")


def refuse_existing(args: argparse.Namespace) -> None:
    """Raise before any work is done if the output may not be written.

    A mesh may be replaced by what is made of it, but a classifier, a template or a table not.
    """
    if not args.output.exists():
        return
    if not args.force:
        raise ArgumentError("exists already", path=args.output, hint="--force replaces it")
    for name in ("model", "template", "table", "landmarks"):
        given = getattr(args, name, None)
        if given is not None and given.exists() and given.samefile(args.output):
            raise ArgumentError(f"is the {name} that is read", path=args.output)


def add_study(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add a folder of scans and its table."""
    parser.add_argument("folder", type=Path, help="folder of scans")
    parser.add_argument(
        "--table",
        type=Path,
        help="CSV or .xlsx: file,label[,subject][,mirrored] (default: in the folder)",
    )
    for column in ("file", "label", "subject"):
        parser.add_argument(
            f"--{column}-column", default=column, metavar="NAME", help=f"of the {column} in it"
        )
    return parser


def study(args: argparse.Namespace) -> FolderDataset:
    """Return the scans of a folder and its table."""
    return mc.FolderDataset(
        args.folder,
        args.table,
        file_column=args.file_column,
        label_column=args.label_column,
        subject_column=args.subject_column,
        on_error=getattr(args, "on_error", "raise"),
    )


def add_preparation(parser: argparse.ArgumentParser, *, needs_cache: bool = False) -> None:
    """Add how scans become images."""
    parser.add_argument(
        "--cache", type=Path, required=needs_cache, help="folder of finished images"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes; -1 for one per core")
    parser.add_argument(
        "--client",
        metavar="SCHEDULER",
        help="use a Dask cluster: the address of its scheduler, or its scheduler file",
    )
    add_on_error(parser)


def add_on_error(parser: argparse.ArgumentParser) -> None:
    """Add what a bad scan leads to."""
    parser.add_argument(
        "--on-error", choices=("raise", "skip"), default="raise", help="what a bad scan leads to"
    )
