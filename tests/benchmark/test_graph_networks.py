import pytest
import torch

pytest.importorskip("torch_geometric")

from meshconv.benchmark.graph_networks import EdgeNetwork, PointNetwork
from meshconv.errors import ArgumentError, ArrayTypeError

NETWORKS = pytest.mark.parametrize("network", [PointNetwork, EdgeNetwork])


def _graph(n, seed, channels=2, degree=4, dtype=torch.float32):
    g = torch.Generator().manual_seed(seed)
    pos, x = (
        torch.randn(n, 3, generator=g, dtype=dtype),
        torch.randn(n, channels, generator=g, dtype=dtype),
    )
    source = torch.randint(n, (n * degree,), generator=g)
    return pos, torch.stack([source, torch.arange(n).repeat_interleave(degree)]), x


def _model(network, dtype=torch.float32):
    return network(2, 3, width=8, seed=0).to(dtype).eval()


@NETWORKS
def test_the_order_of_vertices_and_edges_does_not_matter(network):
    pos, edges, x = _graph(40, 1, dtype=torch.float64)
    model = _model(network, torch.float64)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(2))
    new = torch.argsort(order)  # where each vertex went
    shuffled = new[edges][
        :, torch.randperm(edges.shape[1], generator=torch.Generator().manual_seed(3))
    ]
    torch.testing.assert_close(
        model(pos[order], shuffled, x=x[order]), model(pos, edges, x=x), rtol=1e-12, atol=1e-12
    )


@NETWORKS
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_graph_does_not_see_the_others_of_its_batch(network, mode):
    model = network(2, 3, width=8, seed=0, dropout=0.0)
    getattr(model, mode)()
    graphs = [_graph(n, n) for n in (7, 12, 5)]
    starts = [0, 7, 19]
    pos, x = torch.cat([g[0] for g in graphs]), torch.cat([g[2] for g in graphs])
    edges = torch.cat([g[1] + start for g, start in zip(graphs, starts, strict=True)], dim=1)
    batch = torch.repeat_interleave(torch.arange(3), torch.tensor([7, 12, 5]))
    alone = torch.cat([model(p, e, x=y) for p, e, y in graphs])
    torch.testing.assert_close(model(pos, edges, batch, x), alone, rtol=1e-5, atol=1e-6)


def test_edges_matter_to_one_and_not_to_the_other():
    pos, edges, x = _graph(20, 4)
    _, others, _ = _graph(20, 5)
    points, net = _model(PointNetwork), _model(EdgeNetwork)
    assert torch.equal(points(pos, edges, x=x), points(pos, x=x))
    assert not torch.allclose(net(pos, edges, x=x), net(pos, others, x=x))


def test_an_edge_takes_the_neighbours_difference():
    """One vertex looks at another: what it sees depends on itself and on their difference alone."""
    layer = EdgeNetwork(0, 2, width=4, seed=0).layers[0].double()
    pos = torch.randn(2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    seen = layer(pos, torch.tensor([[0], [1]]))
    torch.testing.assert_close(seen[1], layer.nn(torch.cat([pos[1], pos[0] - pos[1]])))
    assert (seen[0] == 0).all()  # nobody to look at


@NETWORKS
def test_gradients(network):
    pos, edges, x = _graph(9, 6, dtype=torch.float64)
    model = _model(network, torch.float64)
    pos.requires_grad_(), x.requires_grad_()
    assert torch.autograd.gradcheck(lambda p, y: model(p, edges, x=y), (pos, x))
    model(pos, edges, x=x).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert sum(p.grad.abs().sum() > 0 for p in model.parameters()) > 0.8 * len(
        list(model.parameters())
    )


@NETWORKS
def test_it_learns_a_shape(network):
    """Points on flat and on bent sheets, each its own: told apart after a few steps."""
    graphs = []
    for k in range(16):
        pos, edges, x = _graph(60, k)
        pos = torch.cat([pos[:, :2], (k % 2) * pos[:, :2].square().sum(dim=1, keepdim=True)], dim=1)
        graphs.append((pos, edges, x * 0))
    labels = torch.arange(16) % 2
    pos, x = torch.cat([g[0] for g in graphs]), torch.cat([g[2] for g in graphs])
    edges = torch.cat([g[1] + 60 * k for k, g in enumerate(graphs)], dim=1)
    batch = torch.arange(16).repeat_interleave(60)
    model = network(2, 2, width=8, seed=0, dropout=0.0)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(30):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(pos, edges, batch, x), labels).backward()
        optimiser.step()
    assert (model(pos, edges, batch, x).argmax(dim=1) == labels).all()


@NETWORKS
def test_the_seed_decides_and_leaves_the_global_generator(network):
    before = torch.random.get_rng_state()
    first, second, third = (network(0, 2, width=4, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    a, b, c = (
        torch.cat([p.flatten() for p in model.parameters()]) for model in (first, second, third)
    )
    assert torch.equal(a, b) and not torch.equal(a, c)


@NETWORKS
def test_an_empty_last_graph_is_counted_if_said(network):
    pos, edges, x = _graph(6, 8)
    assert _model(network)(pos, edges, x=x, n_graphs=2).shape == (2, 3)


@NETWORKS
def test_refusals(network):
    pos, edges, x = _graph(6, 7)
    model = _model(network)
    with pytest.raises(ArrayTypeError, match=r"pos must be \(V, 3\), found \(6, 2\)"):
        model(pos[:, :2], edges, x=x)
    with pytest.raises(ArrayTypeError, match=r"x must be \(6, 2\), found \(6, 0\)"):
        model(pos, edges)
    with pytest.raises(ArrayTypeError, match=r"x must be \(6, 2\), found \(6, 1\)"):
        model(pos, edges, x=x[:, :1])
    with pytest.raises(ArrayTypeError, match=r"batch must be \(6,\), found \(3,\)"):
        model(pos, edges, torch.zeros(3, dtype=torch.long), x)
    with pytest.raises(ArgumentError, match="n_classes and width at least 1, found 0, 0, 32"):
        network(0, 0)
    with pytest.raises(ArrayTypeError, match=r"edge_index must be \(2, E\), found None"):
        _model(EdgeNetwork)(pos, x=x)
