"""The equalizing layer beside one convolution, and the resampler beside other point locators.

    python benchmarks/layer.py             # about 3 minutes on one core; writes results/layer.json

CPU seconds of forward + backward on one thread, medians of interleaved repeats, as ratios to the
baseline of the same run. Beside each time: std / mean of the delivered density, and folded cells,
over the same densities.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

from _common import environment, interleaved, one_thread, write

one_thread()

import numpy as np
import torch
from scipy.interpolate import LinearNDInterpolator
from torch import Tensor

from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.shapes import delaunay_disk
from meshconv.nn.equalize import bounded_density, density_error, equalizing_grid, folds
from meshconv.nn.sample import node_grid
from meshconv.resample.grid import grid_nodes
from meshconv.resample.resampler import Resampler
from meshconv.resample.scan import scan_plane


def densities(n: int) -> dict[str, Tensor]:
    x, y = ((node_grid(n, torch.zeros(())) + 1) / 2).unbind(-1)

    def blob(a: float, b: float, s: float) -> Tensor:
        return torch.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * s**2))[None]

    g = torch.Generator().manual_seed(0)
    coarse = {
        c: 100 * torch.randn(8, 1, (n - 1) // c + 1, (n - 1) // c + 1, generator=g) for c in (4, 8)
    }
    disc = torch.hypot(x - 0.45, y - 0.55)
    return {
        "blob 5:1": 1 + 4 * blob(0.5, 0.5, 0.12),
        "two blobs 10:1": 1 + 9 * (blob(0.3, 0.35, 0.1) + 0.6 * blob(0.7, 0.65, 0.12)).clamp_max(1),
        "bounded N/8 10:1": bounded_density(coarse[8], size=n),
        "bounded N/4 10:1": bounded_density(coarse[4], size=n),
        "hard disc 10:1": 1 + 9 * (disc < 0.2).float()[None],
        "blob 50:1": 1 + 49 * blob(0.5, 0.5, 0.1),
    }


METHODS = {
    "moser x4": {"method": "moser", "steps": 4},
    "moser x8": {"method": "moser", "steps": 8},
    "diffusion x12": {"method": "diffusion", "steps": 12},
    "Knothe-Rosenblatt": {"method": "knothe_rosenblatt"},
    "moser x4, N/4 nodes": {"method": "moser", "steps": 4, "coarser": 4},
}


def options(name: str, n: int) -> dict[str, object]:
    chosen = dict(METHODS[name])
    coarser = chosen.pop("coarser", 1)
    return {**chosen, "size": (n - 1) // coarser + 1}


def layer_cost(n: int, batch: int, repeats: int) -> dict[str, dict[str, float]]:
    rho = densities(n)["two blobs 10:1"].expand(batch, -1, -1, -1).contiguous().requires_grad_()
    x = torch.randn(batch, 32, n, n, requires_grad=True)
    conv = torch.nn.Conv2d(32, 32, 3, padding=1)
    runs: dict[str, Callable[[], object]] = {"conv 3x3 32->32": lambda: conv(x).sum().backward()}
    for name in METHODS:
        chosen = options(name, n)
        weight = torch.randn(batch, chosen["size"], chosen["size"], 2)
        runs[name] = lambda chosen=chosen, weight=weight: (
            (equalizing_grid(rho, **chosen) * weight).sum().backward()
        )
    times = interleaved(runs, repeats)
    base = statistics.median(times["conv 3x3 32->32"])
    return {
        name: {
            "seconds": statistics.median(t),
            "spread": max(t) - min(t),
            "ratio": statistics.median(t) / base,
        }
        for name, t in times.items()
    }


def layer_quality(n: int) -> dict[str, dict[str, tuple[float, int]]]:
    table = {}
    for name in METHODS:
        grids = {
            case: (rho, equalizing_grid(rho, **options(name, n)))
            for case, rho in densities(n).items()
        }
        table[name] = {
            case: (float(density_error(rho, grid).max()), int(folds(grid).sum()))
            for case, (rho, grid) in grids.items()
        }
    return table


def resampling(n_vertices: int, size: int, repeats: int) -> dict[str, dict[str, float]]:
    surface = delaunay_disk(n_vertices, seed=0)
    flat = Parameterization(surface, surface.vertices[:, :2], "disk")
    points, faces = (flat.coordinates + 1) / 2, surface.faces
    nodes = grid_nodes(size).reshape(-1, 2)
    field = np.sin(5 * points[:, 0]) * np.cos(4 * points[:, 1])
    runs: dict[str, Callable[[], object]] = {
        "scan conversion": lambda: scan_plane(points, faces, size),
        "Resampler, both matrices": lambda: Resampler(flat, size),
        "scipy LinearNDInterpolator": lambda: LinearNDInterpolator(points, field)(nodes),
    }
    runs |= _optional_peers(points, faces, nodes)
    times = interleaved(runs, repeats)
    base = statistics.median(times["scan conversion"])
    return {
        k: {"seconds": statistics.median(t), "ratio": statistics.median(t) / base}
        for k, t in times.items()
    }


def _optional_peers(
    points: np.ndarray, faces: np.ndarray, nodes: np.ndarray
) -> dict[str, Callable[[], object]]:
    peers: dict[str, Callable[[], object]] = {}
    try:
        from matplotlib.tri import Triangulation

        peers["matplotlib trifinder"] = lambda: Triangulation(*points.T, faces).get_trifinder()(
            *nodes.T
        )
    except ImportError:
        pass
    try:
        import igl

        flat = np.column_stack([points, np.zeros(len(points))])
        above = np.column_stack([nodes, np.zeros(len(nodes))])

        def locate() -> object:
            tree = igl.AABB()
            tree.init(flat, faces)
            return tree.squared_distance(flat, faces, above)

        peers["igl AABB"] = locate
    except ImportError:
        pass
    return peers


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--vertices", type=int, default=200_000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    report: dict[str, object] = {
        "environment": environment("torch", "numpy", "scipy"),
        "options": vars(args),
    }
    for n in (65, 129):
        cost, quality = layer_cost(n, args.batch, args.repeats), layer_quality(n)
        report[f"layer {n}"] = {"cost": cost, "quality": quality}
        base = cost["conv 3x3 32->32"]["seconds"]
        print(f"\nN = {n}, batch {args.batch}: ratio to one conv 3x3 32->32 ({base:.3f} s)")
        for name in METHODS:
            cells = "  ".join(f"{case} {e:.4f}/{k}" for case, (e, k) in quality[name].items())
            print(f"{name:22s} {cost[name]['ratio']:5.2f}   std/mean / folds:  {cells}")
    times = report["resampling"] = resampling(args.vertices, 129, args.repeats)
    print(f"\n{args.vertices} vertices -> 129 x 129")
    for name, row in times.items():
        print(f"{name:28s} {row['seconds']:8.4f} s  {row['ratio']:7.1f}")
    print(write("layer", report))


if __name__ == "__main__":
    main()
