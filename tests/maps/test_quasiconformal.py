"""The linear Beltrami solver against maps known in closed form, and the algebra of composition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshconv.errors import (
    AccuracyWarning,
    ArgumentError,
    ArrayTypeError,
    FoldError,
    IndexOutOfRangeError,
    NonFiniteError,
)
from meshconv.maps.composition import (
    complex_derivative,
    compose,
    composed_beltrami,
    inverse_beltrami,
    map_points,
)
from meshconv.maps.face_maps import beltrami_between
from meshconv.maps.parameterization import Parameterization
from meshconv.maps.quasiconformal import beltrami_stiffness, quasiconformal_map
from meshconv.mesh import shapes
from meshconv.mesh.surface import Surface
from meshconv.operators.laplacian import cotangent_laplacian


def square(size):
    surface = shapes.grid(size)
    return Parameterization(surface, surface.vertices[:, :2], "rectangle")


def disk(n=400, seed=0):
    surface = shapes.delaunay_disk(n, seed=seed)
    return Parameterization(surface, surface.vertices[:, :2], "disk")


def bend(xy):
    """A smooth map of the unit square to itself that slides along its sides."""
    x, y = xy.T
    return np.column_stack(
        [x + 0.1 * np.sin(np.pi * x) * np.cos(np.pi * y / 2), y + 0.1 * np.sin(np.pi * y) * x]
    )


def bend_mu(p, h=1e-6):
    c = p.coordinates[p.surface.faces].mean(axis=1)
    fx, fy = ((bend(c + d) - bend(c - d)) / (2 * h) @ [1, 1j] for d in ([h, 0], [0, h]))
    return (fx + 1j * fy) / (fx - 1j * fy)


def border(p):
    return p.surface.boundary_loops[0]


def mu_of(p, q):
    return beltrami_between(p.surface.faces, p.z, q.z)


@given(st.floats(0, 0.95), st.floats(0, 2 * np.pi))
def test_affine_maps_are_recovered_to_rounding(size, angle):
    p, mu = disk(), size * np.exp(1j * angle)
    exact = p.z + mu * np.conj(p.z)
    exact_xy = np.column_stack([exact.real, exact.imag])
    rim = border(p)
    q = quasiconformal_map(p, mu, boundary=exact_xy[rim])
    assert np.abs(q.z - exact).max() < 1e-9
    assert np.abs(mu_of(p, q) - mu).max() < 1e-7
    free = quasiconformal_map(
        p, mu, boundary="free", landmarks=rim[[0, 20]], targets=exact_xy[rim[[0, 20]]]
    )
    assert np.abs(free.z - exact).max() < 1e-6


@pytest.mark.parametrize("boundary", ["given", "slide"])
def test_a_known_map_is_recovered_to_second_order(boundary):
    error = {}
    for size in (9, 33):
        p = square(size)
        given_border = bend(p.coordinates[border(p)])
        q = quasiconformal_map(
            p, bend_mu(p), boundary="slide" if boundary == "slide" else given_border
        )
        error[size] = np.abs(q.coordinates - bend(p.coordinates)).max()
        assert np.abs(mu_of(p, q) - bend_mu(p)).max() < 0.4 / size
    assert error[33] < 1e-3 and error[33] < error[9] / 12


def test_height_of_the_rectangle_is_its_modulus():
    """mu = k stretches x by (1 + k) and y by (1 - k): the unit square becomes 1 x (1 - k) / (1 +
    k).
    """
    for k in (-0.5, 0.0, 0.3, 0.8):
        q = quasiconformal_map(square(9), k, boundary="slide")
        assert q.coordinates[:, 1].max() == pytest.approx((1 - k) / (1 + k), rel=1e-9)
        assert q.domain == "rectangle"


def test_zero_coefficient_is_the_cotangent_laplacian():
    p = disk(200)
    difference = beltrami_stiffness(p, np.zeros(p.surface.n_faces)) - cotangent_laplacian(p.surface)
    assert np.abs(difference.toarray()).max() < 1e-11
    assert np.abs(quasiconformal_map(p, 0).coordinates - p.coordinates).max() < 1e-12


def test_landmarks_are_met_exactly_and_the_border_stays():
    p = disk(900)
    marks = np.array([3, 40, 200])
    goals = p.coordinates[marks] + [[0.02, 0.01], [-0.02, 0.02], [0.01, -0.02]]
    q = quasiconformal_map(p, 0.0, landmarks=marks, targets=goals)
    assert np.array_equal(q.coordinates[marks], goals)
    assert np.array_equal(q.coordinates[border(p)], p.coordinates[border(p)])
    assert len(q.flipped_faces()) == 0 and q.domain == "disk"


def test_numbering_and_size_do_not_matter():
    p, rng = disk(300), np.random.default_rng(0)
    mu = 0.4 * np.exp(1j * rng.uniform(0, 6, p.surface.n_faces))
    smooth = quasiconformal_map(p, mu, on_fold="keep")
    vertex = rng.permutation(p.surface.n_vertices)
    shuffled = Surface(p.surface.vertices[vertex] * 1e6, np.argsort(vertex)[p.surface.faces])
    other = Parameterization(shuffled, p.coordinates[vertex], "disk")
    q = quasiconformal_map(other, mu, on_fold="keep")
    assert np.abs(q.coordinates - smooth.coordinates[vertex]).max() < 1e-9


def test_folds_are_opened_with_a_warning_or_named():
    p = disk(900)
    mark = int(np.argmin(np.linalg.norm(p.coordinates, axis=1)))
    asked = {"landmarks": [mark], "targets": [[0.45, 0.0]]}
    kept = quasiconformal_map(p, 0.0, **asked, on_fold="keep")
    assert len(kept.flipped_faces()) > 0
    with pytest.raises(FoldError, match="faces fold"):
        quasiconformal_map(p, 0.0, **asked, on_fold="raise")
    with pytest.warns(AccuracyWarning, match="folded faces were opened"):
        q = quasiconformal_map(p, 0.0, **asked)
    assert len(q.flipped_faces()) == 0 and np.abs(mu_of(p, q)).max() < 1
    assert q.coordinates[mark].tolist() == [0.45, 0.0]
    crossed = {"landmarks": border(p)[[0, 1]], "targets": p.coordinates[border(p)[[1, 0]]]}
    with pytest.raises(FoldError, match="could not be opened"):
        quasiconformal_map(p, 0.0, **crossed)


# --- composition and inverse ---------------------------------------------------------------------


@given(
    st.complex_numbers(max_magnitude=0.9), st.complex_numbers(max_magnitude=0.9), st.floats(0.1, 6)
)
@settings(max_examples=15)
def test_composition_formula_on_affine_maps(mu_f, mu_g, angle):
    p, turn = disk(60), np.exp(1j * angle)

    def moved(z):
        return p.with_coordinates(np.column_stack([z.real, z.imag]), "plane")

    f = moved(turn * (p.z + mu_f * np.conj(p.z)))
    g_after_f = moved(f.z + mu_g * np.conj(f.z))
    formula = composed_beltrami(mu_of(p, f), complex_derivative(p, f), mu_of(f, g_after_f))
    assert np.abs(formula - mu_of(p, g_after_f)).max() < 1e-8
    inverse = inverse_beltrami(mu_of(p, f), complex_derivative(p, f))
    assert np.abs(inverse - mu_of(f, p)).max() < 1e-8
    assert np.abs(composed_beltrami(mu_of(p, f), complex_derivative(p, f), inverse)).max() < 1e-8


def test_points_go_there_and_back():
    p = square(17)
    q = p.with_coordinates(bend(p.coordinates))
    points = np.random.default_rng(0).uniform(size=(300, 2))
    there = map_points(points, p, q)
    assert np.abs(there - bend(points)).max() < 2e-3
    assert np.abs(map_points(there, q, p) - points).max() < 1e-12
    assert np.abs(map_points(p.coordinates, p, q) - q.coordinates).max() < 1e-12


def test_points_outside_come_to_the_border():
    p = square(9)
    assert (
        np.abs(map_points([[1.5, 0.5], [-0.2, 0.25]], p, p) - [[1, 0.5], [0, 0.25]]).max() < 1e-12
    )


def test_compose_maps_another_surface_through_the_shared_plane():
    p, q = square(33), square(17)
    bent = p.with_coordinates(bend(p.coordinates))
    through = compose(q, p, bent)
    assert through.surface is q.surface and through.domain == "rectangle"
    assert np.abs(through.coordinates - bend(q.coordinates)).max() < 1e-3
    assert np.abs(compose(through, bent, p).coordinates - q.coordinates).max() < 1e-12


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "message", "options"),
    [
        (ArgumentError, "\\|mu\\| is 1 at face 0, must be below 1", {"mu": 1.0}),
        (NonFiniteError, "mu is .* at face 0", {"mu": np.nan}),
        (ArrayTypeError, "one complex value per face", {"mu": np.zeros(3)}),
        (ArgumentError, "given together", {"landmarks": [1]}),
        (ArgumentError, "name a vertex twice", {"landmarks": [1, 1], "targets": np.zeros((2, 2))}),
        (
            IndexOutOfRangeError,
            "landmark 0 is vertex -1",
            {"landmarks": [-1], "targets": np.zeros((1, 2))},
        ),
        (ArrayTypeError, "landmarks must be", {"landmarks": [0.5], "targets": np.zeros((1, 2))}),
        (ArrayTypeError, "targets must be", {"landmarks": [1], "targets": np.zeros((1, 3))}),
        (ArrayTypeError, "one row per border vertex", {"boundary": np.zeros((2, 2))}),
        (ArgumentError, "boundary must be one of", {"boundary": "loose"}),
        (ArgumentError, "needs the domain 'rectangle'", {"boundary": "slide"}),
        (ArgumentError, "at least 2 landmarks", {"boundary": "free"}),
        (
            ArgumentError,
            "go to one point",
            {"boundary": "free", "landmarks": [0, 1], "targets": [[0, 0], [0, 0]]},
        ),
        (ArrayTypeError, "mu must hold complex numbers", {"mu": "steep"}),
        (
            ArrayTypeError,
            "rows have different lengths",
            {"landmarks": [[1], [1, 2]], "targets": [[0, 0]]},
        ),
        (ArgumentError, "on_fold must be one of", {"on_fold": "ignore"}),
    ],
)
def test_refusals(error, message, options):
    with pytest.raises(error, match=message):
        quasiconformal_map(disk(60), **{"mu": 0.0, **options})


def test_empty_lists_of_landmarks_are_none_at_all():
    p = disk(60)
    assert np.array_equal(
        quasiconformal_map(p, 0.1, landmarks=[], targets=[]).coordinates,
        quasiconformal_map(p, 0.1).coordinates,
    )


def test_points_that_are_no_numbers_are_refused():
    with pytest.raises(ArrayTypeError, match="points must hold real numbers"):
        map_points([["a", "b"]], disk(60), disk(60))


def test_sphere_folded_start_and_foreign_faces_are_refused():
    sphere = shapes.icosphere(1)
    with pytest.raises(ArgumentError, match="works in the plane"):
        quasiconformal_map(Parameterization(sphere, sphere.vertices, "sphere"), 0.0)
    p = disk(60)
    mirrored = p.with_coordinates(p.coordinates * [-1, 1])
    with pytest.raises(FoldError, match="folded or has no area"):
        quasiconformal_map(mirrored, 0.0)
    with pytest.raises(FoldError, match="folded or has no area"):
        map_points([[0, 0]], mirrored, p)
    with pytest.raises(ArgumentError, match="the same faces"):
        map_points([[0, 0]], p, disk(70))
