"""The first render: asked in another process, with patience on a loaded machine."""

from __future__ import annotations

import pytest

from meshconv.errors import RenderingUnavailableError
from meshconv.viz import rendering

_SLOW = """
import time
for _ in range(10):
    time.sleep(0.2)
    until = time.process_time() + 0.03
    while time.process_time() < until: pass
print("GL:slow")
"""


def test_a_render_that_gets_little_of_the_processor_is_waited_for(monkeypatch) -> None:
    """Twice the limit by the clock on the wall, a third of it by the processor's."""
    monkeypatch.setattr(rendering, "_PROBE", _SLOW)
    assert rendering.rendering_backend.__wrapped__(1.0) == "slow"


@pytest.mark.parametrize("probe", ["import time; time.sleep(600)", "while True: pass"])
def test_a_render_that_hangs_is_given_up(monkeypatch, probe) -> None:
    monkeypatch.setattr(rendering, "_PROBE", probe)
    with pytest.raises(RenderingUnavailableError, match="did not end in 1 s"):
        rendering.rendering_backend.__wrapped__(1.0)
