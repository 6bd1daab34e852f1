"""Scale-equivariant layers beside ordinary ones: equivariance, time, segmentation at unseen sizes.

    python benchmarks/layers_scale.py --quick          # < 3 min on one core, half resolution, one seed
    python benchmarks/layers_scale.py --half           # 10, 25 and 100 volumes, 3 seeds, about 30 min of CPU
    python benchmarks/layers_scale.py                  # the same at full resolution, hours

Hippocampus MRI (msd_hippocampus.npz, MESHCONV_DATA): networks of equal channels are trained at scale 1 and
tested on volumes reduced to .7 to 1 of their size; a third row trains the plain network on randomly reduced
volumes. Equal steps, optimiser and learning rate; the last step is tested, none is picked. CPU seconds, one
thread.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv.nn.scale_conv import ScaleEquivariantConv
from meshconv.nn.unet import PlainUNet, ScaleEquivariantUNet

DATA = Path(os.environ.get("MESHCONV_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def plain_error(kernel_size: int, max_frequency: float) -> float:
    """Equivariance error of one kernel for all sizes: the layer of a single function per tap."""
    layer = ScaleEquivariantConv(4, 8, kernel_size=kernel_size, n_scales=2)
    layer.basis = torch.eye(kernel_size**3).view(-1, 1, *[kernel_size] * 3).repeat(1, 2, 1, 1, 1)
    layer.weight = nn.Parameter(torch.randn(8, 4, kernel_size**3))
    return layer.equivariance_error(max_frequency=max_frequency)


def equivariance_table() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    bands = (0.3, 0.6, 1.0)
    for family, k in [("multi", 5), ("single", 7), ("matched", 3), ("matched", 5), ("matched", 7)]:
        layer = ScaleEquivariantConv(4, 8, kernel_size=k, family=family)
        rows.append({"layer": f"{family} k{k}", **{f"w{w}": layer.equivariance_error(max_frequency=w) for w in bands}})
    rows += [{"layer": f"plain k{k}", **{f"w{w}": plain_error(k, w) for w in bands}} for k in (3, 5, 7)]
    return rows


def cpu_seconds(run, repeats: int = 5) -> tuple[float, float]:
    """Median and spread (quartiles) after a warm-up."""
    run()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    low, middle, high = statistics.quantiles(times, n=4)
    return middle, high - low


def networks(seed: int) -> dict[str, nn.Module]:
    torch.manual_seed(seed)
    scale = ScaleEquivariantUNet(1, 3)
    plain, augmented = PlainUNet(1, 3), PlainUNet(1, 3)
    augmented.load_state_dict(plain.state_dict())
    return {"scale-equivariant": scale, "plain": plain, "plain + scale augmentation": augmented}


def time_table(side: int) -> list[dict[str, object]]:
    x = torch.randn(1, 1, side, side, side)
    rows: list[dict[str, object]] = []
    for name, net in list(networks(0).items())[:2]:
        net.eval()
        with torch.no_grad():
            forward, spread = cpu_seconds(lambda net=net: net(x))
        net.train()
        step, _ = cpu_seconds(lambda net=net: net(torch.cat([x, x])).square().mean().backward(), 3)
        n = sum(p.numel() for p in net.parameters())
        rows.append(
            {
                "network": name,
                "parameters": n,
                "forward_s": forward,
                "iqr_s": spread,
                "train_step_of_2_s": step,
            }
        )
    base = rows[1]["forward_s"]
    return [{**row, "forward_ratio": row["forward_s"] / base} for row in rows]


def volumes(n: int, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """The first n volumes, standardised, centred on one grid: images (n, 1, *shape), labels (n, *shape)."""
    with np.load(DATA / "msd_hippocampus.npz") as data:
        sizes, image, label = data["shapes"].astype(int), data["images"], data["labels"]
    ends = np.cumsum(sizes.prod(axis=1))
    images, labels = [], []
    for size, end in list(zip(sizes, ends, strict=True))[:n]:
        part = slice(end - size.prod(), end)
        x = torch.from_numpy(image[part].reshape(size).astype(np.float32))
        x = (x - x.mean()) / x.std()
        images.append(_centre(x, shape))
        labels.append(_centre(torch.from_numpy(label[part].reshape(size).astype(np.int64)), shape))
    return torch.stack(images)[:, None], torch.stack(labels)


def _centre(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Crop or zero-pad to `shape` about the middle: negative padding crops."""
    pad = []
    for have, want in zip(reversed(x.shape), reversed(shape), strict=True):
        pad += [(want - have) // 2, want - have - (want - have) // 2]
    return functional.pad(x, pad)


def reduced(x: Tensor, y: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """L_r f(x) = f(x / r) about the middle; labels by their nearest voxel."""
    theta = torch.eye(3, 4) / scale
    grid = functional.affine_grid(theta[None].expand(len(x), 3, 4), list(x.shape), align_corners=True)
    image = functional.grid_sample(x, grid, padding_mode="zeros", align_corners=True)
    label = functional.grid_sample(y[:, None].float(), grid, mode="nearest", padding_mode="zeros", align_corners=True)
    return image, label[:, 0].long()


def loss_of(logits: Tensor, y: Tensor) -> Tensor:
    p = logits.softmax(1)[:, 1:]
    t = functional.one_hot(y, 3).movedim(-1, 1)[:, 1:].to(p.dtype)
    axes = (0, 2, 3, 4)
    dice = (2 * (p * t).sum(axes) + 1) / (p.sum(axes) + t.sum(axes) + 1)
    return functional.cross_entropy(logits, y) + 1 - dice.mean()


def train(net: nn.Module, x: Tensor, y: Tensor, *, steps: int, augment: bool, seed: int) -> float:
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    start = time.process_time()
    net.train()
    for _ in range(steps):
        pick = torch.randint(len(x), (2,), generator=generator)
        a, b = x[pick], y[pick]
        if augment:
            a, b = reduced(a, b, 0.7 + 0.3 * float(torch.rand((), generator=generator)))
        optimiser.zero_grad()
        loss_of(net(a), b).backward()
        optimiser.step()
        schedule.step()
    return time.process_time() - start


@torch.no_grad()
def dice_of(net: nn.Module, x: Tensor, y: Tensor, scale: float) -> float:
    """Mean Dice over the two classes and the volumes."""
    net.eval()
    x, y = reduced(x, y, scale) if scale < 1 else (x, y)
    scores = []
    for a, b in zip(x, y, strict=True):
        found = net(a[None]).argmax(1)[0]
        for c in (1, 2):
            common, sizes = ((found == c) & (b == c)).sum(), (found == c).sum() + (b == c).sum()
            scores.append(float(2 * common / sizes.clamp_min(1)))
    return statistics.fmean(scores)


def learning_table(args: argparse.Namespace) -> list[dict[str, object]]:
    shape = (40, 56, 48)
    n_test = 12 if args.quick else 60
    x, y = volumes(max(args.samples) + n_test, shape)
    if args.half or args.quick:
        x, y = functional.avg_pool3d(x, 2), y[:, ::2, ::2, ::2]
    test = x[-n_test:], y[-n_test:]
    rows: list[dict[str, object]] = []
    for n in args.samples:
        for seed in range(args.seeds):
            chosen = torch.randperm(len(x) - n_test, generator=torch.Generator().manual_seed(seed))[:n]
            for name, net in networks(seed).items():
                augment = "augmentation" in name
                seconds = train(net, x[chosen], y[chosen], steps=args.steps, augment=augment, seed=seed)
                dice = {f"dice_{s}": dice_of(net, *test, s) for s in args.scales}
                rows.append({"samples": n, "seed": seed, "network": name, "train_s": seconds, **dice})
                print(_line(rows[-1]), flush=True)
    return rows


def summary(rows: list[dict[str, object]], scales: list[float]) -> list[dict[str, object]]:
    """Mean and 95 % half-width over the seeds (t distribution is left to the reader below 3)."""
    out: list[dict[str, object]] = []
    for n in sorted({row["samples"] for row in rows}):
        for name in dict.fromkeys(row["network"] for row in rows):
            mine = [row for row in rows if row["samples"] == n and row["network"] == name]
            cell: dict[str, object] = {"samples": n, "network": name}
            for s in scales:
                values = [row[f"dice_{s}"] for row in mine]
                half = 1.96 * statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
                cell[f"dice_{s}"], cell[f"half_width_{s}"] = statistics.fmean(values), half
            out.append(cell)
    return out


def _line(row: dict[str, object]) -> str:
    return "  ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items() if v is not None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--half", action="store_true", help="half resolution: about 8 times faster")
    parser.add_argument("--samples", type=int, nargs="+", default=None, help="training volumes (10 25 100)")
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0, 0.9, 0.8, 0.7])
    parser.add_argument("--seeds", type=int, default=None, help="3, or 1 with --quick")
    parser.add_argument("--steps", type=int, default=None, help="400, or 100 with --quick")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "layers_scale.json")
    args = parser.parse_args()
    args.samples = args.samples or ([10] if args.quick else [10, 25, 100])
    args.seeds, args.steps = (
        args.seeds or (1 if args.quick else 3),
        args.steps or (100 if args.quick else 400),
    )
    torch.set_num_threads(1)
    torch.manual_seed(0)
    result: dict[str, object] = {
        "torch": torch.__version__, "machine": platform.machine(), "threads": 1,
        "options": {k: v for k, v in vars(args).items() if k != "json"},
        "equivariance": equivariance_table(), "time": time_table(24 if args.quick else 40),
    }  # fmt: skip
    for row in [*result["equivariance"], *result["time"]]:
        print(_line(row), flush=True)
    if (DATA / "msd_hippocampus.npz").is_file():
        result["runs"] = learning_table(args)
        result["summary"] = summary(result["runs"], args.scales)
        for row in result["summary"]:
            print(_line(row))
    else:
        print(f"no msd_hippocampus.npz in {DATA}: learning table left out")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
