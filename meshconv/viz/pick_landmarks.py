"""Landmarks picked in a window, kept in a file that Slicer or MeshLab reads."""

from __future__ import annotations

import os
from os import PathLike
from typing import Any

import numpy as np

from meshconv._check import FloatArray
from meshconv.io.landmarks import load_landmarks, save_landmarks
from meshconv.maps.parameterization import Parameterization
from meshconv.viz.linked import Place
from meshconv.viz.window import write

_KEEP, _DROP = "m", "BackSpace"
_COLOUR = "#14508c"


class PickedLandmarks:
    """The landmarks of one scan: m keeps the place last clicked, backspace drops the last one. The
    file is written at each, and gone on with if it is there.

    Parameters
    ----------
    window
        An `Inspector`: its plotter, and the place picked last.
    flat : Parameterization
        Of the scan as it lies in its file, not as the window turns it.
    path : str or PathLike
        ``.fcsv``, ``.mrk.json`` or ``.pp``; points in the scan's coordinates, said to be LPS.

    Attributes
    ----------
    names : list of str
    points : list of (3,) float64
    """

    def __init__(self, window: Any, flat: Parameterization, path: str | PathLike[str]) -> None:
        self._window, self._flat, self.path = window, flat, path
        self.names: list[str] = []
        self.points: list[FloatArray] = []
        if os.path.exists(path):
            found = load_landmarks(path)
            self.names, self.points = list(found.names), list(found.points)
        else:
            save_landmarks(path, np.empty((0, 3)))  # refused now, not after an hour of clicks
        window.plotter.add_key_event(_KEEP, self.keep)
        window.plotter.add_key_event(_DROP, self.drop)
        self._say()

    def keep(self) -> None:
        """Make the place last clicked the next landmark."""
        place: Place | None = self._window.place
        if place is not None:
            corners = self._flat.surface.faces[place.face]
            self.points.append(place.weights @ self._flat.surface.vertices[corners])
            self.names.append(str(len(self.points)))
            self._save()
            self._draw(place)

    def drop(self) -> None:
        """Take the last landmark back."""
        if self.points:
            self._window.plotter.remove_actor(f"landmark{len(self.points)}", render=False)
            self.points.pop()
            self.names.pop()
            self._save()

    def _save(self) -> None:
        points = np.array(self.points, np.float64).reshape(-1, 3)
        save_landmarks(self.path, points, names=self.names)
        self._say()

    def _say(self) -> None:
        self._window.plotter.subplot(0, 0)
        text = f"{len(self.points)} landmarks (m: keep the place, backspace: drop the last)"
        write(self._window.plotter, text, position="lower_right", name="landmarks")

    def _draw(self, place: Place) -> None:
        self._window.plotter.subplot(0, 0)
        self._window.plotter.add_point_labels(
            place.point[None],
            [self.names[-1]],
            name=f"landmark{len(self.points)}",
            text_color=_COLOUR,
            point_color=_COLOUR,
            point_size=9,
            shape=None,
            always_visible=True,
            reset_camera=False,
        )
