"""Commands on maps: flatten, equalize, register, image; on request with a report and a picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meshconv as mc
from meshconv.cli.options import (
    Commands,
    add,
    add_input,
    add_output,
    read_input,
    refuse_existing,
)
from meshconv.cli.output import as_json, emit
from meshconv.errors import ArgumentError

if TYPE_CHECKING:
    from meshconv import Parameterization, Surface

_OUTPUT = ".npz (the map with its surface) or a mesh format (the flattened mesh)"


def add_commands(commands: Commands) -> None:
    """Add the commands of this file."""
    flatten = add(commands, "flatten", _flatten, "conformal map of a surface")
    add_input(flatten)
    _add_map_output(flatten)
    flatten.add_argument(
        "--domain", choices=("disk", "rectangle", "free", "sphere"), default="disk"
    )
    flatten.add_argument(
        "--corners", type=int, nargs=4, metavar="VERTEX", help="rectangle: the four corners"
    )
    flatten.add_argument(
        "--holes", choices=("refuse", "fill", "circles"), default="refuse", help="inner borders"
    )
    flatten.add_argument("--repair", action="store_true", help="repair the surface first")
    equalize = add(
        commands,
        "equalize",
        _equalize,
        "move area to where a density wants it (default: keep areas)",
    )
    add_input(equalize, "a map (.npz of flatten), or a surface, which is flattened first")
    _add_map_output(equalize)
    equalize.add_argument(
        "--density", metavar="FIELD", help="vertex field of the surface file; without it, areas"
    )
    equalize.add_argument("--rounds", type=int, default=2, help="rounds of flow")
    register = add(commands, "register", _register, "bring a scan into the frame of a template")
    add_input(register)
    register.add_argument(
        "template", type=Path, help="a template (.npz), or a surface that becomes one"
    )
    _add_map_output(register)
    register.add_argument(
        "--mirror", choices=("no", "yes", "auto"), default="no", help="is the scan a mirror image"
    )
    register.add_argument(
        "--landmarks",
        type=Path,
        help=(
            "text file: one vertex index, or x y z, a line; -1: missing; or .fcsv, .mrk.json"
            " (Slicer, scan in LPS), .pp (MeshLab)"
        ),
    )
    register.add_argument("--repair", action="store_true", help="repair the scan first")

    image = add(commands, "image", _image, "shape channels of a surface on a square grid")
    add_input(image, "a map (.npz of flatten or register), or a surface, flattened first")
    add_output(image, ".npz with channels (C, N, N), names and mask")
    image.add_argument("--size", type=int, default=129, help="nodes per side")
    image.add_argument(
        "--picture", type=Path, help="write the channels side by side (.png, .svg, .pdf)"
    )


def _add_map_output(parser: argparse.ArgumentParser) -> None:
    add_output(parser, _OUTPUT)
    parser.add_argument("--report", type=Path, help="write the distortion figures as JSON")
    parser.add_argument(
        "--picture",
        type=Path,
        help="write surface, map and distortion side by side (.png, .svg, .pdf)",
    )


def _surface(args: argparse.Namespace) -> Surface:
    surface = read_input(args).surface
    return mc.repair(surface).surface if args.repair else surface


def _flatten(args: argparse.Namespace) -> int:
    refuse_existing(args)
    flat = mc.conformal_map(
        _surface(args), domain=args.domain, corners=args.corners, holes=args.holes
    )
    return _finish(args, flat, {})


def _equalize(args: argparse.Namespace) -> int:
    from meshconv.maps.files import load_parameterization

    refuse_existing(args)
    density: Any = None
    if args.file.suffix == ".npz":
        if args.density:
            raise ArgumentError(
                "--density names a field of a surface file, the input is a map", path=args.file
            )
        flat = load_parameterization(args.file)
    else:
        file = read_input(args)
        flat = mc.conformal_map(
            file.surface, domain="disk" if file.surface.boundary_loops else "sphere"
        )
        density = _field(file, args.density) if args.density else None
    even = mc.density_equalizing_map(flat, density, rounds=args.rounds)
    return _finish(args, even, {"misplaced_mass": even.misplaced_mass})


def _field(file: Any, name: str) -> Any:
    if name not in file.vertex_fields:
        found = ", ".join(file.vertex_fields) or "none"
        raise ArgumentError(f"no vertex field {name!r}, found: {found}", path=file.path)
    return file.vertex_fields[name]


def _register(args: argparse.Namespace) -> int:
    refuse_existing(args)
    if args.template.suffix == ".npz":
        template = mc.Template.load(args.template)
    else:
        frame = mc.load(args.template)
        template = mc.Template.from_surface(
            frame, domain="disk" if frame.boundary_loops else "sphere"
        )
    marks = None if args.landmarks is None else _landmarks(args.landmarks)
    mirror: Any = {"no": False, "yes": True, "auto": "auto"}[args.mirror]
    fit = mc.fit_template(_surface(args), template, landmarks=marks, mirror=mirror)
    figures = {"residual": fit.residual, "scale": fit.pose.scale, "mirrored": fit.mirrored}
    return _finish(args, fit.parameterization(), figures)


def _image(args: argparse.Namespace) -> int:
    from meshconv.maps.files import load_parameterization
    from meshconv.resample.files import save_image

    refuse_existing(args)
    if args.file.suffix == ".npz":
        flat = load_parameterization(args.file)
    else:
        surface = read_input(args).surface
        flat = mc.conformal_map(surface, domain="disk" if surface.boundary_loops else "sphere")
    image = mc.Resampler(flat, args.size).to_image(mc.channels(flat.surface, flat))
    save_image(args.output, image)
    if args.picture:
        from meshconv.viz.image_picture import image_figure
        from meshconv.viz.picture import save_figure

        save_figure(image_figure(image, title=args.file.name), args.picture)
    data = {
        "output": str(args.output),
        "channels": list(image.names),
        "covered": float(image.mask.mean()),
    }
    emit(args, data)
    return 0


def _landmarks(path: Path) -> Any:
    import numpy as np

    from meshconv.io.landmarks import is_landmark_file

    if is_landmark_file(path):
        return mc.load_landmarks(path)
    try:
        table = np.loadtxt(path, ndmin=2)
    except ValueError as error:
        raise ArgumentError(
            f"landmarks: {error}", path=path, hint="one index, or x y z, a line"
        ) from error
    return table.astype(np.int64)[:, 0] if table.shape[1] == 1 else table


def _finish(args: argparse.Namespace, flat: Parameterization, figures: dict[str, Any]) -> int:
    """Write what was asked for and print the figures of the delivered map."""
    import numpy as np

    from meshconv.io.atomic import write_bytes_atomic
    from meshconv.maps.files import save_parameterization

    report = {
        "output": str(args.output),
        "domain": flat.domain,
        **figures,
        **mc.distortion(flat).summary(),
    }
    if args.output.suffix == ".npz":
        save_parameterization(args.output, flat)
    else:
        space = np.zeros((flat.surface.n_vertices, 3))
        space[:, : flat.coordinates.shape[1]] = flat.coordinates
        mc.save(args.output, mc.Surface(space, flat.surface.faces), overwrite=args.force)
    if args.report:
        write_bytes_atomic(args.report, (as_json(report) + "\n").encode())
    if args.picture:
        from meshconv.viz.map_picture import map_figure
        from meshconv.viz.picture import save_figure

        save_figure(map_figure(flat, title=args.file.name), args.picture)
    emit(args, report)
    return 0
