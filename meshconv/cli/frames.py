"""The frame of a folder of scans, the scans in it, and the sheet that shows them: what the commands
on folders share; the command that makes a frame alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meshconv as mc
from meshconv.cli.options import Commands, add, add_preparation, add_study, refuse_existing, study
from meshconv.cli.output import emit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshconv import FolderDataset, Template
    from meshconv.train.prepared import Prepared


_SMALL = 17  # nodes per side of images that are for a sheet alone


def add_frame_command(commands: Commands) -> None:
    """Add the command that makes a frame."""
    frame = add_study(add(commands, "frame", _make_frame, "scans -> the frame of them all"))
    frame.add_argument("-o", "--output", type=Path, help="the frame, one file (.npz)")
    frame.add_argument("--force", action="store_true", help="replace the output if it exists")
    frame.add_argument("--count", type=int, default=8, help="how many scans it is the mean of")
    add_frame(frame)


def add_frame(parser: argparse.ArgumentParser, *, needs_cache: bool = False) -> None:
    """Add the options of a frame and of scans in it."""
    help_text = "the frame (.npz); by default the mean of the first scans"
    parser.add_argument("--template", type=Path, help=help_text)
    parser.add_argument(
        "--turn",
        type=float,
        default=0.0,
        metavar="DEGREES",
        help=(
            "turn the frame counter-clockwise, as seen from the front: 180 if the report"
            " shows it upside down"
        ),
    )
    parser.add_argument(
        "--sheet",
        type=Path,
        metavar="PAGE",
        help="one HTML page with a picture of each scan in the frame, doubtful ones first",
    )
    add_own(parser, "--size", type=int, help="nodes per side of the images")
    add_preparation(parser, needs_cache=needs_cache)


def add_own(parser: argparse.ArgumentParser, name: str, **options: Any) -> None:
    """Add an option of `SurfaceClassifier`, which has the default."""
    parser.add_argument(name, default=argparse.SUPPRESS, **options)


def own(args: argparse.Namespace) -> dict[str, Any]:
    """Return those options of `SurfaceClassifier` that were given."""
    names = ("size", "epochs", "network_size", "density", "head", "mirror", "verdict", "seed")
    return {name: getattr(args, name) for name in names if hasattr(args, name)}


def frame_of(args: argparse.Namespace, scans: FolderDataset) -> Template:
    """Return the frame that was given, or the mean of the first scans; turned if asked for."""
    from meshconv.train.frames import population_template

    count = getattr(args, "count", 8)
    given = None if args.template is None else mc.Template.load(args.template)
    template = given or population_template(scans, count=count, on_error=args.on_error)
    return template.turned(args.turn) if args.turn else template


def prepared(
    args: argparse.Namespace,
    scans: Sequence[Any],
    template: Template,
    on_error: str,
    size: int | None = None,
) -> Prepared:
    """Return the scans in the frame, as the options say, of another size if that is given."""
    from meshconv.train.config import PrepareConfig
    from meshconv.train.prepare import prepare

    asked: int = getattr(args, "size", PrepareConfig.size)
    return prepare(
        scans,
        template,
        config=PrepareConfig(size=size or asked),
        cache=args.cache,
        workers=args.workers,
        client=args.client,
        on_error=on_error,
    )


def draw_sheet(
    args: argparse.Namespace,
    scans: Sequence[Any],
    template: Template,
    ready: Prepared | None = None,
) -> None:
    """Draw the sheet of scans if it was asked for, and prepare them for it if they are not yet; it
    lists those that cannot be.
    """
    if args.sheet is not None:
        from meshconv.viz.contact_sheet import contact_sheet

        # without a cache nobody else wants these images
        size = _SMALL if args.cache is None else None
        found = prepared(args, scans, template, "skip", size) if ready is None else ready
        contact_sheet(args.sheet, scans, found, template, overwrite=True)


def _make_frame(args: argparse.Namespace) -> int:
    if args.output is not None:
        refuse_existing(args)
    scans = study(args)
    template = frame_of(args, scans)
    draw_sheet(args, scans, template)
    if args.output is not None:
        template.save(args.output)
    emit(
        args,
        {
            "vertices": template.surface.n_vertices,
            "domain": template.parameterization.domain,
            "known_fits": len(template.population),  # by which new ones are judged
            **({"turn": template.open_turn} if template.open_turn else {}),
            "output": None if args.output is None else str(args.output),
            "sheet": None if args.sheet is None else str(args.sheet),
        },
    )
    return 0
