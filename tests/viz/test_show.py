"""The window: what stands in it, driven off screen."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import coloured, explained_face

from meshconv import Parameterization
from meshconv.errors import ArrayTypeError, NonFiniteError, RenderingUnavailableError
from meshconv.mesh.shapes import cap, icosphere
from meshconv.viz import rendering
from meshconv.viz.picture import FieldStyle
from meshconv.viz.show import show


def _drawn(result: object, *arguments: object, **options: object) -> tuple[object, np.ndarray]:
    plotter = show(result, *arguments, interactive=False, off_screen=True, **options)
    return plotter, plotter.screenshot(return_img=True)


def test_an_explanation_stands_upright_beside_its_map(gl: str) -> None:
    """Posed at random, drawn from the front: the left cheek is to the viewer's right, in both
    panels.
    """
    plotter, image = _drawn(explained_face("cheek_left"))
    width = image.shape[1] / 2.26
    surface, flat = image[:, : int(width)], image[:, int(width) : int(2 * width)]
    for panel in (surface, flat):
        columns = np.nonzero(coloured(panel))[1]
        assert len(columns) > 200 and columns.mean() > 0.55 * width
    assert (
        coloured(image[:, int(2 * width) :]).sum() > 500
    )  # the colour bar, in a column of its own
    words = " ".join(
        str(actor.GetText(2) or "")
        for actor in plotter.renderers[0].actors.values()
        if hasattr(actor, "GetText")
    )
    assert "face 1" in words and "probability 0.80" in words
    plotter.close()


def test_surface_and_parameterization_alone(gl: str) -> None:
    ball = icosphere(3)
    plotter, image = _drawn(ball)
    assert len(plotter.renderers) == 2 and coloured(image).sum() == 0 and (image < 250).any()
    plotter.close()
    flat = Parameterization(cap(8), cap(8).vertices[:, :2])
    plotter, image = _drawn(flat, flat.surface.vertices[:, 0], look=FieldStyle("x", signed=True))
    assert len(plotter.renderers) == 3 and coloured(image).sum() > 500
    plotter.close()
    plotter, _ = _drawn(Parameterization(ball, ball.vertices, "sphere"), ball.vertices[:, 2])
    plotter.close()


def test_a_constant_saliency_is_said_to_be_one(gl: str) -> None:
    one = explained_face()
    one.saliency = np.zeros_like(one.saliency)
    plotter, image = _drawn(one)
    words = [
        actor.GetText(2)
        for actor in plotter.renderers[0].actors.values()
        if hasattr(actor, "GetText")
    ]
    assert any("points nowhere" in (text or "") for text in words)
    assert coloured(image[:, : int(image.shape[1] / 1.13)]).sum() == 0
    plotter.close()


def test_dragging_turns_the_surface_and_leaves_the_map(gl: str) -> None:
    plotter, before = _drawn(explained_face())
    interactor = plotter.iren.interactor
    for x in (280, 840):
        cameras = [tuple(r.camera.position) for r in plotter.renderers]
        interactor.SetEventInformation(x, 320, 0, 0, "\0", 0, None)
        interactor.LeftButtonPressEvent()
        interactor.SetEventInformation(x + 60, 320, 0, 0, "\0", 0, None)
        interactor.MouseMoveEvent()
        interactor.LeftButtonReleaseEvent()
        moved = [
            tuple(r.camera.position) != old
            for r, old in zip(plotter.renderers, cameras, strict=True)
        ]
        assert moved == [x == 280, False, False]
    assert np.abs(before.astype(int) - plotter.screenshot(return_img=True)).max() > 50
    plotter.close()


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArrayTypeError, match="cannot draw a dict"):
        show({})
    with pytest.raises(NonFiniteError, match="field is not finite"):
        show(cap(3), np.full(cap(3).n_vertices, np.nan))
    rendering.rendering_backend.cache_clear()
    monkeypatch.setattr(rendering, "_PROBE", "raise SystemExit('no GL')")
    with pytest.raises(RenderingUnavailableError, match="apt-get install libegl1"):
        show(cap(3), interactive=False, off_screen=True)
    rendering.rendering_backend.cache_clear()
