"""Three linked panels, driven by mouse events off screen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from drawn import coloured, explained_face

from meshconv.errors import ArgumentError, UnsupportedFormatError
from meshconv.io.landmarks import load_landmarks
from meshconv.mesh.shapes import cap
from meshconv.mesh.surface import Surface
from meshconv.viz.inspect import IMAGE, MAP, SURFACE, Inspector, inspect
from meshconv.viz.window import window_size


@pytest.fixture(scope="module")
def window(gl: str) -> Iterator[Inspector]:
    inspector = inspect(explained_face("cheek_left"), interactive=False, off_screen=True)
    yield inspector
    inspector.close()


def _press(window: Inspector, x: int, y: int) -> None:
    window.plotter.iren.interactor.SetEventInformation(x, y, 0, 0, "\0", 0, None)
    window.plotter.iren.interactor.LeftButtonPressEvent()


def _release(window: Inspector, x: int, y: int) -> None:
    interactor = window.plotter.iren.interactor
    interactor.SetEventInformation(x, y, 0, 0, "\0", 0, None)
    interactor.MouseMoveEvent()
    interactor.LeftButtonReleaseEvent()


def _on_screen(window: Inspector, panel: int, point: np.ndarray) -> tuple[int, int]:
    """Where a point of a panel's space is drawn, in pixels of the window."""
    renderer = window.plotter.renderers[panel]
    renderer.SetWorldPoint(*point, 1.0)
    renderer.WorldToDisplay()
    return round(renderer.GetDisplayPoint()[0]), round(renderer.GetDisplayPoint()[1])


def _spots(window: Inspector) -> list[np.ndarray]:
    place = window.place
    row, column = place.pixel / (window.views.size - 1)
    return [place.point, np.append(place.map_point, 0.0), np.array([column, row, 0.0])]


@pytest.mark.parametrize("panel", [SURFACE, MAP, IMAGE])
def test_a_click_on_any_panel_picks_the_same_place(window: Inspector, panel: int) -> None:
    """Take a vertex in plain sight, click where each panel draws it, and get it back."""
    flat = window.views.parameterization
    vertex = int(np.argmin(np.linalg.norm(flat.coordinates - [0.2, 0.1], axis=1)))
    row, column = window.views.square[vertex][::-1]
    targets = [
        flat.surface.vertices[vertex],
        np.append(flat.coordinates[vertex], 0.0),
        np.array([column, row, 0.0]),
    ]
    x, y = _on_screen(window, panel, targets[panel])
    window.place = None
    _press(window, x, y)
    assert window.place is None  # not before the button is up
    _release(window, x, y)
    assert window.place is not None
    reached = _spots(window)
    sizes = [np.ptp(flat.surface.vertices, axis=0).max(), 2.0, 1.0]
    for spot, target, size in zip(reached, targets, sizes, strict=True):
        assert np.linalg.norm(spot - target) < 0.01 * size  # a pixel or two
    for k in (SURFACE, MAP, IMAGE):
        mark = window.plotter.renderers[k].actors[f"mark{k}"]
        assert np.allclose(mark.center, reached[k], atol=1e-3 * sizes[k])


def test_a_drag_turns_and_does_not_pick(window: Inspector) -> None:
    before, camera = window.place, tuple(window.plotter.renderers[SURFACE].camera.position)
    _press(window, 280, 330)
    _release(window, 340, 330)
    assert window.place is before
    assert tuple(window.plotter.renderers[SURFACE].camera.position) != camera


def test_a_click_beside_the_surface_picks_nothing(window: Inspector) -> None:
    before = window.place
    _press(window, 5, 500)
    _release(window, 5, 500)
    assert window.place is before and window.click(5, 500) is None


def test_the_threshold_takes_colour_away_and_brings_it_back(window: Inspector) -> None:
    """At 0.9 less is coloured than at 0 in every panel; the data are not touched."""
    field = window.field.copy()
    area = {}
    for level in (0.0, 0.9, 0.0):
        window.set_threshold(level)
        window.plotter.render()
        image = window.plotter.screenshot(return_img=True)
        area.setdefault(
            level,
            [
                coloured(part).sum()
                for part in np.array_split(image[:, : int(image.shape[1] / 1.0867)], 3, axis=1)
            ],
        )
    assert all(
        high < 0.4 * low and high > 0 for low, high in zip(area[0.0], area[0.9], strict=True)
    )
    assert np.array_equal(field, window.field)


def test_the_slider_sets_the_threshold(window: Inspector) -> None:
    """Press on the slider's end and the threshold follows; no point is picked on the way."""
    before = window.place
    middle = (
        round(window.plotter.window_size[0] / 3.26 * 0.65),
        round(window.plotter.window_size[1] * 0.09),
    )
    _press(window, *middle)
    _release(window, *middle)
    assert window.threshold == pytest.approx(0.75, abs=0.05) and window.place is before
    window.set_threshold(7.0)
    assert window.threshold == 1.0
    window.set_threshold(0.0)


def test_a_channel_of_the_image_in_place_of_the_saliency(gl: str) -> None:
    one = explained_face()
    window = inspect(one, channel="saliency", interactive=False, off_screen=True)
    assert window.views.size == one.image.size == 33
    window.close()
    with pytest.raises(ArgumentError, match="no channel 'depth'"):
        inspect(one, channel="depth", interactive=False, off_screen=True)


def test_refusals() -> None:
    with pytest.raises(ArgumentError, match="needs a parameterization"):
        inspect(cap(3))
    with pytest.raises(ArgumentError, match="needs a saliency"):
        inspect(explained_face(saliency=None))


def test_landmarks_picked_are_kept_in_a_file_in_the_coordinates_of_the_scan(
    gl: str, tmp_path: Path
) -> None:
    """Though the window turns the scan to the viewer; a second window goes on where it ended."""
    result, path = explained_face("cheek_left"), tmp_path / "marks.mrk.json"
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    own = Surface(result.surface.vertices @ turn.T + 5.0, result.surface.faces)
    flat = replace(result.parameterization, surface=own)
    turned = SimpleNamespace(**{**vars(result), "surface": own, "parameterization": flat})
    window = inspect(turned, landmarks=path, interactive=False, off_screen=True)
    interactor = window.plotter.iren.interactor
    for vertex, key in ((50, "m"), (70, "m"), (90, "m"), (None, "BackSpace")):
        if vertex is not None:
            face = int(np.flatnonzero((own.faces == vertex).any(axis=1))[0])
            seen = window.views.parameterization.surface.vertices[vertex]
            window.select(window.views.from_surface(face, seen))
        interactor.SetKeySym(key)
        interactor.KeyPressEvent()
    window.close()
    found = load_landmarks(path)
    assert found.names == ("1", "2")
    assert np.allclose(found.points, own.vertices[[50, 70]], atol=1e-9)
    again = inspect(turned, landmarks=path, interactive=False, off_screen=True)
    assert again.landmarks is not None and len(again.landmarks.points) == 2
    again.close()
    assert len(load_landmarks(path)) == 2
    with pytest.raises(UnsupportedFormatError, match=r"\.fcsv"):
        inspect(turned, landmarks=tmp_path / "marks.txt", interactive=False, off_screen=True)


def test_it_fits_the_screen_under_the_name_of_the_scan(gl: str) -> None:
    """Whole on a small laptop, at full size on a large screen; no folders in the title."""
    for screen in ((1366, 768), (1280, 800), (1024, 768)):
        width, height = window_size(3, screen)
        assert 0.85 * screen[0] < width < screen[0] and height < screen[1]
    assert window_size(3, (3840, 2160)) == window_size(3, (5120, 2880))
    assert window_size(2, (0, 0)) == window_size(2, (1920, 1080))
    one = explained_face("cheek_left")
    one.name = "/data/study 7/anna.ply"
    inspector = inspect(one, interactive=False, off_screen=True)
    assert inspector.plotter.render_window.GetWindowName() == "anna.ply"
    assert inspector.plotter.window_size[0] <= 0.92 * 1920
    inspector.close()
