"""One point on surface, map and image: round trips, closed form, outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshconv import Parameterization, conformal_map
from meshconv.mesh.shapes import bumpy_heightfield, disk, face, face_coordinates, icosphere
from meshconv.resample.resampler import Resampler
from meshconv.viz.linked import LinkedViews

_FACE = face(600, identity=3)
_VIEWS = {
    "disk": LinkedViews(Parameterization(_FACE, face_coordinates(600), "disk"), 65),
    "rectangle": LinkedViews(conformal_map(bumpy_heightfield(14), domain="rectangle"), 33),
    "plane": LinkedViews(conformal_map(bumpy_heightfield(14), domain="free"), 33),
    "sphere": LinkedViews(Parameterization(icosphere(3), icosphere(3).vertices, "sphere"), 65),
}


@pytest.mark.parametrize("domain", sorted(_VIEWS))
@given(share=st.floats(0, 1, exclude_max=True), s=st.floats(0.05, 0.9), t=st.floats(0.05, 0.9))
def test_a_pick_goes_to_map_and_pixel_and_comes_back(
    domain: str, share: float, s: float, t: float
) -> None:
    """Surface -> map -> surface and surface -> pixel -> surface end where they began."""
    views = _VIEWS[domain]
    surface = views.parameterization.surface
    k = int(share * surface.n_faces)
    weights = np.array([1.0, s, t]) / (1 + s + t)
    point = weights @ surface.vertices[surface.faces[k]]
    place = views.from_surface(k, point)
    assert (
        np.allclose(place.weights, weights, atol=1e-9)
        and place.vertex == surface.faces[k][weights.argmax()]
    )
    scale = np.ptp(surface.vertices, axis=0).max()
    for back in (views.from_map(place.map_point), views.from_pixel(*place.pixel)):
        assert back is not None
        # on the sphere, the chord of a face and its arc differ by the square of an edge
        assert np.linalg.norm(back.point - point) < (1e-2 if domain == "sphere" else 1e-6) * scale
        assert np.allclose(back.pixel, place.pixel, atol=1e-4)


def test_identity_disk_is_known_in_closed_form() -> None:
    """On the flat disk the pixel of (x, y) is ((y + 1) / 2, (x + 1) / 2) * (N - 1)."""
    flat = disk(9)
    views = LinkedViews(Parameterization(flat, flat.vertices[:, :2], "disk"), 129)
    place = views.from_map(np.array([0.25, -0.5]))
    assert place is not None
    assert np.allclose(place.point, [0.25, -0.5, 0.0], atol=1e-12) and np.allclose(
        place.pixel, [32, 80]
    )
    assert views.value(place, flat.vertices[:, 0]) == pytest.approx(0.25)


def test_pixels_agree_with_the_resampler() -> None:
    """The value at a node of the image is the value at the place found from that node."""
    views = _VIEWS["disk"]
    field = np.sin(_FACE.vertices[:, 0] / 20)
    image = Resampler(views.parameterization, 65).to_image(field).channels[0]
    for row, column in [(10, 30), (32, 32), (50, 44), (33, 12)]:
        place = views.from_pixel(row, column)
        assert place is not None and views.value(place, field) == pytest.approx(
            image[row, column], abs=1e-9
        )


def test_outside_the_map_is_nothing() -> None:
    assert _VIEWS["disk"].from_pixel(0, 0) is None
    assert _VIEWS["disk"].from_map(np.array([1.2, 0.0])) is None


def test_a_point_above_the_face_is_moved_into_it() -> None:
    views = _VIEWS["disk"]
    surface = views.parameterization.surface
    centre = surface.vertices[surface.faces[5]].mean(axis=0)
    place = views.from_surface(5, centre + 3.0 * surface.face_normals[5])
    assert np.allclose(place.point, centre, atol=1e-9)
