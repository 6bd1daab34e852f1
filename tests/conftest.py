"""Shared fixtures: where the real data lies, and hypothesis kept deterministic and short."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "meshconv",
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("meshconv")

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets; the test is skipped where there is none."""
    folder = Path(os.environ.get("MESHCONV_DATA", _BESIDE))
    if not folder.is_dir():
        pytest.skip(f"real data not found in {folder}; set MESHCONV_DATA")
    return folder


@pytest.fixture(scope="session")
def bad_meshes(data_dir: Path) -> Path:
    """The folder of broken files with its runner."""
    folder = data_dir.parent / "badmeshes"
    if not folder.is_dir():
        pytest.skip(f"bad-mesh corpus not found in {folder}")
    return folder
