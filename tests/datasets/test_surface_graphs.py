import io
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

pytest.importorskip("torch_geometric")

from torch_geometric.loader import DataLoader
from torch_geometric.transforms import Compose

from meshconv.benchmark.graph_networks import EdgeNetwork
from meshconv.datasets import surface_graphs as module
from meshconv.datasets.folder import FolderDataset
from meshconv.datasets.graph import image_graph, scan_graph
from meshconv.datasets.graph_transforms import NearestNeighbours, NormalizedPose, VertexFeatures
from meshconv.datasets.procedural import ProceduralFaces
from meshconv.datasets.surface_graphs import SurfaceGraphs
from meshconv.errors import ArgumentError, ArrayTypeError, CheckpointError, MeshConvError
from meshconv.io import save
from meshconv.mesh.shapes import disk, face
from meshconv.mesh.surface import Surface
from meshconv.resample.geometry_image import GeometryImage
from meshconv.train.prepared import Prepared

FACES = ProceduralFaces(4, n_vertices=300, mirrored=0.5, seed=1)


def test_a_scan_as_a_graph_is_the_scan():
    for scan in FACES:
        graph = scan_graph(scan)
        hand = [-1, 1, 1] if scan.mirrored else [1, 1, 1]
        np.testing.assert_array_equal(
            graph.pos.numpy(), (scan.surface.vertices * hand).astype(np.float32)
        )
        back = Surface.from_torch_geometric(graph)
        np.testing.assert_array_equal(back.edges, scan.surface.edges)
        assert graph.y.tolist() == [scan.label] and (graph.name, graph.subject) == (
            scan.name,
            scan.subject,
        )
        np.testing.assert_array_equal(graph.truth.numpy(), scan.truth.astype(np.float32))
        assert graph.validate() and graph.is_undirected() and not graph.has_self_loops()
    assert any(scan.mirrored for scan in FACES) and not all(scan.mirrored for scan in FACES)
    flat = ProceduralFaces(2, n_vertices=300, mirrored=1.0, pose=False, noise=0.0)[0]
    assert (
        Surface.from_torch_geometric(scan_graph(flat)).vertex_normals[:, 2] > 0
    ).mean() > 0.8  # seen from outside


def test_a_data_set_comes_back_from_its_file(tmp_path):
    made = SurfaceGraphs(tmp_path, FACES)
    again = SurfaceGraphs(tmp_path)
    assert len(made) == len(again) == 4 and again.num_classes == 2
    for k, scan in enumerate(FACES):
        for data in (made[k], again[k]):
            expected = scan_graph(scan)
            assert torch.equal(data.pos, expected.pos) and torch.equal(data.face, expected.face)
            assert data.name == scan.name and torch.equal(data.truth, expected.truth)
    assert torch.equal(again.y, torch.tensor([0, 1, 0, 1]))
    assert len(again[1:3]) == 2 and again[1:3][0].name == FACES[1].name
    assert [path.name for path in (tmp_path / "processed").iterdir()] == ["graphs.pt"]


def test_one_scan_is_a_data_set_too(tmp_path):
    for made in (
        SurfaceGraphs(tmp_path, FACES[:1]),
        SurfaceGraphs(tmp_path),
        SurfaceGraphs(None, FACES[:1]),
    ):
        assert len(made) == 1 and made[0].name == FACES[0].name


def test_batches_go_through_a_network(tmp_path):
    steps = Compose(
        [NormalizedPose(), VertexFeatures(["normal", "mean_curvature"]), NearestNeighbours(6)]
    )
    graphs = SurfaceGraphs(tmp_path, FACES, pre_transform=steps)
    model = EdgeNetwork(4, 2, width=8, seed=0).eval()
    with torch.no_grad():
        for batch in DataLoader(graphs, batch_size=4):
            logits = model(batch.pos, batch.edge_index, batch.batch, batch.x)
            assert logits.shape == (4, 2) and batch.name == [scan.name for scan in FACES]
            alone = torch.cat([model(g.pos, g.edge_index, x=g.x) for g in graphs])
            torch.testing.assert_close(logits, alone, rtol=1e-4, atol=1e-5)


def test_prepared_images_become_graphs_of_their_pixels():
    channels = np.random.default_rng(0).random((2, 5, 5))
    mask = np.ones((5, 5), dtype=bool)
    mask[0, 0] = mask[4, 1] = False
    image = GeometryImage(np.where(mask, channels, np.nan), ("a", "b"), mask)
    graph = image_graph(image, 1)
    rows, columns = np.divmod(graph.pixel.numpy(), 5)
    np.testing.assert_allclose(graph.x.numpy(), image.channels[:, rows, columns].T, rtol=1e-6)
    np.testing.assert_allclose(
        graph.pos.numpy(), np.column_stack([columns / 4, rows / 4, 0 * rows]), atol=1e-7
    )
    length = (graph.pos[graph.edge_index[0]] - graph.pos[graph.edge_index[1]]).norm(dim=1)
    assert (
        graph.num_nodes == 23 and length.max() < 0.36 and graph.is_undirected()
    )  # neighbours and diagonals
    whole = image_graph(GeometryImage(channels, ("a", "b"), np.ones((5, 5), dtype=bool)))
    assert whole.face.shape[1] == 32 and Surface.from_torch_geometric(whole).area == pytest.approx(
        1.0
    )
    images = np.stack([image.channels, image.channels]).astype(np.float32)
    ready = Prepared(images, ("a", "b"), ("x", "y"), ("", ""), np.array([1, 0]), np.arange(2))
    made = SurfaceGraphs(None, ready)
    assert [data.name for data in made] == ["x", "y"] and made.y.tolist() == [1, 0]
    assert torch.equal(made[0].x, graph.x)


def test_a_folder_with_bad_scans(tmp_path):
    for k, name in enumerate(("a.ply", "b.obj", "c.stl")):
        save(tmp_path / name, disk(3 + k))
    (tmp_path / "bad.ply").write_bytes(b"ply\n")
    (tmp_path / "labels.csv").write_text(
        "file,label\nbad.ply,sick\na.ply,sick\nb.obj,well\nc.stl,well\n"
    )
    scans = FolderDataset(tmp_path)
    with pytest.raises(MeshConvError, match=r"bad\.ply"):
        SurfaceGraphs(tmp_path / "g", scans)
    assert not (tmp_path / "g" / "processed" / "graphs.pt").exists()
    for made in (
        SurfaceGraphs(tmp_path / "g", scans, on_error="skip"),
        SurfaceGraphs(tmp_path / "g", scans),
    ):
        assert [data.name for data in made] == ["a.ply", "b.obj", "c.stl"] and made.classes == (
            "sick",
            "well",
        )
        assert len(made.skipped) == 1 and made.skipped[0].startswith("bad.ply: ")
    with pytest.raises(
        ArgumentError, match=r"none of 1 scans became a graph; first scan 0: .*no faces"
    ):
        SurfaceGraphs(None, [(np.eye(3), np.zeros((0, 3)))], on_error="skip")


def test_surfaces_with_labels_of_their_own():
    made = SurfaceGraphs(None, [disk(3), face(300)], [7, 2])
    assert made.y.tolist() == [7, 2] and made[1].num_nodes == face(300).n_vertices
    with pytest.raises(ArrayTypeError, match=r"labels must be \(2,\) integers, found \(1,\)"):
        SurfaceGraphs(None, [disk(3), disk(3)], [1])


def test_a_file_of_something_else_is_refused(tmp_path):
    SurfaceGraphs(tmp_path, FACES, pre_transform=NearestNeighbours(4))
    others = (
        {
            "scans": ProceduralFaces(4, n_vertices=300, seed=2),
            "pre_transform": NearestNeighbours(4),
        },
        {"scans": FACES[:3], "pre_transform": NearestNeighbours(4)},
        {"scans": FACES, "labels": [1, 1, 0, 0], "pre_transform": NearestNeighbours(4)},
        {"scans": FACES, "pre_transform": NearestNeighbours(5)},
        {"scans": FACES},
        {"pre_transform": NearestNeighbours(5)},
    )
    for options in others:
        with pytest.raises(
            ArgumentError, match=r"graphs\.pt.*made of something else.*force_reload"
        ):
            SurfaceGraphs(tmp_path, **options)
    SurfaceGraphs(tmp_path, FACES, pre_transform=NearestNeighbours(4))
    made = SurfaceGraphs(tmp_path, FACES, pre_transform=NearestNeighbours(5), force_reload=True)
    assert made[0].edge_index.shape[1] == 5 * made[0].num_nodes
    with pytest.raises(ArgumentError, match="no scans were given and there is no processed file"):
        SurfaceGraphs(tmp_path / "empty")


@pytest.mark.parametrize("place", [10, 5000, -40, -1])
def test_a_flipped_byte_is_noticed(tmp_path, place):
    SurfaceGraphs(tmp_path, FACES[:2])
    path = tmp_path / "processed" / "graphs.pt"
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match=r"graphs\.pt.*checksum does not match"):
        SurfaceGraphs(tmp_path)


class _Trap:
    def __reduce__(self):
        return os.mkdir, (os.environ["MESHCONV_TRAP"],)


def test_a_file_that_would_run_code_is_refused(tmp_path, monkeypatch):
    """With a right checksum, and in the pickles that torch-geometric itself would read."""
    monkeypatch.setenv("MESHCONV_TRAP", str(tmp_path / "sprung"))
    SurfaceGraphs(tmp_path, FACES[:2])
    for name in ("pre_transform.pt", "pre_filter.pt"):
        torch.save(_Trap(), tmp_path / "processed" / name)
    assert len(SurfaceGraphs(tmp_path)) == 2 and not (tmp_path / "sprung").exists()
    module._write(tmp_path / "processed" / "graphs.pt", {"format": 1, "data": _Trap()})
    with pytest.raises(CheckpointError, match="holds more than tensors and text"):
        SurfaceGraphs(tmp_path)
    assert not (tmp_path / "sprung").exists()
    module._write(tmp_path / "processed" / "graphs.pt", {"format": 99})
    with pytest.raises(CheckpointError, match="of another format"):
        SurfaceGraphs(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    SurfaceGraphs(tmp_path, FACES[:2])
    path = tmp_path / "processed" / "graphs.pt"
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MeshConvError, match=r"graphs\.pt.*No space left"):
        SurfaceGraphs(tmp_path, FACES, force_reload=True)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1
    assert io.BytesIO(before).read(2) == b"PK"


def test_nothing_of_it_is_imported_unasked():
    code = "import sys, meshconv, meshconv.datasets, meshconv.nn"
    code += "; print('torch_geometric' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
