import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from meshconv.datasets.blood import _SAME_FIELD, KINDS, BloodCells, CellImage, same_field
from meshconv.datasets.blood_file import read_cell_file
from meshconv.errors import ArgumentError, BadFormatError, MissingDependencyError, MissingFileError

_COLOURS = np.array([[200, 60, 60], [60, 60, 200], [60, 160, 60]])


def _jpeg(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=95, subsampling=0)
    return np.frombuffer(file.getvalue(), dtype=np.uint8)


def _write(path, **changed):
    """Twelve grey pictures of 48 x 64 with a red, a blue and a green rectangle each, and one box
    without area.
    """
    rng, rows, pictures = np.random.default_rng(0), [], []
    for k in range(12):
        pixels = np.full((48, 64, 3), 220, dtype=np.uint8)
        for kind, (x, y) in enumerate(
            rng.integers([[0, 0], [22, 0], [44, 0]], [[9, 30], [31, 30], [53, 30]])
        ):
            pixels[y : y + 16, x : x + 12] = _COLOURS[kind]
            rows.append([k, kind, x, y, x + 12, y + 16])
        pictures.append(_jpeg(pixels))
    rows.append([3, 0, 5.5, 7, 5.5, 7])
    names = [f"BloodImage_{n:05d}.jpg" for n in (*range(5), 19, 20, 30, 204, 205, 276, 277)]
    arrays = {
        "jpeg": np.concatenate(pictures),
        "ptr": np.cumsum([0, *map(len, pictures)]),
        "names": np.array(names),
        "boxes": np.array(rows, dtype=np.float32),
        "classes": np.array(KINDS),
    }
    np.savez(path, **{**arrays, **changed})
    return path


@pytest.fixture
def file(tmp_path):
    return _write(tmp_path / "bccd_320x240.npz")


@pytest.fixture
def real(data_dir):
    path = data_dir / "bccd_320x240.npz"
    if not path.is_file():
        pytest.skip(f"bccd_320x240.npz not found in {data_dir}; see data/README.md")
    return path


def test_boxes_are_where_the_objects_are(file):
    for one in BloodCells(path=file):
        assert one.image.shape == (3, 48, 64) and one.image.dtype == np.float32
        classes = one.pixel_classes(shape="box")
        for kind, colour in enumerate(_COLOURS):
            inside = one.image[:, classes == kind + 1]
            np.testing.assert_allclose(inside.mean(axis=1), colour / 255, atol=0.02)  # JPEG
            assert (classes == kind + 1).sum() == 12 * 16
        np.testing.assert_allclose(one.image[:, classes == 0].mean(), 220 / 255, atol=0.01)


def test_a_box_without_area_is_left_out_and_said(file):
    cells = BloodCells(path=file)
    assert cells.left_out == ("RBC in BloodImage_00003.jpg at (5.5, 7)",)
    assert sum(len(one.labels) for one in cells) == 36


def test_ellipses_touch_the_sides_and_later_kinds_lie_on_top():
    boxes = np.array([[8.0, 8, 72, 40], [30, 20, 50, 36], [30, 20, 50, 36]])
    one = CellImage(np.zeros((3, 80, 48), dtype=np.float32), boxes, np.array([0, 2, 1]), "a")
    masks = one.masks()
    np.testing.assert_allclose(
        masks.sum(axis=(1, 2)), np.pi / 4 * np.array([64 * 32, 20 * 16, 20 * 16]), rtol=0.02
    )
    rows, columns = np.nonzero(masks[0])
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (8, 72, 8, 40)
    classes = one.pixel_classes()
    assert (classes == 3).sum() == masks[1].sum() and (classes == 2).sum() == 0
    finer = one.masks((160, 96))  # another grid over the same picture
    np.testing.assert_allclose(
        finer.mean(axis=(1, 2)), masks.mean(axis=(1, 2)), rtol=0.02
    )  # of whole pixels
    assert one.masks(shape="box")[0].sum() == 64 * 32
    assert (
        CellImage(one.image, boxes[:0], np.zeros(0, dtype=np.int64), "b").pixel_classes().max() == 0
    )


def test_reduced_images_keep_mean_and_place(file):
    whole, half = BloodCells(path=file)[2], BloodCells(path=file, reduce=2)[2]
    assert half.image.shape == (3, 24, 32)
    np.testing.assert_allclose(
        half.image.mean(axis=(1, 2)), whole.image.mean(axis=(1, 2)), rtol=1e-5
    )
    np.testing.assert_allclose(half.boxes * 2, whole.boxes)
    images, classes = BloodCells(path=file, reduce=2).stacked((12, 16), shape="box")
    assert images.shape == (12, 3, 24, 32) and classes.shape == (12, 12, 16)
    np.testing.assert_array_equal(classes[2], whole.pixel_classes((12, 16), shape="box"))


def test_one_field_of_view_is_in_one_part(file):
    assert same_field(["BloodImage_00020.jpg", "BloodImage_00277.jpg", "BloodImage_00021.jpg"]) == [
        19,
        204,
        21,
    ]
    for seed in range(8):
        parts = [
            set(BloodCells(part, seed=seed, path=file).indices)
            for part in ("train", "validation", "test")
        ]
        assert sorted(k for part in parts for k in part) == list(range(12))
        assert sum({5, 6} <= part for part in parts) == 1  # 19 and 20
        assert sum({8, 9, 10, 11} <= part for part in parts) == 1


def test_cells_are_cut_out_and_named(file):
    made = BloodCells(path=file).cells(9)
    assert made.images.shape == (36, 3, 9, 9) and np.bincount(made.labels).tolist() == [12, 12, 12]
    np.testing.assert_allclose(made.images[:, :, 4, 4], _COLOURS[made.labels] / 255, atol=0.02)
    near = BloodCells(path=file).cells(9, window=6)
    assert (
        np.abs(near.images - near.images[:, :, 4:5, 4:5]).max() < 0.05
    )  # within the object, one colour


def test_presence_is_told_with_its_place(file):
    made = BloodCells(path=file).presence("WBC", size=24, window=24)
    blue = np.abs(made.images - _COLOURS[1][:, None, None] / 255).max(axis=1) < 0.1
    assert (
        made.classes == ("no WBC", "WBC")
        and (made.labels == 1).sum() == 12
        and (made.labels == 0).sum() > 6
    )
    assert not blue[made.labels == 0].any()
    for found, (i, j, k, m) in zip(
        blue[made.labels == 1], made.boxes[made.labels == 1], strict=True
    ):
        assert (k - i, m - j) == (16, 12)
        assert found[i:k, j:m].all() and found.sum() <= 16 * 12 + 30  # JPEG bleeds by a pixel
    assert (made.boxes[made.labels == 0] == 0).all()
    again = BloodCells(path=file).presence("WBC", size=24, window=24)
    np.testing.assert_array_equal(made.images, again.images)
    other = BloodCells(path=file).presence("WBC", size=24, window=24, seed=1)
    assert not np.array_equal(made.boxes, other.boxes)


def test_refusals(file, tmp_path, monkeypatch):
    cells = BloodCells(path=file)
    with pytest.raises(ArgumentError, match="part must be one of"):
        BloodCells("val", path=file)
    with pytest.raises(ArgumentError, match="factor must divide the 48 x 64 pixels, found 5"):
        cells[0].reduced(5)
    with pytest.raises(
        ArgumentError, match="kind must be one of 'RBC', 'WBC', 'Platelets', found 'cell'"
    ):
        cells.presence("cell")
    with pytest.raises(ArgumentError, match=r"window must lie in 1\.\.48 pixels, found 60"):
        cells.presence("WBC", window=60)
    with pytest.raises(ArgumentError, match="no RBC fits a window of 8 pixels"):
        cells.presence("RBC", window=8)
    with pytest.raises(ArgumentError, match="size must be at least 1, found 0"):
        cells.cells(0)
    with pytest.raises(ArgumentError, match="shape must be one of"):
        cells[0].masks(shape="circle")
    with pytest.raises(IndexError, match="image 12 of 12"):
        cells[12]
    with pytest.raises(BadFormatError, match=r"b\.npz.*boxes have 6 columns"):
        BloodCells(path=_write(tmp_path / "b.npz", classes=np.array(["x"])))
    np.savez(tmp_path / "c.npz", x=1)
    with pytest.raises(BadFormatError, match=r"c\.npz.*not the file of blood cells"):
        BloodCells(path=tmp_path / "c.npz")
    broken = np.array(read_cell_file(file).jpeg)
    broken[:100] = 0
    with pytest.raises(BadFormatError, match=r"image BloodImage_00000\.jpg cannot be decoded"):
        BloodCells(path=_write(tmp_path / "d.npz", jpeg=broken))[0]
    monkeypatch.setenv("MESHCONV_DATA", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    with pytest.raises(MissingFileError, match="bccd_320x240"):
        BloodCells()
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(MissingDependencyError, match="pip install pillow"):
        cells[0]


@pytest.mark.data
def test_the_real_cells(real):
    cells = BloodCells(path=real)
    assert len(cells) == 364 and len(cells.left_out) == 2
    counts = np.bincount(read_cell_file(real).labels)
    assert counts.tolist() == [4153, 372, 361]
    assert [len(BloodCells(part, path=real)) for part in ("train", "validation", "test")] == [
        218,
        55,
        91,
    ]
    one = cells[0]
    assert one.image.shape == (3, 240, 320)
    white = one.image[:, one.pixel_classes() == 2].mean(axis=1)
    red = one.image[:, one.pixel_classes() == 1].mean(axis=1)
    assert white[2] > white[0] and red[0] > red[2]  # stained blue and red


@pytest.mark.data
def test_images_of_one_field_do_overlap(real):
    """Each image of a group correlates with another of it at some shift; two that are not of one do
    not.
    """
    cells = BloodCells(path=real, reduce=4)
    numbers = {int(name[-9:-4]): k for k, name in enumerate(read_cell_file(real).names)}
    flat = {
        n: _flattened(cells[numbers[n]].image.mean(axis=0)) for group in _SAME_FIELD for n in group
    }
    for group in _SAME_FIELD:
        for n in group:
            assert max(_best_overlap(flat[n], flat[m]) for m in group if m != n) > 0.75
    assert _best_overlap(flat[19], flat[37]) < 0.75


def _flattened(picture):
    return (picture - gaussian_filter(picture, 8)).astype(np.float64)


def _best_overlap(a, b):
    """The largest correlation over all shifts with at least a quarter in common."""
    shape = [2 * n for n in a.shape]
    one = np.fft.rfft2(np.ones(a.shape), shape)

    def both(x, y):
        return np.fft.irfft2(x * np.conj(y), shape)

    common = both(one, one) / a.size
    energy = both(np.fft.rfft2(a**2, shape), one) * both(one, np.fft.rfft2(b**2, shape))
    match = both(np.fft.rfft2(a, shape), np.fft.rfft2(b, shape)) / np.sqrt(np.maximum(energy, 1e-9))
    return match[common > 0.25].max()
