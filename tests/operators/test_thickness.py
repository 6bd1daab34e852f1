import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from meshconv import Surface
from meshconv.errors import TopologyError
from meshconv.mesh.shapes import cap, delaunay_sphere, icosphere, torus
from meshconv.operators.thickness import local_thickness


@pytest.mark.parametrize(
    ("surface", "thickness"),
    [(icosphere(3, 5.0), 10.0), (delaunay_sphere(2500, 2.0), 4.0), (torus(3.0, 0.5), 1.0)],
    ids=["icosphere", "irregular sphere", "torus"],
)
def test_balls_and_tubes_are_as_thick_as_their_diameter(surface, thickness):
    np.testing.assert_allclose(local_thickness(surface), thickness, rtol=0.06)  # h^2


def test_it_converges_with_the_square_of_the_edge_length():
    errors = [np.abs(local_thickness(icosphere(level)) - 2).mean() for level in (2, 3, 4)]
    assert errors[1] < errors[0] / 2.5 and errors[2] < errors[1] / 3


def test_a_flat_pill_is_thin_in_the_middle_and_thinner_at_its_rim():
    ball = icosphere(4)
    pill = Surface(ball.vertices * [10.0, 10.0, 1.0], ball.faces)
    found, pole = local_thickness(pill), np.abs(ball.vertices[:, 2]) > 0.99
    np.testing.assert_allclose(found[pole], 2.0, rtol=0.05)
    assert (
        found[np.abs(ball.vertices[:, 2]) < 0.02].max() < 1.2
    )  # rim: radius of curvature c^2 / a = 0.1


def test_it_does_not_depend_on_the_pose_and_scales_like_a_length():
    ball = delaunay_sphere(300, seed=2)
    bean = Surface(ball.vertices * [3.0, 1.0, 2.0], ball.faces)
    turn = Rotation.random(random_state=3).as_matrix()
    moved = Surface(0.01 * bean.vertices @ turn.T + 5.0, bean.faces)
    np.testing.assert_allclose(local_thickness(moved), 0.01 * local_thickness(bean), rtol=1e-6)


def test_what_has_no_inside_is_refused():
    with pytest.raises(
        TopologyError, match=r"needs a closed surface, found 1 boundary loops.*target='sphere'"
    ):
        local_thickness(cap(4))
    ball = icosphere(1)
    with pytest.raises(TopologyError, match=r"nothing lies below 42 of 42 vertices.*inside out"):
        local_thickness(Surface(ball.vertices, ball.faces[:, ::-1]))


def test_a_vertex_below_which_nothing_lies_has_no_thickness():
    ball, corners = icosphere(3), np.array([[5.0, 0, 0], [4, 1, 0], [4, -1, 1], [4, -1, -1]])
    inside_out = np.array([[0, 2, 1], [0, 3, 2], [0, 1, 3], [1, 2, 3]]) + len(ball.vertices)
    assert Surface(corners, inside_out - len(ball.vertices)).vertex_normals[0, 0] < 0
    found = local_thickness(
        Surface(np.vstack([ball.vertices, corners]), np.vstack([ball.faces, inside_out]))
    )
    assert found[len(ball.vertices)] == 0 and np.isfinite(found).all()
    np.testing.assert_allclose(found[: len(ball.vertices)], 2.0, rtol=0.05)


def every_point_tried(surface):
    p = surface.vertices
    points = np.vstack([p, p[surface.faces].mean(axis=1)])
    normals = np.vstack([surface.vertex_normals, surface.face_normals])
    least = np.full(len(p), np.inf)
    for i, (at, normal) in enumerate(zip(p, surface.vertex_normals, strict=True)):
        away = at - points
        depth = away @ normal
        counts = (depth > 0) & (normals @ normal < 0.5)
        least[i] = min((away[counts] ** 2).sum(axis=1) / depth[counts], default=np.inf)
    return least


@pytest.mark.parametrize("seed", range(3))
def test_no_point_is_passed_over(seed):
    rng = np.random.default_rng(seed)
    ball = icosphere(3)
    x, y, _ = ball.vertices.T
    bumps = 1 + 0.3 * np.sin(5 * x + seed) * np.cos(4 * y)
    rough = rng.normal(size=ball.vertices.shape) * 0.01 * seed
    uneven = ball.vertices * bumps[:, None] * [1.0, 2.0, 0.7] + rough
    surface = Surface(uneven, ball.faces)
    np.testing.assert_allclose(local_thickness(surface), every_point_tried(surface), rtol=1e-9)


def test_on_a_sphere_where_every_point_lies_on_the_ball_it_is_half_a_percent_off_at_most():
    ball = icosphere(4)
    found, least = local_thickness(ball), every_point_tried(ball)
    assert (found >= least - 1e-12).all() and (found <= 1.005 * least).all()
