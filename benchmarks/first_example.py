"""The first example of each extra, for an environment where only the wheel is installed.

python first_example.py [EXTRA ...]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import meshconv as mc
from meshconv.mesh.shapes import face


def core(folder: Path) -> None:
    """From a file to an image and back to a file."""
    mc.save(folder / "scan.ply", face(600))
    scan = mc.repair(mc.load(folder / "scan.ply")).surface
    even = mc.density_equalizing_map(mc.conformal_map(scan))
    assert len(even.flipped_faces()) == 0 and even.misplaced_mass < 0.02
    frame = mc.Template.from_surface(face(500, identity=1))
    image = mc.place(scan, frame, size=17).image()
    assert image.mask.any()
    mc.save(folder / "scan.vtp", scan, vertex_fields={"distance": mc.geodesic_distance(scan, 0)})
    assert "base64" in even._repr_html_()


def view(folder: Path) -> None:
    """A picture of a map, where there is OpenGL."""
    from meshconv.errors import RenderingUnavailableError
    from meshconv.viz.map_picture import map_figure
    from meshconv.viz.picture import save_figure

    try:
        save_figure(map_figure(mc.conformal_map(face(400)), size=200), folder / "map.png")
    except RenderingUnavailableError as error:
        print(f"not drawn: {error}")


def learn(folder: Path) -> None:
    """A classifier of eight faces, kept in a file, explains one."""
    frame = mc.Template.from_surface(face(500))
    people = mc.ProceduralFaces(8, "nose_tip", 8.0, n_vertices=300, pose=False)
    model = mc.SurfaceClassifier(template=frame, size=33, network_size=9, epochs=4, verdict=0).fit(
        people
    )
    model.save(folder / "model.mc")
    found = mc.SurfaceClassifier.load(folder / "model.mc").explain(people[1])
    assert found.saliency.shape == (people[1].surface.n_vertices,)


def excel(folder: Path) -> None:
    """A study whose table is a workbook."""
    import openpyxl

    book = openpyxl.Workbook()
    for line in (("file", "label"), ("a.ply", "case"), ("b.ply", "control")):
        book.active.append(line)
    book.save(folder / "labels.xlsx")
    for name in ("a", "b"):
        mc.save(folder / f"{name}.ply", face(200))
    assert mc.FolderDataset(folder).labels == ["case", "control"]


def exchange(folder: Path) -> None:
    """To trimesh and back."""
    surface = face(200)
    assert mc.Surface.from_trimesh(surface.to_trimesh()) == surface


def scale(folder: Path) -> None:
    """The packages of a Dask cluster are there."""
    import dask
    import distributed

    assert dask.__version__ and distributed.__version__


if __name__ == "__main__":
    for job in (core, *(globals()[name] for name in sys.argv[1:])):
        with tempfile.TemporaryDirectory() as place:
            job(Path(place))
        print(f"{job.__name__}: done")
