"""Commands on surfaces: info, check, repair, convert."""

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
from meshconv.cli.output import emit, one_line, say

if TYPE_CHECKING:
    from meshconv import MeshFile

_GLTF = ("glb", "gltf")


def add_commands(commands: Commands) -> None:
    """Add the commands of this file."""
    add_input(add(commands, "info", _info, "what is in a file"))
    add_input(
        add(
            commands,
            "check",
            _check,
            "components, borders, genus, faults; exit 1 if there are problems",
        )
    )
    repair = add(
        commands, "repair", _repair, "make one clean surface of it, and say what was changed"
    )
    add_input(repair)
    add_output(repair)
    repair.add_argument(
        "--weld",
        type=float,
        metavar="LENGTH",
        help="weld vertices closer than this (default: equal)",
    )
    repair.add_argument(
        "--keep-all", action="store_true", help="keep every component, not only the largest"
    )
    repair.add_argument("--keep-holes", action="store_true", help="leave the holes open")
    repair.add_argument(
        "--remove-handles", action="store_true", help="cut small handles until the genus is 0"
    )
    convert = add(commands, "convert", _convert, "read one format, write another, fields included")
    add_input(convert)
    add_output(convert)


def _info(args: argparse.Namespace) -> int:
    file = read_input(args)
    surface = file.surface
    data = {
        "file": str(args.file),
        "format": file.format,
        "vertices": surface.n_vertices,
        "faces": surface.n_faces,
        "area": surface.area,
        "lower_corner": surface.vertices.min(axis=0).tolist(),
        "upper_corner": surface.vertices.max(axis=0).tolist(),
        "vertex_fields": {name: list(field.shape) for name, field in file.vertex_fields.items()},
        "face_fields": {name: list(field.shape) for name, field in file.face_fields.items()},
    }
    emit(args, data)
    return 0


def _check(args: argparse.Namespace) -> int:
    report = mc.check(read_input(args).surface)
    emit(args, report.to_dict(), str(report))
    return 1 if report.problems else 0


def _repair(args: argparse.Namespace) -> int:
    refuse_existing(args)
    repaired = mc.repair(
        read_input(args).surface,
        weld=True if args.weld is None else args.weld,
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
    emit(
        args,
        data,
        "\n".join(
            [*(repaired.changes or ("nothing to change",)), f"written: {one_line(args.output)}"]
        ),
    )
    return 0


def _convert(args: argparse.Namespace) -> int:
    refuse_existing(args)
    file = read_input(args)
    fields, corners = _texture(file, _form(args.output))
    mc.save(
        args.output,
        file.surface,
        vertex_fields=fields,
        face_fields=file.face_fields,
        corner_uv=corners,
        overwrite=args.force,
    )
    emit(args, {"output": str(args.output)}, f"written: {one_line(args.output)}")
    if corners is not None or "uv" in fields:
        say(
            "texture coordinates are written, materials and pictures are not: copy them beside",
            aside=True,
        )
    return 0


def _form(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return name.rpartition(".")[2]


def _texture(file: MeshFile, form: str) -> tuple[dict[str, Any], Any]:
    """Vertex fields and texture coordinates of corners: OBJ has these, most others a field ``uv``.

    Corners that meet in a vertex share its field unless a seam parts them. glTF counts v from the
    top of the picture, all others from its bottom.
    """
    import numpy as np

    fields, faces = dict(file.vertex_fields), file.surface.faces
    corners = fields["uv"][faces] if "uv" in fields else file.corner_uv
    if corners is None:
        return fields, None
    corners = np.array(corners, dtype=np.float64)
    if (file.format in _GLTF) != (form in _GLTF):
        corners[..., 1] = 1 - corners[..., 1]
    fields.pop("uv", None)
    if form == "obj":
        return fields, corners
    uv = np.zeros((file.surface.n_vertices, 2))
    uv[faces] = corners
    return ({**fields, "uv": uv}, None) if np.array_equal(uv[faces], corners) else (fields, corners)
