"""Is there an OpenGL to draw with? Asked in a subprocess, since without one VTK ends the
interpreter.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache

from meshconv.errors import MissingDependencyError, RenderingUnavailableError

_PROBE = """
import pyvista
plotter = pyvista.Plotter(off_screen=True, window_size=(32, 32))
plotter.add_mesh(pyvista.Sphere())
plotter.show(auto_close=False)
window = plotter.render_window
renderer = window.ReportCapabilities().split("renderer string:")[-1].splitlines()[0].strip()
print("GL:" + window.GetClassName() + ": " + renderer)
plotter.close()
"""
HINT = "apt-get install libegl1 libgl1-mesa-dri libgl1"


@cache
def rendering_backend(timeout: float = 60.0) -> str:
    """Return the name of the working OpenGL back end, or raise.

    Raises
    ------
    MissingDependencyError
        If PyVista is not installed.
    RenderingUnavailableError
        If a first render fails or crashes; the hint is the apt line.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RenderingUnavailableError(
            f"the first render did not end in {timeout:.0f} s", hint=HINT
        ) from error
    for line in done.stdout.splitlines():
        if line.startswith("GL:"):
            return line[3:]
    if "No module named 'pyvista'" in done.stderr:
        raise MissingDependencyError(
            "PyVista is not installed", hint="pip install 'meshconv[view]'"
        )
    reason = (
        f"signal {-done.returncode}"
        if done.returncode < 0
        else (done.stderr.strip().splitlines() or ["?"])[-1]
    )
    raise RenderingUnavailableError(f"the first render failed ({reason})", hint=HINT)
