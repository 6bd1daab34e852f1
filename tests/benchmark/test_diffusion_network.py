"""DiffusionNet: its gradients against closed forms, and what it must not notice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from meshconv.benchmark.diffusion_network import Diffusion, DiffusionNetwork
from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.mesh.shapes import bumpy_heightfield, icosphere
from meshconv.mesh.surface import Surface


def test_gradients_of_eigenfunctions_have_the_energy_of_their_eigenvalues():
    """Integral of |grad f|^2 is lambda; on a sphere of area 1, lambda = 4 pi l (l + 1)."""
    errors = []
    for level in (3, 4):
        mesh = Diffusion.of(icosphere(level), 9)
        a, b = mesh.spectral_gradient.chunk(2)
        energy = mesh.mass @ (a.square() + b.square())
        expected = 4 * np.pi * np.array([0] + 3 * [2.0] + 5 * [6.0])
        errors.append(float(np.abs(energy.numpy() - expected).max() / expected.max()))
    assert errors[1] < 0.3 * errors[0] < 0.02  # order two


def test_mass_and_functions_fit_together():
    mesh = Diffusion.of(
        Surface(7 * bumpy_heightfield(12).vertices, bumpy_heightfield(12).faces), 20
    )
    assert float(mesh.mass.sum()) == pytest.approx(1, rel=1e-6)
    gram = mesh.functions.T @ (mesh.mass[:, None] * mesh.functions)
    assert float((gram - torch.eye(20)).abs().max()) < 1e-4


def test_faces_without_area_have_no_say():
    ball = icosphere(2)
    vertices = np.concatenate([ball.vertices, ball.vertices[:1]])
    flat = Surface(vertices, np.concatenate([ball.faces, [[0, 162, 1]]]))
    one, other = Diffusion.of(flat, 9), Diffusion.of(ball, 9)
    assert torch.isfinite(one.spectral_gradient).all()
    energy = [m.mass @ m.spectral_gradient.chunk(2)[0].square() for m in (one, other)]
    assert all(torch.isfinite(e).all() for e in energy)


def test_motions_and_scales_go_unnoticed_where_features_do_not_turn():
    surface = bumpy_heightfield(10)
    moved = Surface(5 * surface.vertices @ Rotation.random(rng=0).as_matrix().T + 3, surface.faces)
    torch.manual_seed(0)
    model = DiffusionNetwork(2, 3, width=8, seed=0).eval()
    with torch.no_grad():
        for block in model.blocks:
            block.time.fill_(1e-2)
    x = torch.randn(surface.n_vertices, 2)
    one, other = (model(x, Diffusion.of(s, 30)) for s in (surface, moved))
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_diffusion_loses_what_is_fine():
    """After time t the k-th eigenfunction is exp(-lambda t) of itself: seen through one block."""
    mesh = Diffusion.of(icosphere(3), 9)
    model = DiffusionNetwork(1, 2, width=4, n_blocks=1, seed=0).eval()
    with torch.no_grad():
        model.blocks[0].time.fill_(0.02)
    seen = []
    model.blocks[0].layers.register_forward_hook(lambda m, inputs, out: seen.append(inputs[0]))
    model(mesh.functions[:, 5:6], mesh)
    x, diffused = seen[0][:, :4], seen[0][:, 4:8]
    varied = x - (mesh.mass @ x)[None]
    left = diffused - (mesh.mass @ diffused)[None]
    product = mesh.mass @ (varied * left), mesh.mass @ varied.square()
    ratio = float((product[0].sum() / product[1].sum()).detach())
    assert ratio == pytest.approx(float(torch.exp(-0.02 * mesh.values[5])), rel=1e-3)


def test_all_weights_learn():
    mesh = Diffusion.of(icosphere(2), 16)
    model = DiffusionNetwork(3, 2, width=8, seed=0)
    model(torch.tensor(icosphere(2).vertices, dtype=torch.float32), mesh).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    assert all(block.time.grad.abs().min() > 0 for block in model.blocks)  # from no diffusion on


def test_other_shapes_and_counts_are_refused():
    mesh = Diffusion.of(icosphere(1), 8)
    with pytest.raises(ArrayTypeError, match=r"x must be \(42, 3\), found \(41, 3\)"):
        DiffusionNetwork(3, 2)(torch.zeros(41, 3), mesh)
    with pytest.raises(ArgumentError, match="at least 1"):
        DiffusionNetwork(3, 0)
