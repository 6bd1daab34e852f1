"""`benchmarks/gpu.py` goes all its ways without a GPU, and finds every layer right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_gpu_script_runs_dry_on_the_cpu(tmp_path: Path) -> None:
    name = os.path.relpath(tmp_path / "gpu", ROOT / "benchmarks" / "results")
    command = [sys.executable, "benchmarks/gpu.py", "--device", "cpu", "--quick", "--name", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert len(found["layers"]) > 20
    assert {row["verdict"] for row in found["layers"]} == {"right"}, found["layers"]
    assert [row["network"] for row in found["steps"][::2]] == ["plain", "shared", "sample"]
    graph = found["compiled"][-1]
    assert "no CUDA" in graph["note"] and found["compiled"][1]["error"] < 1e-4
    assert found["preparation"][0]["scans/s"] > 0


def test_the_networks_need_torch_and_numpy_alone() -> None:
    code = "import sys; sys.modules.update(dict.fromkeys(['lazy_loader', 'scipy', 'numba', 'joblib'"
    code += ", 'threadpoolctl', 'sklearn'])); sys.path.insert(0, 'benchmarks'); import gpu"
    code += "; print(len(gpu.cases()), gpu.preparation(gpu.Bench('cpu', True, 1.0)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("22 ") and "needs" in done.stdout
