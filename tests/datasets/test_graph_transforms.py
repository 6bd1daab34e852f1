import numpy as np
import pytest
import torch

pytest.importorskip("torch_geometric")

from scipy.spatial.transform import Rotation
from torch_geometric.data import Data
from torch_geometric.transforms import Compose, FaceToEdge

from meshconv.datasets.graph import scan_graph
from meshconv.datasets.graph_transforms import (
    FarthestPoints,
    MeshEdges,
    NearestNeighbours,
    NormalizedPose,
    VertexFeatures,
    VertexNormals,
)
from meshconv.errors import ArgumentError
from meshconv.mesh.shapes import face, icosphere
from meshconv.mesh.surface import Surface


def _moved(surface, seed, scale=1.0):
    turn = Rotation.random(random_state=seed).as_matrix()
    return scan_graph(
        Surface(scale * surface.vertices @ turn.T + [5.0, -30.0, 12.0], surface.faces)
    )


def test_mesh_edges_are_those_of_torch_geometric():
    graph = scan_graph(face(300))
    ours = MeshEdges()(graph).edge_index
    theirs = FaceToEdge(remove_faces=False)(graph).edge_index
    assert {tuple(edge) for edge in ours.T.tolist()} == {tuple(edge) for edge in theirs.T.tolist()}
    assert ours.shape == theirs.shape


def test_neighbours_are_the_nearest_others():
    points = np.random.default_rng(0).normal(size=(80, 3))
    points[7] = points[3]  # coinciding points are neighbours, too
    edges = NearestNeighbours(5)(
        Data(pos=torch.from_numpy(points.astype(np.float32)))
    ).edge_index.numpy()
    distance = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(distance, np.inf)
    for k in range(80):
        mine = edges[0, edges[1] == k]
        assert len(set(mine)) == 5 and k not in mine
        np.testing.assert_allclose(np.sort(distance[k, mine]), np.sort(distance[k])[:5], atol=1e-6)
    few = NearestNeighbours(9)(Data(pos=torch.eye(3))).edge_index
    assert sorted(map(tuple, few.T.tolist())) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    assert NearestNeighbours(3)(Data(pos=torch.zeros(1, 3))).edge_index.shape == (2, 0)


def test_the_pose_is_taken_away():
    shape = face(900, identity=3)
    first, second = (
        NormalizedPose()(_moved(shape, seed, scale)).pos.numpy()
        for seed, scale in ((1, 1.0), (2, 7.0))
    )
    np.testing.assert_allclose(first, second, atol=2e-5)  # float32 far from the origin
    there = Surface(first, shape.faces)
    assert there.area == pytest.approx(1.0, rel=1e-5)
    np.testing.assert_allclose(there.face_areas @ first[shape.faces].mean(axis=1), 0, atol=1e-5)
    extent = np.ptp(first, axis=0)
    assert extent[0] > extent[1] > extent[2]
    kept = NormalizedPose(scale=False)(_moved(shape, 1, 7.0)).pos.numpy()
    np.testing.assert_allclose(kept / 7 / np.sqrt(shape.area), first, atol=2e-5)


def test_dividing_the_faces_changes_nothing():
    """Moments are of the surface, exactly: the same surface in four times as many faces has the
    same axes.
    """
    points = np.random.default_rng(5).normal(size=(6, 3)) * [3, 2, 1]
    faces = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 5]])
    a, b, c = points[faces].swapaxes(0, 1)
    d, e, f = (a + b) / 2, (b + c) / 2, (c + a) / 2
    corners = np.concatenate(
        [np.stack(t, axis=1) for t in ((a, d, f), (d, b, e), (f, e, c), (d, e, f))]
    )
    fine = Surface(corners.reshape(-1, 3), np.arange(3 * len(corners)).reshape(-1, 3))
    first, second = (
        NormalizedPose()(scan_graph(one)).pos.numpy() for one in (Surface(points, faces), fine)
    )
    np.testing.assert_allclose(second[::3][: len(faces)], first[faces[:, 0]], atol=1e-6)
    np.testing.assert_allclose(
        second[1 + 3 * len(faces) :: 3][: len(faces)], first[faces[:, 1]], atol=1e-6
    )


def test_a_denser_mesh_gives_the_same_pose_and_a_mirror_image_stays_one():
    """Marks on an analytic face, meshed coarsely and finely; and mirrored, where a handed shape
    shows.
    """
    coarse, fine = (NormalizedPose()(_moved(face(n, identity=3), n)) for n in (800, 3000))
    for first, second in ((coarse, fine), (fine, coarse)):
        apart = torch.cdist(first.pos, second.pos).min(dim=1).values
        assert apart.quantile(0.99) < 0.05  # sides of the coarse mesh are .04
    handed = Surface(
        icosphere(3).vertices * [3, 2, 1] + 0.4 * icosphere(3).vertices[:, [1, 2, 0]] ** 2,
        icosphere(3).faces,
    )
    mirrored = Surface(handed.vertices * [-1, 1, 1], handed.faces[:, ::-1])
    a, b = (NormalizedPose()(scan_graph(one)).pos.numpy() for one in (handed, mirrored))
    axis = abs(a + b).max(axis=0).argmin()
    flip = np.where(np.arange(3) == axis, -1, 1)
    np.testing.assert_allclose(a * flip, b, atol=1e-5)
    assert abs(a - b).max() > 0.1


def test_normals_and_features_of_a_sphere():
    sphere = icosphere(4, radius=50.0)
    graph = Compose(
        [VertexNormals(), VertexFeatures(["mean_curvature", "gaussian_curvature", "normal"])]
    )(scan_graph(sphere))
    np.testing.assert_allclose(
        graph.normal.numpy(), sphere.vertices / 50, atol=1e-2
    )  # faces are flat
    np.testing.assert_allclose(
        graph.x[:, 0], np.sqrt(4 * np.pi), rtol=0.01
    )  # 1/R in units of the square root of area
    np.testing.assert_allclose(graph.x[:, 1], 4 * np.pi, rtol=0.02)
    assert torch.equal(graph.x[:, 2:], graph.normal)


def test_intrinsic_features_do_not_turn_or_grow_with_the_surface():
    shape = face(400, identity=1)
    names = ["mean_curvature", "gaussian_curvature", "shape_index", "heat_kernel_signature"]
    first, second = (
        VertexFeatures(names)(_moved(shape, seed, scale)).x for seed, scale in ((1, 1.0), (2, 3.0))
    )
    assert first.shape == (shape.n_vertices, 19)
    spread = first.std(dim=0)
    assert ((first - second).abs().mean(dim=0) < 0.01 * spread).all()
    one = VertexFeatures(["shape_index"])(VertexFeatures(["mean_curvature"])(scan_graph(shape)))
    torch.testing.assert_close(
        one.x, VertexFeatures(["mean_curvature", "shape_index"])(scan_graph(shape)).x
    )


def test_farthest_points_are_spread_and_carry_all_with_them():
    graph = scan_graph(face(900))
    graph.truth = torch.arange(graph.num_nodes)
    thin = FarthestPoints(60)(graph)
    assert torch.equal(thin.truth, thin.vertex) and torch.equal(thin.pos, graph.pos[thin.vertex])
    assert thin.num_nodes == 60 == len(set(thin.vertex.tolist()))
    assert thin.face is None and thin.edge_index is None and graph.face is not None
    apart = torch.cdist(thin.pos, thin.pos).fill_diagonal_(np.inf).min()
    reach = torch.cdist(graph.pos, thin.pos).min(dim=1).values.max()
    assert reach <= apart * (
        1 + 1e-5
    )  # the defining property: no vertex is farther than the kept are apart
    assert torch.equal(FarthestPoints(60)(graph).vertex, thin.vertex)
    assert FarthestPoints(5)(Data(pos=torch.zeros(3, 3))).num_nodes == 3
    points = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))  # no ties
    order = torch.randperm(500, generator=torch.Generator().manual_seed(1))
    first, second = (FarthestPoints(60)(Data(pos=pos)) for pos in (points, points[order]))
    assert torch.equal(first.pos, second.pos)


def test_the_given_data_are_not_changed():
    graph = scan_graph(face(300))
    before = {name: value.clone() for name, value in graph.to_dict().items()}
    Compose(
        [
            NormalizedPose(),
            VertexNormals(),
            VertexFeatures(),
            FarthestPoints(20),
            NearestNeighbours(3),
        ]
    )(graph)
    assert graph.to_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in graph.to_dict().items())


def test_refusals():
    with pytest.raises(ArgumentError, match="k must be at least 1, found 0"):
        NearestNeighbours(0)
    with pytest.raises(ArgumentError, match="n must be at least 1, found 0"):
        FarthestPoints(0)
    with pytest.raises(ArgumentError, match=r"feature must be one of 'position', .*found 'colour'"):
        VertexFeatures(["colour"])
    with pytest.raises(ArgumentError, match="names must be a list of features, found 'normal'"):
        VertexFeatures("normal")
