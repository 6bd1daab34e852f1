import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshconv.datasets.volumes import Hippocampi, fit_middle, next_multiple
from meshconv.errors import ArgumentError, BadFormatError, MissingFileError

_SHAPES = [(5, 6, 7), (8, 4, 3), (6, 9, 5)]


def _write(path, *, n=20, **changed):
    """A small file of the same layout: the label of a voxel is the index of its volume, modulo
    3.
    """
    shapes = np.array([_SHAPES[k % 3] for k in range(n)], dtype=np.int16)
    sizes = shapes.astype(int).prod(axis=1)
    voxels = np.random.default_rng(0).integers(0, 256, sizes.sum()).astype(np.uint8)
    labels = np.repeat(np.arange(n) % 3, sizes).astype(np.uint8)
    arrays = {
        "ids": np.array([f"{k:03d}" for k in range(n)]),
        "shapes": shapes,
        "images": voxels,
        "labels": labels,
        "spacing_mm": np.array([1.0, 2.0, 3.0]),
        "label_names": np.array(["background", "anterior", "posterior"]),
    }
    np.savez(path, **{**arrays, **changed})
    return path


@pytest.fixture
def file(tmp_path):
    return _write(tmp_path / "msd_hippocampus.npz")


side = st.integers(1, 9)


@given(st.tuples(side, side, side), st.tuples(side, side, side))
def test_padding_is_undone_and_cropping_keeps_the_middle(shape, other):
    array = np.random.default_rng(1).random(shape)
    there = fit_middle(array, other)
    middle, moved = [n // 2 for n in shape], [m // 2 for m in other]
    assert there.shape == other and there[tuple(moved)] == array[tuple(middle)]
    larger = tuple(np.maximum(shape, other))
    np.testing.assert_array_equal(fit_middle(fit_middle(array, larger), shape), array)
    assert np.isclose(
        fit_middle(array, larger).sum(), array.sum(), rtol=1e-12
    )  # nothing but zeros is added


def test_each_volume_is_its_own_part_of_the_file(file):
    volumes = Hippocampi(path=file)
    assert len(volumes) == 20
    with np.load(file) as data:
        start = 0
        for k, volume in enumerate(volumes):
            shape = _SHAPES[k % 3]
            raw = data["images"][start : start + np.prod(shape)].reshape(shape).astype(float)
            start += np.prod(shape)
            assert volume.name == f"{k:03d}" and set(volume.label.ravel()) == {k % 3}
            np.testing.assert_allclose(volume.image * raw.std() + raw.mean(), raw, atol=1e-3)
            assert volume.spacing.tolist() == [1.0, 2.0, 3.0]
    assert volumes[-1].name == "019" and [v.name for v in volumes[3:5]] == ["003", "004"]


def test_parts_are_disjoint_whole_and_drawn_by_the_seed(file):
    parts = [set(Hippocampi(part, path=file).indices) for part in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [11, 3, 6]
    assert set.union(*parts) == set(range(20)) and sum(map(len, parts)) == 20
    again = Hippocampi("train", path=file).indices
    np.testing.assert_array_equal(again, sorted(parts[0]))
    assert set(Hippocampi("train", seed=1, path=file).indices) != parts[0]


def test_fewer_volumes_are_among_more(file):
    train = Hippocampi("train", path=file)
    three, seven = train.few(3, seed=5), train.few(7, seed=5)
    assert set(three.indices) < set(seven.indices) <= set(train.indices)
    assert set(train.few(7, seed=6).indices) != set(seven.indices)
    assert len(seven) == len(list(seven)) == 7


def test_volumes_are_stacked_on_one_grid(file):
    images, labels = Hippocampi("test", path=file).stacked(multiple=4)
    assert images.shape == (6, 1, 8, 12, 8) and labels.shape == (6, 8, 12, 8)
    for volume, image, label in zip(Hippocampi("test", path=file), images, labels, strict=True):
        np.testing.assert_array_equal(fit_middle(image[0], volume.image.shape), volume.image)
        np.testing.assert_array_equal(fit_middle(label, volume.label.shape), volume.label)
    assert Hippocampi(path=file)[0].padded(4).image.shape == next_multiple(_SHAPES[0], 4)
    assert Hippocampi("test", path=file).stacked((2, 3, 4))[0].shape == (6, 1, 2, 3, 4)


def test_refusals(file, tmp_path, monkeypatch):
    with pytest.raises(ArgumentError, match="part must be one of 'all', 'train'"):
        Hippocampi("val", path=file)
    with pytest.raises(ArgumentError, match=r"n must lie in 1\.\.20, found 21"):
        Hippocampi(path=file).few(21)
    with pytest.raises(
        ArgumentError, match=r"shape must be 3 positive integers, found \(4, 0, 4\)"
    ):
        Hippocampi(path=file)[0].fitted((4, 0, 4))
    with pytest.raises(ArgumentError, match="multiple must be at least 1, found 0"):
        Hippocampi(path=file).stacked(multiple=0)
    with pytest.raises(IndexError, match="volume 20 of 20"):
        Hippocampi(path=file)[20]
    with pytest.raises(
        BadFormatError, match=r"short\.npz.*shapes need .* voxels, found 7 of the images"
    ):
        Hippocampi(path=_write(tmp_path / "short.npz", images=np.zeros(7, dtype=np.uint8)))
    np.savez(tmp_path / "other.npz", x=1)
    with pytest.raises(BadFormatError, match=r"other\.npz.*not the file of hippocampi"):
        Hippocampi(path=tmp_path / "other.npz")
    monkeypatch.setenv("MESHCONV_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(MissingFileError, match="msd_hippocampus"):
        Hippocampi()


@pytest.mark.data
def test_the_real_volumes(data_dir):
    path = data_dir / "msd_hippocampus.npz"
    if not path.is_file():
        pytest.skip(f"msd_hippocampus.npz not found in {data_dir}; see data/README.md")
    volumes = Hippocampi(path=path)
    assert len(volumes) == 210 and volumes.classes == ("background", "anterior", "posterior")
    assert [len(Hippocampi(part, path=path)) for part in ("train", "validation", "test")] == [
        120,
        31,
        59,
    ]
    some = volumes.few(8)
    for volume in some:
        assert set(np.unique(volume.label)) == {0, 1, 2} and 0.02 < (volume.label > 0).mean() < 0.3
        assert abs(volume.image.mean()) < 1e-4 and abs(volume.image.std() - 1) < 1e-4
    assert some.stacked()[0].shape == (8, 1, 48, 64, 48)
