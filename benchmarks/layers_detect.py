"""Finding blood cells: dynamic strides beside plain networks of equal parameters, time, and finer
stride.

    python benchmarks/layers_detect.py --quick     # 1 seed, few epochs: too few to learn much
    python benchmarks/layers_detect.py             # 5 seeds: half an hour of CPU (MESHCONV_DATA)
    python benchmarks/layers_detect.py --resume    # go on with an interrupted run, row by row

Blood smears of 120 x 160 pixels with boxes of red cells, white cells and platelets, split by field
of view. Anchor-free detectors (a kind and four distances at the centre of every last window), mean
average precision at an overlap of .5. The moved one is taught by the images' own edges where to
look, then its windows stay (`warm_start_offsets`), and it sees how much each is magnified
(`stride_channels`). All see the same images in the same order, with the same optimiser; the last
step is tested, none is picked. Writes results/layers_detect.json.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from _common import one_thread

one_thread()

import numpy as np
import torch
from _learning import arguments, file_of, learned, parsed
from torch import Tensor, nn

from meshconv.benchmark.detection import average_precision, detection_loss, found_boxes, hits_of
from meshconv.benchmark.seeds import Row, over_seeds
from meshconv.datasets.blood import KINDS, BloodCells
from meshconv.nn import DynamicStrideConv2d, warm_start_offsets

STEM = 4  # stride of the first convolution; the second halves again
EQUAL = "plain, equal parameters"
NETWORKS: dict[str, dict[str, Any]] = {
    "plain": {},
    EQUAL: {"width": 17},
    "plain, equal time": {"width": 28},
    "plain, finer stride": {"stem": 2},
    "dynamic stride, edges first, then frozen": {"moved": True},
}
MEASURES = ("mAP@.5", *(f"AP of {kind}" for kind in KINDS), "test s", "train s")
Smears = tuple[Tensor, list[Tensor], list[Tensor]]


class Detector(nn.Module):
    """Four convolutions, the first of which may move its windows; a kind and a box a window."""

    def __init__(self, *, width: int = 16, stem: int = STEM, moved: bool = False) -> None:
        super().__init__()
        w, more = width, 2 * moved
        first: nn.Module = nn.Conv2d(3, w, 5, stem, 2)
        if moved:
            first = DynamicStrideConv2d.from_conv(first, stride_channels=True, min_stride=0.5)
        self.stem, self.stride = first, stem
        self.body = nn.Sequential(
            nn.BatchNorm2d(w + more),
            nn.ReLU(),
            *(nn.Conv2d(w + more, 2 * w, 3, 1, 1), nn.BatchNorm2d(2 * w), nn.ReLU()),
            *(nn.Conv2d(2 * w, 2 * w, 3, 2, 1), nn.BatchNorm2d(2 * w), nn.ReLU()),
            *(nn.Conv2d(2 * w, 2 * w, 3, 1, 1), nn.BatchNorm2d(2 * w), nn.ReLU()),
        )
        self.kind = nn.Conv2d(2 * w, len(KINDS), 1)
        self.box = nn.Conv2d(2 * w, 4, 1)
        nn.init.constant_(self.kind.bias, -4.0)
        nn.init.constant_(self.box.bias, 2.0)  # boxes of some 15 pixels

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits (B, K, P), logarithms of distances (B, 4, P), centres (B, P, 2)."""
        seen = self.stem(x)
        rows, columns = (self.stride * torch.arange(0, n, 2) for n in seen.shape[2:])
        at = torch.stack(torch.meshgrid(rows, columns, indexing="ij")).float() + 0.5
        at = at.expand(len(x), -1, -1, -1)
        if isinstance(self.stem, DynamicStrideConv2d):
            at = at + self.stem.offsets(x)[:, :, ::2, ::2]
        features = self.body(seen)
        out = self.kind(features).flatten(2), self.box(features).flatten(2)
        return *out, at.flatten(2).transpose(1, 2)


@cache
def smears(part: str) -> Smears:
    """Images (n, 3, 120, 160), boxes and kinds of each."""
    found = list(BloodCells(part, reduce=2))
    images = torch.from_numpy(np.stack([one.image for one in found])) - 0.7
    boxes = [torch.from_numpy(one.boxes).float() for one in found]
    return images, boxes, [torch.from_numpy(one.labels) for one in found]


def trained(net: Detector, data: Smears, epochs: int, seed: int) -> float:
    """Train in place, half the images turned left to right; return CPU seconds."""
    images, boxes, kinds = data
    start, generator = time.process_time(), torch.Generator().manual_seed(seed)
    if isinstance(net.stem, DynamicStrideConv2d):
        warm_start_offsets(net.stem, images, "edges", layers=[net.stem], min_stride=0.5, seed=seed)
    parameters = [p for p in net.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=3e-3, weight_decay=1e-2)
    steps = epochs * -(-len(images) // 8)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, steps)
    net.train()
    for _epoch in range(epochs):
        for rows in torch.randperm(len(images), generator=generator).split(8):
            turned = torch.rand(len(rows), generator=generator) < 0.5
            x = torch.where(turned[:, None, None, None], images[rows].flip(3), images[rows])
            there = [mirrored(boxes[k], t) for k, t in zip(rows.tolist(), turned, strict=True)]
            optimiser.zero_grad()
            loss = detection_loss(*net(x), there, [kinds[k] for k in rows.tolist()])
            loss.backward()
            optimiser.step()
            schedule.step()
    return time.process_time() - start


def mirrored(boxes: Tensor, turned: Tensor) -> Tensor:
    """Boxes of an image 160 pixels wide, turned left to right or not."""
    if not turned:
        return boxes
    return torch.stack([boxes[:, 0], 160 - boxes[:, 3], boxes[:, 2], 160 - boxes[:, 1]], dim=1)


@torch.no_grad()
def tested(net: Detector, data: Smears) -> Row:
    """Average precision of each kind, and CPU seconds of the passes."""
    images, boxes, kinds = data
    start = time.process_time()
    net.eval()
    answers = [part for x in images.split(16) for part in zip(*net(x), strict=True)]
    seconds = time.process_time() - start
    found = [found_boxes(*answer) for answer in answers]
    row: Row = {}
    for k, kind in enumerate(KINDS):
        scores, hits = [], []
        for (where, score, what), true, own in zip(found, boxes, kinds, strict=True):
            scores.append(score[what == k])
            hits.append(hits_of(where[what == k], true[own == k].double().numpy()))
        n_true = sum(int((own == k).sum()) for own in kinds)
        row[f"AP of {kind}"] = average_precision(
            np.concatenate(scores), np.concatenate(hits), n_true
        )
    row["mAP@.5"] = float(np.mean([row[f"AP of {kind}"] for kind in KINDS]))
    return row | {"test s": seconds}


def means(rows: list[Row]) -> list[Row]:
    """Means over seeds, and differences to the plain networks seed by seed."""
    plain = {(row["network"], row["seed"]): row for row in rows}
    for row in rows:
        for name in ("plain", EQUAL):
            peer = plain.get((name, row["seed"]))
            if peer is not None:
                row[f"mAP - {name}"] = row["mAP@.5"] - peer["mAP@.5"]
                row[f"test time / {name}"] = row["test s"] / peer["test s"]
    against = [f"{what} {name}" for name in ("plain", EQUAL) for what in ("mAP -", "test time /")]
    return over_seeds(rows, ["network", "parameters"], [*MEASURES, *against])


def main(argv: Sequence[str] | None = None) -> None:
    """Train and test every network."""
    parser = arguments(__doc__)
    parser.add_argument("--epochs", type=int, default=None, help="40, or 3 with --quick")
    parser.add_argument("--part", choices=("validation", "test"), default="test")
    args = parsed(parser, argv)
    epochs = args.epochs or (3 if args.quick else 40)

    def rows_of(case: Row, seed: int) -> Iterator[Row]:
        torch.manual_seed(seed)
        net = Detector(**NETWORKS[case["network"]])
        seconds = trained(net, smears("train"), epochs, seed)
        count = sum(p.numel() for p in net.parameters())
        yield {"parameters": count, **tested(net, smears(args.part)), "train s": seconds}

    tried = args.quick or args.part != "test"  # the table is of the test part
    path = file_of("layers_detect", quick=tried)
    options = {"seeds": args.seeds, "epochs": epochs, "part": args.part}
    cases = [{"network": name} for name in NETWORKS]
    learned(path, options, cases, rows_of, means, args)


if __name__ == "__main__":
    main()
