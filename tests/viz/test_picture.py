"""Static pictures: where the colour is, one scale, white ground, the views, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import coloured, explained_face

from meshconv.errors import MeshConvError, NonFiniteError, RenderingUnavailableError
from meshconv.mesh.shapes import cap, icosphere
from meshconv.mesh.surface import Surface
from meshconv.viz import picture, rendering, style
from meshconv.viz.explained import as_explained
from meshconv.viz.flat import flat_field, flat_picture, sampling_picture
from meshconv.viz.picture import (
    SALIENCY,
    FieldStyle,
    figure,
    render_views,
    save_figure,
    views_extent,
)


def _box(image: np.ndarray) -> tuple[float, float]:
    """Width and height in pixels of what is not white."""
    rows, columns = np.nonzero((image < 250).any(axis=2))
    return float(np.ptp(columns)) + 1, float(np.ptp(rows)) + 1


def test_a_sphere_is_a_circle_of_the_stated_scale(gl: str) -> None:
    """Half the picture is 1.04 times the extent, in every view; the ground is white."""
    images = render_views(icosphere(4), size=300)
    for image in images:
        width, height = _box(image)
        assert image[0, 0].tolist() == [255, 255, 255]
        assert width == pytest.approx(300 / 1.04, abs=5) and height == pytest.approx(
            300 / 1.04, abs=5
        )  # blurred rim
    wide = render_views(icosphere(4), size=300, extent=2.0, views=("front",))[0]
    assert _box(wide)[0] == pytest.approx(150 / 1.04, abs=3)


def test_a_vertex_in_no_face_does_not_move_the_picture(gl: str) -> None:
    ball = icosphere(3)
    whole = render_views(ball, ball.vertices[:, 0], size=120)
    for stray in ([9.0, 9, 9], [1e12, 0, 0], [0, -1e30, 0]):
        more = Surface(np.vstack([ball.vertices, [stray]]), ball.faces)
        assert views_extent(more, ("front",)) == views_extent(ball, ("front",))
        images = render_views(more, np.append(ball.vertices[:, 0], 0.5), size=120)
        np.testing.assert_array_equal(images, whole)


def test_colour_stands_where_the_field_is_in_each_view(gl: str) -> None:
    """A patch on the sphere's +x side: edge of the front view, middle of the left profile, not in
    the right one.
    """
    ball = icosphere(4)
    field = np.clip(8 * ball.vertices[:, 0] - 7, 0, 1)  # within 29 degrees of +x
    front, left, right = render_views(
        ball, field, size=300, views=("front", "profile", "profile right"), field_style=SALIENCY
    )
    assert np.nonzero(coloured(front))[1].mean() > 260
    assert np.nonzero(coloured(left))[1].mean() == pytest.approx(150, abs=4)
    assert coloured(right).sum() == 0


def test_the_scale_is_light_at_zero_dark_red_at_one_and_never_black(gl: str) -> None:
    flat = cap(20, angle=0.3)
    low, high = (
        render_views(
            flat, np.full(flat.n_vertices, v), size=120, views=("front",), field_style=SALIENCY
        )[0][60, 60]
        for v in (0.0, 1.0)
    )
    assert low.min() > 180 and np.ptp(low.astype(int)) < 15
    assert high[0] > 80 and high[0] > 2.5 * high[1]
    assert np.asarray([style.colormap()(k)[:3] for k in range(256)]).max(axis=1).min() > 0.4


def test_iso_lines_are_drawn_and_can_be_left_out(gl: str) -> None:
    flat = cap(40, angle=1.0)
    field = np.clip(flat.vertices[:, 0] / 0.8, 0, 1)
    with_lines, without = (
        render_views(
            flat,
            field,
            size=300,
            views=("front",),
            field_style=FieldStyle("f", (0, 1), iso_lines=lines),
        )[0]
        for lines in (True, False)
    )
    different = np.abs(with_lines.astype(int) - without).max(axis=2) > 20
    for level in style.ISO_LINES:
        column = round(150 + 150 * 0.8 * level / (1.04 * views_extent(flat, ("front",))))
        assert (
            different[100:200, column - 3 : column + 4].any(axis=1).mean() > 0.9
        )  # whole, not in pieces
    assert different.mean() < 0.05


def test_smooth_shading_does_not_change_the_callers_field(gl: str) -> None:
    flat = cap(10)
    field = np.linspace(0, 1, flat.n_vertices)
    before = field.copy()
    mesh = picture.polydata(flat, field)
    mesh.point_data["field"][:] = 0
    assert np.array_equal(field, before)


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_a_constant_field_is_drawn_with_a_note(gl: str, value: float, tmp_path) -> None:
    flat = cap(8)
    fig = figure(
        flat,
        np.full(flat.n_vertices, value),
        size=80,
        title="$not math_{ & <b>",
        field_style=SALIENCY,
    )
    assert any("constant" in text.get_text() for text in fig.texts)
    assert len(fig.axes) == 4  # three views, and the colour bar in a column of its own
    save_figure(fig, tmp_path / "a.png", dpi=60)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_nan_is_refused_before_anything_is_drawn() -> None:
    flat = cap(3)
    with pytest.raises(NonFiniteError, match="field is not finite at vertex 0"):
        figure(flat, np.full(flat.n_vertices, np.nan))


def test_no_opengl_is_a_clean_error_with_the_apt_line(monkeypatch) -> None:
    """A first render that dies of a signal is told apart from PyVista missing; nothing is imported
    here.
    """
    for probe, error, words in [
        (
            "import os; os.kill(os.getpid(), 11)",
            RenderingUnavailableError,
            "signal 11.*apt-get install libegl1",
        ),
        ("raise ModuleNotFoundError(\"No module named 'pyvista'\")", MeshConvError, "pip install"),
    ]:
        rendering.rendering_backend.cache_clear()
        monkeypatch.setattr(rendering, "_PROBE", probe)
        with pytest.raises(error, match=words):
            render_views(cap(3), size=20)
    rendering.rendering_backend.cache_clear()


def test_flat_image_is_the_field_in_the_square() -> None:
    """The colour's centre of mass is where the map says the effect is; outside the disk there is
    nothing.
    """
    one = as_explained(explained_face("cheek_left"))
    image = flat_field(one, 129)
    row, column = (
        np.average(axis, weights=np.nan_to_num(image)) / 128 for axis in np.indices(image.shape)
    )
    weights = one.field / one.field.sum()
    u, v = weights @ (one.parameterization.coordinates + 1) / 2
    assert np.allclose([column, row], [u, v], atol=0.03)
    assert np.isnan(image[0, 0])
    assert flat_field(as_explained(cap(4))) is None


def test_sampling_grid_is_drawn_where_it_lies() -> None:
    """A grid pressed into the left half leaves the right half of the picture without lines."""
    import io

    from matplotlib.image import imread

    one = explained_face()
    one.sampling_grid = one.sampling_grid * [0.5, 1.0]
    drawn = as_explained(one)
    lines, plain = (
        imread(io.BytesIO(png))
        for png in (sampling_picture(drawn, size=200), flat_picture(drawn, size=200))
    )
    contrast = [
        np.abs(np.diff(lines[20:180, part, :3], axis=0)).mean()
        for part in (slice(10, 90), slice(110, 190))
    ]
    assert contrast[0] > 3 * contrast[1]
    assert plain.shape == (200, 200, 4)
    assert sampling_picture(as_explained(explained_face(sampling_grid=None))) is None
