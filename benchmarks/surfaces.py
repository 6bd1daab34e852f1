"""The surfaces that are hardest to map, with their maps on one page; all closed organs, area kept.

    MESHCONV_DATA=... python benchmarks/surfaces.py --files MESHES    # about 6 minutes on one core

Closed organs: lung nodules, hippocampi and adrenal glands, every `--every`-th of each: conformal to
the sphere, then area-preserving; folds are counted by the sign of determinants computed here, and
what lies in the wrong place is computed here too. Hard surfaces: what a folder of meshes holds (any
state: what is not one clean surface is mended, or wrapped), heads, hands and brains of others, the
worst organs, a wrapped bird skull, a wrapped CT skull. Writes results/surfaces.json and
results/surfaces.png.
"""

from __future__ import annotations

import argparse
import io
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from _common import RESULTS, environment, one_thread, print_table, write

one_thread()

import numpy as np

from meshconv import Surface, check, conformal_map, density_equalizing_map, load, repair
from meshconv.datasets.adrenal import AdrenalSurfaces
from meshconv.datasets.files import find_data
from meshconv.datasets.mask import surface_of_mask
from meshconv.datasets.volumes import Hippocampi
from meshconv.errors import AccuracyWarning, MeshConvError
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.skull import ct_skull
from meshconv.viz.map_picture import map_figure
from meshconv.viz.picture import pyplot

SHOWN, BAR = 22, 0.05
OTHERS = ("human_face", "chinese_lion", "david_head", "maxplanck_head", "hippocampus")
Named = Iterator[tuple[str, Surface]]


def packed(name: str, every: int = 1) -> Named:
    """Surfaces of one file, kept end to end."""
    data = np.load(find_data(name))
    arrays = {key: data[key] for key in ("vertices", "faces", "vertex_offset", "face_offset")}
    vertex, face, step = arrays["vertex_offset"], arrays["face_offset"], float(data["step"])
    for k in range(0, len(vertex) - 1, every):
        points = arrays["vertices"][vertex[k] : vertex[k + 1]] * step
        faces = arrays["faces"][face[k] : face[k + 1]].astype(np.int64)
        yield f"{name.split('_')[1].removesuffix('.npz')} {k}", Surface(points, faces)


def nodules(every: int) -> Named:
    """Lung nodules."""
    return packed("lidc_nodules.npz", every)


def hippocampi(every: int) -> Named:
    """Of the volumes' labels, both parts."""
    volumes = Hippocampi()
    for k in range(0, len(volumes), every):
        yield f"hippocampus {k}", surface_of_mask(volumes[k].label > 0)


def glands(every: int) -> Named:
    """Adrenal glands; a few masks have no surface of genus 0."""
    for split in ("train", "val", "test"):
        part = AdrenalSurfaces(split)
        for k in range(0, len(part), every):
            try:
                yield f"adrenal {split} {k}", part[k].surface
            except MeshConvError as error:
                print(f"adrenal {split} {k} has no closed surface: {error}")


def folds(flat: Parameterization) -> int:
    """Faces whose corners have no positive determinant."""
    corners = flat.coordinates[flat.surface.faces]
    if flat.domain == "sphere":
        return int((np.linalg.det(corners) <= 0).sum())
    return int((np.linalg.det(corners[:, 1:, :2] - corners[:, :1, :2]) <= 0).sum())


def misplaced(flat: Parameterization) -> float:
    """Half the sum of the differences between shares of area on the surface and in the map."""
    corners = flat.coordinates[flat.surface.faces]
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    if flat.domain != "sphere":
        one, other = (np.pad(x[:, :2], ((0, 0), (0, 1))) for x in (one, other))
    there = np.linalg.norm(np.cross(one, other), axis=1)
    here = flat.surface.face_areas
    return float(np.abs(there / there.sum() - here / here.sum()).sum() / 2)


def mapped(surface: Surface) -> tuple[Parameterization, dict[str, Any]]:
    """The area-preserving map, and what there is to say of it."""
    start = time.process_time()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        domain = "disk" if surface.boundary_loops else "sphere"
        flat = density_equalizing_map(conformal_map(surface, domain=domain))
    warned = [str(w.message) for w in said if issubclass(w.category, AccuracyWarning)]
    return flat, {
        "vertices": surface.n_vertices,
        "folds": folds(flat),
        "misplaced": misplaced(flat),
        "warned": warned,
        "CPU s": time.process_time() - start,
    }


def organs(named: Named) -> tuple[dict[str, Any], list[tuple[float, str, Any]]]:
    """How a kind of organ fares, and its worst two maps."""
    rows, failed, worst = [], [], []
    for name, surface in named:
        try:
            flat, row = mapped(surface)
        except MeshConvError as error:
            failed.append(f"{name}: {error}")
            continue
        rows.append(row)
        worst = sorted([*worst, (-row["misplaced"], name, flat)], key=lambda one: one[:2])[:2]
    above = [row for row in rows if row["misplaced"] > BAR]
    found = {
        "mapped": len(rows),
        "failed": failed,
        "with folds": sum(row["folds"] > 0 for row in rows),
        "misplaced, median": float(np.median([row["misplaced"] for row in rows])),
        "misplaced, most": max(row["misplaced"] for row in rows),
        f"above {BAR}": len(above),
        "of these warned": sum(bool(row["warned"]) for row in above),
        "CPU s each": float(np.median([row["CPU s"] for row in rows])),
    }
    return found, worst


def usable(surface: Surface) -> tuple[Surface, str]:
    """A surface that has a map, and what was done to it."""
    found = check(surface)
    if found.is_disk or found.is_sphere:
        return surface, ""
    ways: dict[str, Callable[[], Any]] = {
        "mended": lambda: repair(surface),
        "mended, handles removed": lambda: repair(surface, remove_handles=True),
        "wrapped": lambda: repair(surface, wrap=True),
    }
    for name, way in ways.items():
        try:
            result = way()
        except MeshConvError:
            continue
        if result.report_after.is_disk or result.report_after.is_sphere:
            return result.surface, name
    raise MeshConvError("nothing makes it a disk or a sphere")


def hard(files: Path | None) -> Named:
    """Meshes as people have them."""
    for path in sorted(files.iterdir()) if files else ():
        try:
            yield path.name, load(path)
        except MeshConvError as error:
            print(f"{path.name} is refused: {str(error)[:150]}")
    for name in OTHERS:
        yield name, load(find_data(f"choi_{name}.ply"))
    for name in ("human_brain", "hand"):
        data = np.load(find_data(f"choi_{name}.npz"))
        yield name, Surface(data["vertices"], data["faces"])
    data = np.load(find_data("finch_skulls.npz"))
    v, f = data["vptr"], data["fptr"]
    yield "bird skull", Surface(data["vertices"][v[5] : v[6]], data["faces"][f[5] : f[6]])
    yield "CT skull", ct_skull(5)
    yield next(packed("ventricles_ed.npz"))


def page(maps: list[tuple[str, Parameterization]]) -> None:
    """Checkerboard, map, angle error and area ratio of each, two beside each other."""
    plt = pyplot()
    pictures = []
    for name, flat in maps:
        fig = map_figure(flat, title=name, size=500)
        buffer = io.BytesIO()
        fig.savefig(buffer, format="png", dpi=50)
        plt.close(fig)
        pictures.append(plt.imread(io.BytesIO(buffer.getvalue())))
    if len(pictures) % 2:
        pictures.append(np.ones_like(pictures[0]))
    rows = [np.hstack(pictures[k : k + 2]) for k in range(0, len(pictures), 2)]
    plt.imsave(RESULTS / "surfaces.png", np.vstack(rows))


def main() -> None:
    """Map all, print, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--files", type=Path, help="a folder of hard meshes")
    parser.add_argument("--every", type=int, nargs=3, default=(1, 1, 1), help="of each organ")
    args = parser.parse_args()
    kinds, worst = [], []
    for kind, every in zip((nodules, hippocampi, glands), args.every, strict=True):
        found, bad = organs(kind(every))
        kinds.append({"organ": kind.__name__, "every": every, **found})
        print(kinds[-1], flush=True)
        worst += [(name, flat) for _, name, flat in bad]
    print_table([{**row, "failed": len(row["failed"])} for row in kinds])
    rows, maps = [], []
    for name, surface in hard(args.files):
        try:
            clean, done = usable(surface)
            flat, row = mapped(clean)
        except MeshConvError as error:
            rows.append({"surface": name, "refused": str(error)})
            print(name, "refused:", str(error)[:200])
            continue
        rows.append({"surface": name, "done": done, **row})
        print(name, done, {k: v for k, v in row.items() if k != "warned"}, row["warned"][:1])
        maps.append((f"{name} {done}".strip(), flat))
    room = max(SHOWN - len(worst), 0)
    maps.sort(key=lambda one: -misplaced(one[1]))
    page(maps[:room] + worst)
    record = {"environment": environment("numpy", "scipy"), "organs": kinds, "surfaces": rows}
    write("surfaces", record)


if __name__ == "__main__":
    main()
