"""A skip with its reason where nothing can draw."""

from __future__ import annotations

import pytest

from meshconv.errors import MeshConvError
from meshconv.viz.rendering import rendering_backend


@pytest.fixture(scope="session")
def gl() -> str:
    """The working OpenGL; tests that draw are skipped where there is none."""
    try:
        return rendering_backend()
    except MeshConvError as error:
        pytest.skip(f"cannot draw here: {error}")
