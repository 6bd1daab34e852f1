"""DiffusionNet: learned diffusion and gradient features on one mesh at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from meshconv._check import FloatArray
from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.mesh.surface import Surface
from meshconv.nn.seeding import seeded
from meshconv.operators.gradient import gradient
from meshconv.operators.intrinsic_triangulation import delaunay_triangulation
from meshconv.operators.spectral import laplacian_eigenpairs


@dataclass(frozen=True, eq=False)
class Diffusion:
    """What DiffusionNet needs of a mesh, at unit area and float32.

    Attributes
    ----------
    mass : (V,) Tensor
        Share of the area.
    values, functions : (K,), (V, K) Tensor
        Eigenpairs of the Laplacian, orthonormal in `mass`.
    spectral_gradient : (2V, K) Tensor
        Gradients of `functions` in the tangent plane of each vertex: first all x, then all y.
    """

    mass: Tensor
    values: Tensor
    functions: Tensor
    spectral_gradient: Tensor

    @classmethod
    def of(cls, surface: Surface, n_eigen: int = 64) -> Diffusion:
        """Compute it; fewer eigenpairs where there are fewer vertices."""
        surface = Surface(surface.vertices / np.sqrt(surface.area), surface.faces)
        values, functions = laplacian_eigenpairs(surface, min(n_eigen, surface.n_vertices - 2))
        # the mass of the eigenfunctions: they are orthonormal in no other
        intrinsic = delaunay_triangulation(surface.vertices, surface.faces).mass_matrix()
        slopes = _tangent(surface) @ functions
        return cls(*map(_single, (intrinsic.diagonal(), values, functions, slopes)))


def _tangent(surface: Surface) -> sparse.csr_array:
    """Return the matrix (2V, V) of gradients in the tangent planes: means over the faces around."""
    n, areas = surface.n_vertices, surface.face_areas
    sound = areas > 1e-12 * areas.mean()  # others have no direction and no weight
    faces = surface.faces[sound]
    weight = np.repeat(areas[sound], 3)
    share = weight / np.bincount(faces.ravel(), weight, n)[faces.ravel()]
    index = faces.ravel(), np.repeat(np.arange(len(faces)), 3)
    around = sparse.csr_array((share, index), shape=(n, len(faces)))
    G = gradient(Surface(surface.vertices, faces))
    spatial = [around @ G[axis::3] for axis in range(3)]
    normal = surface.vertex_normals
    away = np.eye(3)[np.abs(normal).argmin(axis=1)]
    first = np.cross(normal, away)
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-300)
    rows = [
        sum(sparse.diags_array(frame[:, axis]) @ spatial[axis] for axis in range(3))
        for frame in (first, np.cross(normal, first))
    ]
    return sparse.csr_array(sparse.vstack(rows))


def _single(array: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


class DiffusionNetwork(nn.Module):
    """Blocks of spectral diffusion, gradient features and a perceptron; mean over the area.

    Gradients are taken of what is diffused, which `functions` span, so no sparse product is needed.

    Parameters
    ----------
    in_channels, n_classes : int
    width, n_blocks : int
    dropout : float
        Inside the perceptrons.
    seed : int, optional
        Of the initial weights; the global generator if None.

    References
    ----------
    Sharp, Attaiki, Crane, Ovsjanikov, 2022, DiffusionNet, ACM Trans. Graph. 41(3), eq. (5), (6) and
    section 3.4. doi:10.1145/3507905

    Examples
    --------
    >>> from meshconv.mesh.shapes import icosphere
    >>> ball = icosphere(2)
    >>> model = DiffusionNetwork(3, 2, width=8, seed=0)
    >>> model(torch.tensor(ball.vertices, dtype=torch.float32), Diffusion.of(ball)).shape
    torch.Size([2])
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        width: int = 64,
        n_blocks: int = 4,
        dropout: float = 0.5,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        if min(in_channels, n_classes, width, n_blocks) < 1:
            raise ArgumentError(
                "in_channels, n_classes, width and n_blocks must be at least 1, found"
                f" {in_channels}, {n_classes}, {width}, {n_blocks}"
            )
        self.in_channels = in_channels
        with seeded(seed):
            self.first = nn.Linear(in_channels, width)
            self.blocks = nn.ModuleList(_Block(width, dropout) for _ in range(n_blocks))
            self.last = nn.Linear(width, n_classes)

    def forward(self, x: Tensor, mesh: Diffusion) -> Tensor:
        """Return logits (n_classes,) of features (V, in_channels) on a mesh."""
        if x.shape != (len(mesh.mass), self.in_channels):
            raise ArrayTypeError(
                f"x must be ({len(mesh.mass)}, {self.in_channels}), found {tuple(x.shape)}"
            )
        h = self.first(x)
        for block in self.blocks:
            h = block(h, mesh)
        out: Tensor = mesh.mass @ self.last(h) / mesh.mass.sum()
        return out


class _Block(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.time = nn.Parameter(torch.zeros(width))  # as published: none at first
        self.real = nn.Linear(width, width, bias=False)
        self.imaginary = nn.Linear(width, width, bias=False)
        self.layers = nn.Sequential(
            nn.Linear(3 * width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
        )

    def forward(self, x: Tensor, mesh: Diffusion) -> Tensor:
        with torch.no_grad():  # clamped in place: a clamp in the graph would stop the gradient at 0
            self.time.clamp_(min=1e-8)
        coefficients = mesh.functions.T @ (mesh.mass[:, None] * x)
        coefficients = coefficients * torch.exp(-mesh.values[:, None] * self.time)
        diffused = mesh.functions @ coefficients
        a, b = (mesh.spectral_gradient @ coefficients).chunk(2)
        real = self.real(a) - self.imaginary(b)
        imaginary = self.real(b) + self.imaginary(a)
        features = torch.tanh(a * real + b * imaginary)
        out: Tensor = x + self.layers(torch.cat([x, diffused, features], dim=1))
        return out
