import numpy as np
import pytest

from meshconv import DendriticSpines, FinchSkulls, LungNodules, Ventricles, check
from meshconv.datasets.nodules import contradictory
from meshconv.datasets.packed import read_packed
from meshconv.datasets.spines import CLASSES
from meshconv.errors import ArgumentError, BadFormatError, MissingFileError
from meshconv.mesh.shapes import icosphere, torus

LOADERS = (LungNodules, DendriticSpines, Ventricles, FinchSkulls)


@pytest.fixture
def _data(data_dir, monkeypatch):
    monkeypatch.setenv("MESHCONV_DATA", str(data_dir))


def _write(path, surfaces, **more):
    """A file of the layout of the nodules and the spines."""
    sizes = np.array([[s.n_vertices, s.n_faces] for s in surfaces])
    begin = np.vstack([[0, 0], np.cumsum(sizes, axis=0)])
    vertices = np.vstack([np.rint(s.vertices * 1000) for s in surfaces]).astype(np.int16)
    faces = np.vstack([s.faces for s in surfaces]).astype(np.uint16)
    offsets = {"vertex_offset": begin[:, 0], "face_offset": begin[:, 1]}
    arrays = {"vertices": vertices, "faces": faces, "step": 0.001, **offsets, **more}
    np.savez(path, **arrays)
    return path


def _spine_file(path, **changed):
    surfaces = [icosphere(1), torus(8, 6), icosphere(2), icosphere(1)] * 5
    n = len(surfaces)
    more = {
        "label": np.arange(n) % 5,
        "votes": np.zeros((n, 8), dtype=np.int8),
        "dendrite": np.array([f"d{k // 2}" for k in range(n)]),
    }
    return _write(path, surfaces, **{**more, **changed})


@pytest.mark.usefixtures("_data")
def test_the_nodules_are_those_of_the_card():
    counts = {
        target: np.bincount(LungNodules(target).labels).tolist()
        for target in ("spiculation", "lobulation", "malignancy")
    }
    expected = {"spiculation": [416, 98], "lobulation": [330, 119], "malignancy": [238, 402]}
    assert counts == expected
    assert np.bincount(LungNodules("malignancy", diameters=(8, 20)).labels).tolist() == [65, 281]
    file = LungNodules()._file
    assert len(file) == 734 and len(np.unique(file.more["patient"])) == 462
    nodules = LungNodules()
    scan = nodules[100]
    assert check(scan.surface).is_sphere and scan.subject == nodules.subjects[100]
    volume = np.pi / 6 * nodules.diameters[100] ** 3
    a, b, c = scan.surface.vertices[scan.surface.faces.T]
    enclosed = np.einsum("ij,ij->", a, np.cross(b, c)) / 6  # the file's is of voxels
    assert enclosed == pytest.approx(volume, rel=0.1)
    spiculation = nodules.ratings[:, nodules.rating_names.index("spiculation")]
    assert (spiculation[nodules.labels == 1] >= 3).all()
    assert (spiculation[nodules.labels == 0] <= 1.5).all()
    plausible = LungNodules(plausible=True)
    assert np.bincount(plausible.labels).tolist() == [416, 76]
    assert set(plausible.indices) < set(nodules.indices)


def test_a_marked_outline_contradicts_a_sharp_ball():
    names = ["margin", "texture", "spiculation", "lobulation", "sphericity"]
    ratings = np.array([[[5, 1, 5, 4, 4], [5, 1, 5, 4, 3], [0, 0, 0, 0, 0], [5, 5, 1, 1, 5]]])
    assert contradictory(ratings, names).tolist() == [[True, False, False, False]]


@pytest.mark.usefixtures("_data")
def test_the_spines_are_those_of_the_card():
    three, five = DendriticSpines(), DendriticSpines(n_classes=5)
    assert np.bincount(three.labels).tolist() == [50, 117, 67] and three.classes == CLASSES[:3]
    assert len(five) == 249 and len(set(five.subjects)) == 40
    agree = (five.votes == five.labels[:, None]).mean()
    assert agree == pytest.approx(0.74, abs=0.01)
    handled = [k for k in range(len(five)) if five._file.surface(k).euler_characteristic != 2]
    assert len(handled) == 31
    assert all(check(five[k].surface).is_sphere for k in (0, *handled[:6]))


@pytest.mark.usefixtures("_data")
def test_the_ventricles_are_those_of_the_card():
    both = Ventricles(wall="both")
    assert len(both) == 100 and len(Ventricles()) == len(Ventricles(wall="epi")) == 50
    assert np.bincount(Ventricles().labels).tolist() == [10] * 5
    inner, outer = both[0], both[1]
    assert inner.subject == outer.subject and inner.name.endswith("_endo")
    assert check(inner.surface).is_disk and check(outer.surface).is_disk
    assert outer.surface.area > inner.surface.area


@pytest.mark.usefixtures("_data")
def test_the_skulls_are_those_of_the_card(tmp_path):
    clade, genus = FinchSkulls(cache=tmp_path, resolution=1 / 32), FinchSkulls("genus")
    assert sorted(np.bincount(clade.labels).tolist()) == [47, 51] and len(genus.classes) == 9
    assert len(set(clade.subjects)) == 24
    surface = clade[3].surface
    assert check(surface).is_sphere and not check(clade.raw(3)).is_sphere
    assert clade[3].surface == surface and len(list(tmp_path.iterdir())) == 1
    assert np.ptp(surface.vertices, axis=0) == pytest.approx(
        np.ptp(clade.raw(3).vertices, axis=0), rel=0.1
    )


@pytest.mark.usefixtures("_data")
@pytest.mark.parametrize("loader", LOADERS)
def test_parts_share_no_subject_and_leave_none_out(loader):
    parts = [loader(part=part) for part in ("train", "validation", "test")]
    whole = loader()
    assert sorted(np.concatenate([p.indices for p in parts])) == sorted(whole.indices)
    for k, one in enumerate(parts):
        assert len(one) and len(one.subjects) == len(one.labels) == len(one)
        for other in parts[k + 1 :]:
            assert not set(one.subjects) & set(other.subjects)
    sizes = np.array([len(p) for p in parts]) / len(whole)
    assert np.abs(sizes - [0.6, 0.15, 0.25]).max() < 0.1


def test_another_file_of_the_layout_is_read_and_handles_are_cut(tmp_path):
    spines = DendriticSpines(path=_spine_file(tmp_path / "x.npz"), n_classes=5)
    assert len(spines) == 20 and spines.name(3) == "d1_003"
    assert [scan.surface.euler_characteristic for scan in spines[:4]] == [2] * 4
    ball = spines[2]
    assert np.abs(ball.surface.vertices - icosphere(2).vertices).max() <= 5e-4
    assert (ball.label, ball.subject) == (2, "d1")


def test_refusals(tmp_path, monkeypatch):
    with pytest.raises(BadFormatError, match="not a file of these surfaces"):
        LungNodules(path=_spine_file(tmp_path / "a.npz"))
    short = _spine_file(tmp_path / "b.npz", label=np.zeros(3, dtype=int))
    with pytest.raises(BadFormatError, match="label has 3 of 20 entries"):
        DendriticSpines(path=short)
    cut = _spine_file(tmp_path / "c.npz", vertex_offset=np.arange(21))
    with pytest.raises(BadFormatError, match=r"surfaces end at \[20, "):
        read_packed(cut, ("label",))
    with pytest.raises(ArgumentError, match="n_classes must be 3 or 5, found 4"):
        DendriticSpines(path=tmp_path / "a.npz", n_classes=4)
    with pytest.raises(ArgumentError, match="target must be one of 'spiculation'"):
        LungNodules("texture")
    with pytest.raises(ArgumentError, match="wall must be one of"):
        Ventricles(wall="outer")
    with pytest.raises(ArgumentError, match="part must be one of"):
        DendriticSpines("val", path=tmp_path / "a.npz")
    monkeypatch.setenv("MESHCONV_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for loader in LOADERS:
        with pytest.raises(MissingFileError, match=r"data/README\.md"):
            loader()


@pytest.mark.usefixtures("_data")
def test_a_band_of_sizes_must_hold_some():
    with pytest.raises(ArgumentError, match="no nodule has a diameter in"):
        LungNodules(diameters=(1.0, 2.0))
