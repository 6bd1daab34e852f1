"""Moebius transforms: group laws, the unit disk and sphere kept, barycentres at 0."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshconv.errors import SolverError
from meshconv.maps.moebius import Moebius, centred_on_sphere, centring, moebius_sphere

INSIDE = st.complex_numbers(max_magnitude=0.95)


@given(a=INSIDE, b=INSIDE, z=INSIDE)
def test_composition_and_inverse_are_those_of_maps(a: complex, b: complex, z: complex) -> None:
    f, g = Moebius.to_centre(a), Moebius.to_centre(b)
    assert abs((f @ g)(z) - f(g(z))) < 1e-10
    assert abs(f.inverse()(f(z)) - z) < 1e-10
    assert abs(f(a)) < 1e-14
    assert abs(abs(f(np.exp(1j * abs(z)))) - 1) < 1e-12


@given(shift=INSIDE, seed=st.integers(0, 1000))
def test_the_barycentre_is_found_from_wherever_one_starts(shift: complex, seed: int) -> None:
    rng = np.random.default_rng(seed)
    z = np.sqrt(rng.uniform(size=50)) * np.exp(2j * np.pi * rng.uniform(size=50))
    w = rng.uniform(0.1, 1, 50)
    here, there = (centring(p, w)(p) for p in (z, Moebius.to_centre(shift)(z)))
    assert abs(w @ here) / w.sum() < 1e-11
    turn = np.vdot(here, there) / np.vdot(here, here)
    assert abs(abs(turn) - 1) < 1e-8
    assert np.abs(there - turn * here).max() < 1e-8


@given(seed=st.integers(0, 1000), size=st.floats(0, 0.97))
def test_the_ball_maps_its_sphere_and_centres_it(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(60, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    direction = rng.normal(size=3)
    moved = moebius_sphere(points, size * direction / np.linalg.norm(direction))
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 1, atol=1e-12)
    a, b, c, d = range(4)  # the absolute cross ratio is what all Moebius transforms keep

    def ratio(p: np.ndarray) -> float:
        def gap(i: int, j: int) -> float:
            return float(np.linalg.norm(p[i] - p[j]))

        return gap(a, b) * gap(c, d) / (gap(a, c) * gap(b, d))

    assert ratio(moved) == pytest.approx(ratio(points), rel=1e-6)
    assert np.linalg.norm(centred_on_sphere(moved, np.ones(60)).mean(axis=0)) < 1e-11


def test_half_of_the_weight_in_one_border_point_has_no_barycentre() -> None:
    with pytest.raises(SolverError, match="conformal barycentre is still"):
        centring(np.array([1.0 + 0j, 0.5j, -0.5]), np.array([5.0, 1.0, 1.0]))
    with pytest.raises(SolverError, match="conformal barycentre is still"):
        centred_on_sphere(np.eye(3), np.array([5.0, 1.0, 1.0]))
