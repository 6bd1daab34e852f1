"""Compile everything once: the main jobs on small generated surfaces."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

import meshconv as mc
from meshconv._progress import Meter, metered
from meshconv.errors import MeshConvWarning
from meshconv.io import read, save
from meshconv.maps.composition import compose
from meshconv.mesh.shapes import annulus, face, icosphere, torus
from meshconv.mesh.surface import Surface

_OLD_VTK = (
    "# vtk DataFile Version 3.0\n\nASCII\nDATASET POLYDATA\nPOINTS 3 float\n0 0 0 1 0 0 0 1 0\n"
    "POLYGONS 1 4\n3 0 1 2\n"
)
_N = 900  # vertices of a face: what is compiled is the same for one of 100,000


def run(*, progress: bool = True) -> dict[str, float]:
    """Do every kind of job once, so that none has to compile when it is wanted.

    Parameters
    ----------
    progress : bool
        Show a bar on a terminal, elsewhere a line a minute.

    Returns
    -------
    seconds : dict of str to float
        What each kind took; some seconds where code was compiled, less where it was at hand.
    """
    seconds: dict[str, float] = {}
    meter = Meter("compile", "job", len(_JOBS), shown=progress)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeshConvWarning)  # odd surfaces are made on purpose
        for name, job in metered(_JOBS.items(), meter):
            start = time.perf_counter()
            job()
            seconds[name] = round(time.perf_counter() - start, 2)
    return seconds


def _files() -> None:
    """Every format, and what a small file does without a compiler."""
    import numba  # noqa: F401 - from here on, nothing is small

    with tempfile.TemporaryDirectory() as folder:
        for form in ("obj", "ply", "stl", "off", "vtp", "vtk", "glb", "gltf"):
            save(Path(folder) / f"a.{form}", face(_N))
            read(Path(folder) / f"a.{form}")
        odd = Path(folder) / "odd.obj"
        corners = "f 1/1 2/2 3/3 4/4 5/5\nf 1/1 5/5 4/4\n"
        rows = ("0 0", "2 0", "2 2", ".5 .5", "0 2")
        odd.write_text("".join(f"v {row} 0 1\nvt {row}\n" for row in rows) + corners)
        found = read(odd)
        save(Path(folder) / "odd.ply", found.surface, corner_uv=found.corner_uv)
        (Path(folder) / "old.vtk").write_text(_OLD_VTK)
        read(Path(folder) / "old.vtk")
        for form, order in (("little", "<"), ("big", ">")):
            (Path(folder) / "ragged.ply").write_bytes(_ragged(form, order))
            read(Path(folder) / "ragged.ply")


def _ragged(form: str, order: str) -> bytes:
    """A binary PLY file of a triangle and a quad."""
    head = (
        f"ply\nformat binary_{form}_endian 1.0\nelement vertex 5\nproperty float x\nproperty float"
        " y\nproperty float z\nelement face 2\nproperty list uchar int vertex_indices\nend_header\n"
    )
    points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [2, 2, 0]], order + "f4")
    lists = b"".join(
        bytes([len(ids)]) + np.array(ids, order + "i4").tobytes()
        for ids in ([0, 1, 2, 3], [1, 4, 2])
    )
    return head.encode() + points.tobytes() + lists


def _mending() -> None:
    whole = face(_N)
    keep = np.ones(whole.n_faces, np.bool_)
    keep[whole.n_faces // 2] = False
    faces = whole.faces[keep].copy()
    faces[::7] = faces[::7, ::-1]
    vertices = np.vstack([whole.vertices, whole.vertices[faces[-1, :1]]])
    faces[-1, 0] = len(vertices) - 1
    mc.repair(Surface(vertices, faces))
    mc.repair(annulus())
    mc.repair(Surface(whole.vertices, whole.faces[:-50]), wrap=True)
    mc.repair(torus(), remove_handles=True)
    mc.cut(torus())
    mc.crop(whole, whole.vertices[0], 60.0)


def _measuring() -> None:
    surface = face(_N)
    mc.geodesic_distance(surface, 0)
    mc.principal_curvatures(surface)
    mc.laplacian_eigenpairs(surface, 8)
    mc.local_thickness(icosphere(3))
    mc.gradient(surface)


def _shuffled(surface: Surface) -> Surface:
    """The same surface with its vertices in no order."""
    rank = np.random.default_rng(0).permutation(surface.n_vertices)
    vertices = np.empty_like(surface.vertices)
    vertices[rank] = surface.vertices
    return Surface(vertices, rank[surface.faces])


def _maps() -> None:
    flat = mc.conformal_map(face(_N))
    mc.density_equalizing_map(flat)
    square = mc.conformal_map(face(_N), domain="rectangle")
    mc.density_equalizing_map(square)
    mc.conformal_map(face(_N), domain="free")
    mc.conformal_map(annulus(), holes="fill")
    mc.density_equalizing_map(mc.conformal_map(icosphere(3), domain="sphere"))
    compose(flat, flat, flat)
    mc.conformal_map(_shuffled(face(12_000)))
    mc.distortion(mc.quasiconformal_map(flat, 0.2 * np.ones(flat.surface.n_faces, complex)))


def _frames() -> None:
    faces = [face(_N, identity=k, triangulation=k) for k in range(3)]
    template = mc.Template.from_population(faces)
    framed = mc.register(faces[0], template)
    image = mc.Resampler(framed, 33).to_image(mc.channels(faces[0], framed))
    mc.Resampler(framed, 33).to_vertices(image.channels[0])


_JOBS: dict[str, Callable[[], None]] = {
    "files": _files,
    "check and repair": _mending,
    "operators": _measuring,
    "maps": _maps,
    "frames and images": _frames,
}
