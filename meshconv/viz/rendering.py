"""Is there an OpenGL to draw with? Asked in a subprocess, since without one VTK ends the
interpreter.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

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

    Parameters
    ----------
    timeout : float
        Seconds of processor time that a first render may take, and seconds it may wait for nothing;
        on a loaded machine the clock on the wall may show many times as much.

    Raises
    ------
    MissingDependencyError
        If PyVista is not installed.
    RenderingUnavailableError
        If a first render fails or crashes; the hint is the apt line.
    """
    code, out, complaint = _run_probe(timeout)
    for line in out.splitlines():
        if line.startswith("GL:"):
            return line[3:]
    if "No module named 'pyvista'" in complaint:
        raise MissingDependencyError(
            "PyVista is not installed", hint="pip install 'meshconv[view]'"
        )
    reason = f"signal {-code}" if code < 0 else (complaint.strip().splitlines() or ["?"])[-1]
    raise RenderingUnavailableError(f"the first render failed ({reason})", hint=HINT)


def _run_probe(timeout: float) -> tuple[int, str, str]:
    """Exit code, output and complaints of a first render."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROBE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    step = timeout / 20
    used = idle = 0.0
    while True:
        try:
            out, complaint = process.communicate(timeout=step)
        except subprocess.TimeoutExpired as error:
            before, used = used, _processor_seconds(process.pid)
            idle = 0.0 if used > before else idle + step
            if max(used, idle) < timeout:
                continue
            process.kill()
            process.communicate()
            raise RenderingUnavailableError(
                f"the first render did not end in {timeout:.0f} s", hint=HINT
            ) from error
        return process.returncode, out, complaint


def _processor_seconds(pid: int) -> float:
    """What a process has used of the processor; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
