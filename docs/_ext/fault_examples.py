"""An example of every error and warning: code that runs into it, and what to do then."""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

_SHEET = "mc.Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])"


class Example(NamedTuple):
    """Code, and a remedy in a sentence or two."""

    code: str
    remedy: str


EXAMPLES = {
    "ArgumentError": Example(
        "mc.conformal_map(face(300), domain='circle')",
        "The message lists what is allowed; options that exclude each other are both named.",
    ),
    "ArrayTypeError": Example(
        "mc.Surface(np.zeros((4, 2)), [[0, 1, 2]])",
        "Give the shape and kind that the message asks for: `vertices` is (V, 3), `faces` (F, 3).",
    ),
    "MeshIOError": Example(
        "Path('scan.ply').symlink_to('/dev/null')\nmc.save('scan.ply', face(300))",
        "Where the file should stand, something stands that is no file. Name another path.",
    ),
    "EmptyFileError": Example(
        "Path('empty.obj').touch()\nmc.load('empty.obj')",
        "The export was broken off. Export the scan again.",
    ),
    "BadFormatError": Example(
        "Path('scan.ply').write_text('<!DOCTYPE html><html>Sign in</html>')\nmc.load('scan.ply')",
        "The message says what the content looks like: often a page or a pointer that was"
        " downloaded in place of the file.",
    ),
    "BadHeaderError": Example(
        "head = 'ply\\nformat ascii 1.0\\nelement vertex -3\\nend_header\\n'\n"
        "Path('scan.ply').write_text(head)\nmc.load('scan.ply')",
        "The header is not one that a program writes; export again, or in another format.",
    ),
    "BadNumberError": Example(
        "Path('scan.obj').write_text('v 0,5 0 0\\nv 1 0 0\\nv 0 1 0\\nf 1 2 3\\n')\n"
        "mc.load('scan.obj')",
        "Look at the line that is named. A decimal comma comes of a program that writes numbers in"
        " the language of the desktop: set it to English and export again.",
    ),
    "TruncatedError": Example(
        "mc.save('scan.ply', face(300))\n"
        "Path('scan.ply').write_bytes(Path('scan.ply').read_bytes()[:-100])\n"
        "mc.load('scan.ply')",
        "The copy was broken off. Copy again and compare sizes.",
    ),
    "UnsupportedFormatError": Example(
        "mc.save('scan.3ds', face(300))",
        "Choose one of the formats in the message, or add a reader"
        " ([Architecture](architecture.md#a-reader)).",
    ),
    "SecurityError": Example(
        "Path('scan.vtp').write_text('<?xml version=\"1.0\"?>'\n"
        '    \'<!DOCTYPE x [<!ENTITY a "b">]><VTKFile type="PolyData">&a;</VTKFile>\')\n'
        "mc.load('scan.vtp')",
        "Do not open such a file unless you know who made it. `mc.read(..., on_security='ignore')`"
        " reads what is harmless of it, where the message offers that.",
    ),
    "MissingFileError": Example(
        "mc.load('nobody.ply')",
        "Check the name, and from which folder the program was started.",
    ),
    "FolderError": Example(
        "Path('scans').mkdir()\nmc.load('scans')",
        "Name one file; `mc.FolderDataset` reads a folder with its table.",
    ),
    "AccessError": Example(
        "mc.save('/sys/scan.ply', face(300))",
        "Write elsewhere, or ask for the right to write there. The old file is as it was.",
    ),
    "EmptyMeshError": Example(
        "mc.Surface(np.zeros((0, 3)), np.zeros((0, 3), int))",
        "There is nothing in the file or the arrays; look at where they come from.",
    ),
    "NoFacesError": Example(
        "Path('points.obj').write_text('v 0 0 0\\nv 1 0 0\\nv 0 1 0\\n')\nmc.load('points.obj')",
        "A point cloud has no surface. Reconstruct one in the scanner's software, or with Poisson"
        " reconstruction in MeshLab, and load that.",
    ),
    "IndexOutOfRangeError": Example(
        "mc.Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[1, 2, 3]])",
        "Faces count from 0. Arrays from MATLAB and text files count from 1: subtract 1.",
    ),
    "NonFiniteError": Example(
        "mc.Surface([[0, 0, 0], [1, 0, 0], [0, np.nan, 0]], [[0, 1, 2]])",
        "Drop the vertices that the message names, with their faces, or find out why they have no"
        " place.",
    ),
    "DegenerateError": Example(
        "mc.repair(([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]]))",
        "All points lie in one place or on one line: the wrong columns, most often.",
    ),
    "NonManifoldError": Example(
        "fan = [[0, 0, 0], [0, 0, 1], [1, 0, 0], [-1, 0, 0], [0, 1, 0]]\n"
        "mc.conformal_map(mc.Surface(fan, [[0, 1, 2], [1, 0, 3], [0, 1, 4]]))",
        "`mc.repair` separates the sheets; what was cut is said.",
    ),
    "OrientationError": Example(
        "from meshconv.operators.curvature import mean_curvature\n"
        "band = [[np.cos(t) * (2 + w * np.cos(t / 2)), np.sin(t) * (2 + w * np.cos(t / 2)),\n"
        "         w * np.sin(t / 2)] for t in np.linspace(0, 2 * np.pi, 24, False)"
        " for w in (-0.5, 0.5)]\n"
        "faces = [f for k in range(0, 46, 2) for f in ([k, k + 2, k + 1], [k + 1, k + 2, k + 3])]\n"
        "mean_curvature(mc.Surface(band, [*faces, [46, 1, 47], [47, 1, 0]]))",
        "A Moebius strip has no outside. Cut it open; a scan is never one, but two scans stitched"
        " wrongly may be.",
    ),
    "TopologyError": Example(
        "mc.conformal_map(icosphere(2))",
        "The message counts components, borders and handles, and names the call that helps:"
        " `repair`, `cut`, or another `domain`.",
    ),
    "ScaleError": Example(
        "flat = face(300)\nmc.gaussian_curvature(mc.Surface(flat.vertices * 1e-160, flat.faces))",
        "The result would not fit into a floating-point number. Give coordinates in a unit that"
        " suits the thing, such as millimetres.",
    ),
    "SolverError": Example(
        "mc.SPDSolver(np.array([[1.0, 2.0], [2.0, 1.0]]))",
        "The matrix is not positive definite. For a Laplacian fix a value in each component, or add"
        " a multiple of the mass matrix.",
    ),
    "DensityError": Example(
        "flat = mc.conformal_map(face(300))\n"
        "mc.density_equalizing_map(flat, np.zeros(flat.surface.n_faces))",
        "A density is positive everywhere. Add a floor, such as a hundredth of its mean.",
    ),
    "FoldError": Example(
        "flat = mc.conformal_map(face(300))\nturned = flat.coordinates.copy()\n"
        "turned[0] = turned[5] = [0.9, 0.1]\n"
        "mc.density_equalizing_map(mc.Parameterization(flat.surface, turned, 'disk'))",
        "A map that was made elsewhere folds. Take `mc.conformal_map`, which never does.",
    ),
    "CheckpointError": Example(
        "mc.Template.from_surface(face(300)).save('frame.npz')\n"
        "data = bytearray(Path('frame.npz').read_bytes())\ndata[len(data) // 2] ^= 1\n"
        "Path('frame.npz').write_bytes(data)\nmc.Template.load('frame.npz')",
        "The file is damaged, or was made with other settings, which are then both named. Make it"
        " anew, or name another file.",
    ),
    "MissingDependencyError": Example(
        "import sys\nfrom unittest.mock import patch\n\n"
        "from meshconv.datasets.table import read_table\n\n"
        "Path('scans.xlsx').write_bytes(b'PK\\x03\\x04')\n"
        "with patch.dict(sys.modules, openpyxl=None):  # as if it were not installed\n"
        "    read_table(Path('scans.xlsx'), ('file',))",
        "Run the `pip install` line of the message.",
    ),
    "RenderingUnavailableError": Example(
        "from unittest.mock import patch\n\nfrom meshconv.viz import rendering\n\n"
        "with patch.object(rendering, '_PROBE', 'raise SystemExit(1)'):  # as without OpenGL\n"
        "    rendering.rendering_backend.__wrapped__()",
        "Run the `apt-get` line of the message. Everything that draws nothing works without.",
    ),
    "LoadWarning": Example(
        "text = 'mtllib none.mtl\\nv 0 0 0\\nv 1 0 0\\nv 0 1 0\\nf 1 2 3\\n'\n"
        "Path('scan.obj').write_text(text)\n"
        "mc.load('scan.obj')",
        "Read what was dropped or is doubtful; `mc.read(...).warnings` has the same sentences.",
    ),
    "RepairWarning": Example(
        f"one = {_SHEET}\nfar = face(300)\n"
        "mc.repair(mc.Surface(np.vstack([far.vertices, one.vertices + 500]),\n"
        "    np.vstack([far.faces, one.faces + far.n_vertices])))",
        "Something was lost or cut. If it should not be, see the options of `mc.repair`.",
    ),
    "AccuracyWarning": Example(
        "strip = mc.Surface([[x, y, 0] for x in range(60) for y in (0, 1)],\n"
        "    [f for k in range(0, 118, 2) for f in ([k, k + 2, k + 1], [k + 1, k + 2, k + 3])])\n"
        "mc.conformal_map(strip)",
        "The result is valid. Both errors are named, and the domain that would suit better.",
    ),
    "RegistrationWarning": Example(
        "mc.register(cap(12), mc.Template.from_surface(face(600)))",
        "Look at the scan: `meshconv frame STUDY --sheet sheet.html` shows all of a study. Leave"
        " it out, or give landmarks.",
    ),
    "CacheWarning": Example(
        "from meshconv.train.config import PrepareConfig\n"
        "from meshconv.train.prepare import prepare\n"
        "frame = mc.Template.from_surface(face(400))\n"
        "def once():\n"
        "    prepare([face(400)], frame, config=PrepareConfig(size=17), cache='cache',"
        " progress=False)\n"
        "once()\n"
        "for path in Path('cache').iterdir():\n    path.write_bytes(b'half')\nonce()",
        "Nothing: what was damaged has been made anew.",
    ),
}
BASES = ("MeshConvError", "MeshDataError", "MeshConvWarning")  # never raised themselves


def message_of(name: str) -> str:
    """Run an example and return its message, which must be of an error or warning of that class."""
    import numpy as np

    import meshconv as mc
    from meshconv import errors
    from meshconv.mesh.shapes import cap, face, icosphere

    names = {"mc": mc, "np": np, "Path": Path, "face": face, "icosphere": icosphere, "cap": cap}
    wanted, here = getattr(errors, name), Path.cwd()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        os.chdir(folder)
        try:
            exec(compile(EXAMPLES[name].code, name, "exec"), names)
        except errors.MeshConvError as error:
            found: object = error
        else:
            found = next((w.message for w in said if isinstance(w.message, wanted)), None)
        finally:
            os.chdir(here)
    if type(found) is not wanted:
        raise AssertionError(f"the example of {name} gives {type(found).__name__}: {found}")
    return f"{name}: {re.sub(re.escape(folder) + '/?', '', str(found))}"
