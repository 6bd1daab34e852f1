import numpy as np

from meshconv import Surface
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.mesh.shapes import disk
from meshconv.mesh_repair.repair import repair
from meshconv.resample.grid import grid_nodes
from meshconv.resample.resampler import Resampler
from meshconv.saliency.project import to_vertices


def _scan_in_need_of_repair():
    """A disk with a stray vertex first, a crack of doubled vertices, and a distant crumb."""
    clean = disk(8)
    cut = clean.faces[:, ::1] + 1
    crumb = np.array([[50.0, 0, 0], [51, 0, 0], [50, 1, 0]])
    vertices = np.concatenate([[[0.5, 0.1, 0.3]], clean.vertices, crumb])
    n = len(vertices)
    return Surface(vertices, np.concatenate([cut, [[n - 3, n - 2, n - 1]]]))


def test_pixels_reach_every_vertex_of_the_scan_as_it_was_given():
    import pytest

    scan = _scan_in_need_of_repair()
    with pytest.warns(UserWarning, match="component"):
        mended = repair(scan, target="disk")
    grid = Resampler(conformal_map(mended.surface, domain="disk"), 65)
    u = grid_nodes(65)[..., 0]
    values = to_vertices(u, grid, surface=scan, vertex_origin=mended.vertex_origin)
    assert values.shape == (scan.n_vertices,) and np.isfinite(values).all()
    old = mended.vertex_origin
    np.testing.assert_allclose(values[old], grid.coordinates[:, 0], atol=0.02)
    nearest = np.linalg.norm(scan.vertices[old] - scan.vertices[0], axis=1).argmin()
    assert values[0] == values[old[nearest]]  # the stray vertex
    assert (
        values[-3]
        == values[old[np.linalg.norm(scan.vertices[old] - scan.vertices[-3], axis=1).argmin()]]
    )
