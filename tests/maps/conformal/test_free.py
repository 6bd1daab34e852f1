"""Lanczos' method of the spectral map against dense algebra; the map does not depend on where it
starts.
"""

from __future__ import annotations

import numpy as np
import pytest

from meshconv.maps.conformal import free as _free
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.maps.conformal.free import _dominant
from meshconv.mesh.shapes import bumpy_heightfield


@pytest.mark.parametrize("size", [3, 4, 40])
@pytest.mark.parametrize("seed", range(3))
def test_the_dominant_direction_is_that_of_dense_algebra(size, seed):
    rng = np.random.default_rng(seed)
    values = 1.0 / np.arange(1, size + 1) ** 2
    directions = np.linalg.qr(rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size)))[0]
    matrix = (directions * values) @ directions.conj().T
    centring = np.eye(size) - 1 / size
    expected = np.linalg.eigh(centring @ matrix @ centring)[1][:, -1]
    found = _dominant(lambda z: matrix @ z, rng.normal(size=size) + 1j * rng.normal(size=size))
    assert abs(found.mean()) < 1e-12
    assert abs(abs(np.vdot(expected, found)) - 1) < 1e-12


def test_the_spectral_map_does_not_depend_on_its_start(monkeypatch):
    surface = bumpy_heightfield(25, roughness=0.2)
    expected = conformal_map(surface, domain="free").coordinates
    rng = np.random.default_rng(0)
    monkeypatch.setattr(_free, "_start", lambda s, _: rng.normal(size=(s.n_vertices, 2)))
    np.testing.assert_allclose(
        conformal_map(surface, domain="free").coordinates, expected, atol=1e-8
    )
