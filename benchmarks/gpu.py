"""The networks on a GPU: right, how fast, in how much memory. One command, at most 8 minutes.

    python benchmarks/gpu.py                        # the GPU if there is one, else the CPU
    python benchmarks/gpu.py --device cpu --quick   # a dry run: all of it, small (15 seconds)

Needs torch, NumPy and this checkout; throughput of preparation also SciPy, numba and joblib. Writes
a table and results/gpu.json. Layers are compared with double precision on the CPU; steps are
forward, backward and optimizer, medians after a warm-up; the plain network sees the same nodes
without a density.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import os
import statistics
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
try:
    import lazy_loader
except ModuleNotFoundError:  # of which the networks need nothing

    def _nothing(*_: object) -> tuple[object, ...]:
        return (lambda name: (_ for _ in ()).throw(AttributeError(name)), list, [])

    lazy_loader = types.ModuleType("lazy_loader")
    lazy_loader.attach_stub = _nothing  # type: ignore[attr-defined]
    sys.modules["lazy_loader"] = lazy_loader

import torch
from _common import print_table, write
from _gpu_cases import cases, outcome, shaken
from torch import Tensor, nn
from torch.nn import functional

from meshconv.nn import DECNN

_CLOSE = 2e-3  # of the largest value, in single precision; of what is tiny, a thousandth more
_FAULTS = (RuntimeError, TypeError, ValueError, NotImplementedError)


class Bench:
    """The device, how long to go on, and how to time on it."""

    def __init__(self, device: str, quick: bool, minutes: float) -> None:
        self.device, self.quick = torch.device(device), quick
        self.cuda = self.device.type == "cuda"
        self._end = time.monotonic() + 60 * minutes

    @property
    def out_of_time(self) -> bool:
        return time.monotonic() > self._end

    def milliseconds(self, work: Callable[[], object]) -> float:
        """Return the median time of a call, the device waited for."""
        for _ in range(1 if self.quick else 5):
            work()
        times = []
        for _ in range(2 if self.quick else 20):
            self.wait()
            start = time.perf_counter()
            work()
            self.wait()
            times.append(time.perf_counter() - start)
        return 1e3 * statistics.median(times)

    def wait(self) -> None:
        if self.cuda:
            torch.cuda.synchronize(self.device)

    def peak_mib(self, work: Callable[[], object]) -> float | None:
        """Return the most memory that a call takes on the device; None where that is not told."""
        if not self.cuda:
            return None
        torch.cuda.reset_peak_memory_stats(self.device)
        work()
        self.wait()
        return round(torch.cuda.max_memory_allocated(self.device) / 2**20, 1)


def layers(bench: Bench) -> list[dict[str, Any]]:
    """Compare every layer and its gradients with double precision on the CPU."""
    rows = []
    for name, make in cases().items():
        torch.manual_seed(0)
        layer, inputs = make()
        exact = shaken(layer).double()
        inputs = tuple(one.detach().double() for one in inputs)
        try:
            expected = outcome(exact, inputs)
            here = copy.deepcopy(exact).float().to(bench.device)
            found = outcome(here, tuple(one.float().to(bench.device) for one in inputs))
            size = max(float(b.abs().max()) for b in expected)
            error = max(
                float((a - b).abs().max() / b.abs().max().clamp_min(1e-3 * size))
                for a, b in zip(found, expected, strict=True)
            )
            verdict = "right" if error < _CLOSE else "WRONG"
        except _FAULTS as fault:
            error, verdict = float("nan"), f"FAILS: {str(fault).splitlines()[0][:80]}"
        rows.append({"layer": name, "error": error, "verdict": verdict})
    return rows


def trained(bench: Bench, size: int, density: str, **options: Any) -> Callable[[], object]:
    """Return a training step; of the plain network on images that it has seen once."""
    batch, plain = 4 if bench.quick else 64, density == "plain"
    model = DECNN(
        6,
        2,
        size=size,
        network_size=min(size, 33),
        density="uniform" if plain else density,
        seed=0,
        device=bench.device,
    )
    model = options.get("change", lambda same: same)(model)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    x = torch.randn(batch, 6, size, size, device=bench.device)
    y = torch.arange(batch, device=bench.device) % 2
    seen = model.equalize(x).detach() if plain else None
    bfloat16 = options.get("bfloat16", False)

    def step() -> None:
        with torch.autocast(bench.device.type, dtype=torch.bfloat16, enabled=bfloat16):
            shown, evidence = (seen, None) if seen is not None else model.equalize_with_evidence(x)
            loss = functional.cross_entropy(model.classify(shown).float(), y)
            if evidence is not None:
                loss = loss + 0.5 * functional.cross_entropy(evidence.float(), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    step.batch = batch  # type: ignore[attr-defined]
    return step


def steps(bench: Bench) -> list[dict[str, Any]]:
    """Time training steps at three sizes, beside the plain network."""
    rows: list[dict[str, Any]] = []
    for size in (33,) if bench.quick else (33, 65, 129):
        base = float("nan")
        for density in ("plain", "shared", "sample"):
            for bfloat16 in (False, True):
                if bench.out_of_time:
                    return rows
                step = trained(bench, size, density, bfloat16=bfloat16)
                took = bench.milliseconds(step)
                base = took if density == "plain" and not bfloat16 else base
                rows.append(
                    {
                        "size": size,
                        "network": density,
                        "precision": "bfloat16" if bfloat16 else "float32",
                        "ms": round(took, 2),
                        "to plain": round(took / base, 2),
                        "images/s": round(1e3 * step.batch / took),  # type: ignore[attr-defined]
                        "peak MiB": bench.peak_mib(step),
                    }
                )
    return rows


def compiled(bench: Bench) -> list[dict[str, Any]]:
    """Time the network as it is, compiled, and as a CUDA graph."""
    size = 33 if bench.quick else 129
    model = DECNN(6, 2, size=size, network_size=33, seed=0, device=bench.device).eval()
    x = torch.randn(4 if bench.quick else 64, 6, size, size, device=bench.device)
    with torch.no_grad():
        seen = model.equalize(x)
        exact = model(x)
    ways: dict[str, Callable[[], tuple[Callable[[], Any], Any]]] = {
        "as it is": lambda: (lambda: model(x), exact),
        "torch.compile": lambda: (_compiled(bench, model, x), exact),
        "classify alone": lambda: (lambda: model.classify(seen), exact),
        "classify, CUDA graph": lambda: (_graph(bench, model, seen), exact),
    }
    rows = []
    for name, make in ways.items():
        row: dict[str, Any] = {"network": name, "ms": None, "error": None, "note": ""}
        try:
            with torch.no_grad():
                work, expected = make()
                row["error"] = float((work() - expected).abs().max())
                row["ms"] = round(bench.milliseconds(work), 3)
        except _FAULTS as fault:
            row["note"] = str(fault).splitlines()[0][:80]
        rows.append(row)
        if bench.out_of_time:
            break
    return rows


def _compiled(bench: Bench, model: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    made = torch.compile(model, backend="eager" if bench.quick else "inductor")
    return lambda: made(x)


def _graph(bench: Bench, model: DECNN, seen: Tensor) -> Callable[[], Tensor]:
    if not bench.cuda:
        raise RuntimeError("no CUDA here")
    with _side_stream():
        for _ in range(3):
            model.classify(seen)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = model.classify(seen)

    def replay() -> Tensor:
        graph.replay()
        return out

    return replay


@contextlib.contextmanager
def _side_stream() -> Iterator[None]:
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream().wait_stream(stream)


def preparation(bench: Bench) -> list[dict[str, Any]]:
    """Time the preparation of scans on one core and on all."""
    try:
        from meshconv.datasets.procedural import ProceduralFaces
        from meshconv.mesh.shapes import face
        from meshconv.registration.template import Template
        from meshconv.train.config import PrepareConfig
        from meshconv.train.prepare import prepare
    except ModuleNotFoundError as missing:
        return [{"workers": 0, "scans/s": None, "note": f"needs {missing.name}"}]
    many, vertices = (2, 400) if bench.quick else (4, 7000)
    template = Template.from_surface(face(600 if bench.quick else 5000))
    config = PrepareConfig(size=17 if bench.quick else 129)
    rows = []
    for workers in (1,) if bench.quick else (1, os.cpu_count() or 1):
        scans = ProceduralFaces(many * (1 + workers), n_vertices=vertices)
        how = {"config": config, "workers": workers, "progress": False}
        prepare(ProceduralFaces(2 * workers, n_vertices=vertices, seed=9), template, **how)
        start = time.perf_counter()
        prepare(scans, template, **how)
        rate = len(scans) / (time.perf_counter() - start)
        rows.append({"workers": workers, "scans/s": round(rate, 2), "note": f"{vertices} vertices"})
        if bench.out_of_time:
            break
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--quick", action="store_true", help="a dry run")
    parser.add_argument("--minutes", type=float, default=7.0, help="after which no part begins")
    parser.add_argument("--name", default="gpu", help="of the file of results")
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    bench = Bench(args.device, args.quick, args.minutes)
    name = torch.cuda.get_device_name(bench.device) if bench.cuda else "CPU"
    record: dict[str, Any] = {"device": name, "torch": torch.__version__, "quick": args.quick}
    print(f"{name}, torch {torch.__version__}")
    for part in (layers, steps, compiled, preparation):
        if bench.out_of_time:
            break
        start = time.monotonic()
        record[part.__name__] = rows = part(bench)
        print(f"\n{(part.__doc__ or '').splitlines()[0]} ({time.monotonic() - start:.0f} s)")
        print_table(rows)
    print(write(args.name, record))
    return int(any(row["verdict"] != "right" for row in record["layers"]))


if __name__ == "__main__":
    sys.exit(main())
