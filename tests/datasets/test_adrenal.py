import numpy as np
import pytest

from meshconv.datasets import adrenal
from meshconv.datasets.adrenal import AdrenalSurfaces
from meshconv.errors import ArgumentError, CacheWarning, MissingFileError
from meshconv.mesh_repair.check import check

pytest.importorskip("pyvista")


@pytest.fixture
def _data(data_dir, monkeypatch):
    monkeypatch.setenv("MESHCONV_DATA", str(data_dir))


@pytest.mark.usefixtures("_data")
def test_counts_are_the_official_ones():
    found = {
        split: np.bincount(AdrenalSurfaces(split).labels).tolist()
        for split in ("train", "val", "test")
    }
    assert found == {"train": [929, 259], "val": [76, 22], "test": [229, 69]}


@pytest.mark.usefixtures("_data")
def test_a_gland_is_a_closed_surface_of_its_mask():
    glands = AdrenalSurfaces("val")
    scan, mask = glands[3], glands.mask(3)
    assert scan.name == "adrenal_val_0003" == glands.name(3) and scan.label == glands.labels[3]
    assert check(scan.surface).is_sphere
    middle = np.argwhere(mask).mean(axis=0)
    assert np.abs(scan.surface.vertices.mean(axis=0) - middle).max() < 3
    assert (
        mask[
            tuple(np.rint(scan.surface.vertices - scan.surface.vertex_normals).astype(int).T)
        ].mean()
        > 0.9
    )


@pytest.mark.usefixtures("_data")
@pytest.mark.filterwarnings("ignore::meshconv.errors.RepairWarning")
def test_one_that_decimation_pinches_is_mended():  # a one-sided surface after the first try
    assert check(AdrenalSurfaces("test")[153].surface).is_sphere


@pytest.mark.usefixtures("_data")
def test_the_cache_answers_and_is_made_anew_when_damaged(tmp_path, monkeypatch):
    glands = AdrenalSurfaces("val", n_vertices=150, cache=tmp_path)
    made = glands[0].surface
    (file,) = tmp_path.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(adrenal, "surface_of_mask", lambda *_a, **_o: pytest.fail("made again"))
        assert glands[0].surface == made
        with pytest.raises(pytest.fail.Exception, match="made again"):
            AdrenalSurfaces("val", n_vertices=151, cache=tmp_path)[0]
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.warns(CacheWarning, match="made anew"):
        assert glands[0].surface == made
    assert glands[0].surface == made


def test_refusals(monkeypatch, tmp_path):
    with pytest.raises(ArgumentError, match="split must be one of"):
        AdrenalSurfaces("validation")
    monkeypatch.setenv("MESHCONV_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingFileError, match=r"adrenalmnist3d_64\.npz.*MESHCONV_DATA"):
        AdrenalSurfaces()
