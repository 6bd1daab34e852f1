from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from weakref import WeakSet

import numpy as np
import pytest

from meshconv import Surface
from meshconv.datasets.procedural import ProceduralFaces
from meshconv.datasets.scan import Population
from meshconv.errors import ArgumentError, CacheWarning, MeshConvError, TopologyError
from meshconv.io import save
from meshconv.mesh.shapes import face, icosphere
from meshconv.registration.template import Template
from meshconv.train import prepare as module
from meshconv.train.checkpoint import read_checkpoint
from meshconv.train.config import PrepareConfig
from meshconv.train.frames import population_template
from meshconv.train.prepare import image_of, place_scan, prepare
from meshconv.train.scans import as_scan

CONFIG = PrepareConfig(size=33)


@pytest.fixture(scope="module")
def template():
    return Template.from_surface(face(700))


@pytest.fixture(scope="module")
def faces():
    return [*ProceduralFaces(3, amplitude=6.0, n_vertices=500, seed=4)]


@pytest.fixture(scope="module")
def prepared(faces, template, tmp_path_factory):
    return prepare(faces, template, config=CONFIG, cache=tmp_path_factory.getbasetemp() / "images")


def _image(surface, template, config, *, mirrored=False):
    return image_of(
        place_scan(replace(as_scan(surface), mirrored=mirrored), template, config), config
    )


@pytest.fixture
def frozen(monkeypatch):
    """Make every computation of an image fail: only the cache can answer."""
    monkeypatch.setattr(
        module, "place_scan", lambda *_args, **_options: pytest.fail("computed again")
    )


def test_images_are_registered(prepared, faces, template):
    assert prepared.images.shape == (3, 6, 33, 33) and prepared.images.dtype == np.float32
    assert prepared.labels.tolist() == [0, 1, 0] and prepared.subjects[1] == faces[1].subject
    mask = np.isfinite(prepared.images).all(axis=1)
    assert (mask[0] == mask[1]).mean() > 0.97  # the same part of the frame, from any pose
    # a face differs from the mean face by millimetres, whatever its pose in space
    assert np.nanmax(np.abs(prepared.images[:, :3])) < 25
    assert np.nanmedian(np.linalg.norm(prepared.images[:, 3:], axis=1)) == pytest.approx(
        1, abs=0.02
    )


def test_pose_does_not_matter(faces, template):
    one = faces[0].surface
    turned = Surface(one.vertices[:, [2, 0, 1]] + 7.0, one.faces)
    first, second = (_image(s, template, CONFIG).channels for s in (one, turned))
    assert np.nanmax(np.abs(first - second)[:3]) < 0.5  # mm
    assert np.nanmedian(np.abs(first - second)) < 1e-3


def test_a_mirrored_scan_that_says_so_gives_the_same_image(faces, template):
    one = faces[0].surface
    mirrored = Surface(one.vertices * [-1, 1, 1], one.faces[:, ::-1])
    straight = _image(one, template, CONFIG).channels
    back = _image(mirrored, template, CONFIG, mirrored=True).channels
    assert np.nanmedian(np.abs(straight - back)) < 1e-3


def test_the_cache_answers_and_knows_what_it_depends_on(
    prepared, faces, template, tmp_path_factory, frozen
):
    cache = tmp_path_factory.getbasetemp() / "images"
    again = prepare(faces, template, config=CONFIG, cache=cache)
    np.testing.assert_array_equal(again.images, prepared.images)
    moved = replace(
        faces[0], surface=Surface(faces[0].surface.vertices + 1e-9, faces[0].surface.faces)
    )
    for scans, config in (
        ([moved], CONFIG),
        ([replace(faces[0], mirrored=True)], CONFIG),
        (faces, replace(CONFIG, repair=False)),
        (faces, replace(CONFIG, detail=0.01)),
    ):
        with pytest.raises(pytest.fail.Exception, match="computed again"):
            prepare(scans, template, config=config, cache=cache)
    with pytest.raises(pytest.fail.Exception, match="computed again"):
        prepare(
            faces,
            Template(
                template.parameterization.with_coordinates(
                    0.99 * template.parameterization.coordinates
                )
            ),
            config=CONFIG,
            cache=cache,
        )


def test_a_damaged_cache_file_is_made_anew(prepared, faces, template, tmp_path):
    prepare(faces[:1], template, config=CONFIG, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    arrays, head = read_checkpoint(file)
    good = file.read_bytes()
    file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.warns(CacheWarning, match="made anew"):
        again = prepare(faces[:1], template, config=CONFIG, cache=tmp_path)
    np.testing.assert_array_equal(again.images, prepared.images[:1])
    assert file.read_bytes() == good
    mended, mended_head = read_checkpoint(file)
    assert mended_head == head and mended.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(mended[name], array)


def test_a_client_and_processes_give_the_same_bits(prepared, faces, template):
    with ThreadPoolExecutor(2) as client:
        threads = prepare(faces[:2], template, config=CONFIG, client=client)
    processes = prepare(faces[:2], template, config=CONFIG, workers=2)
    np.testing.assert_array_equal(threads.images, prepared.images[:2])
    np.testing.assert_array_equal(processes.images, prepared.images[:2])


def test_bad_scans_are_named_and_the_rest_goes_through(prepared, faces, template, tmp_path):
    (tmp_path / "cut.ply").write_bytes(b"ply\nformat ascii 1.0\n")
    save(tmp_path / "ball.ply", icosphere(2))
    save(tmp_path / "good.ply", faces[0].surface)
    files = [
        tmp_path / "cut.ply",
        tmp_path / "good.ply",
        tmp_path / "ball.ply",
        tmp_path / "none.ply",
    ]
    result = prepare(files, template, config=CONFIG, on_error="skip")
    assert result.kept.tolist() == [1]
    assert [skipped.index for skipped in result.skipped] == [0, 2, 3]
    for skipped, name in zip(result.skipped, ("cut.ply", "ball.ply", "none.ply"), strict=True):
        assert name in str(skipped)
    np.testing.assert_allclose(result.images[0], prepared.images[0], atol=1e-3)
    with pytest.raises(TopologyError, match=r"ball\.ply.*closed"):
        prepare(files[1:], template, config=CONFIG)
    with pytest.raises(ArgumentError, match=r"none of 2 scans.*cut\.ply"):
        prepare([files[0], files[3]], template, config=CONFIG, on_error="skip")


def test_surfaces_are_let_go_when_their_image_is_made(faces, template, tmp_path):
    class Watched(Population):
        def __init__(self):
            self.alive, self.most = WeakSet(), 0

        def __len__(self):
            return 8

        def scan(self, k):
            given = faces[k % 3]
            made = replace(given, surface=Surface(given.surface.vertices, given.surface.faces))
            self.alive.add(made.surface)
            self.most = max(self.most, len(self.alive))
            return made

    watched = Watched()
    prepare(watched, template, config=CONFIG, cache=tmp_path.parent / "watched")
    prepare(watched, template, config=CONFIG, cache=tmp_path.parent / "watched")
    assert watched.most <= 3


def test_what_is_no_scan_is_refused(template):
    with pytest.raises(
        MeshConvError, match="scan 0 must be a Scan, a Surface or a path, found int"
    ):
        prepare([3], template, config=CONFIG)
    with pytest.raises(ArgumentError, match="no scans"):
        prepare([], template)
    with pytest.raises(ArgumentError, match="no channel 'colour'"):
        _image(face(400), template, PrepareConfig(size=17, channels=("colour",)))


def test_taking_and_indexing_agree(prepared):
    part = prepared.take([2, 0])
    assert part.names == (prepared.names[2], prepared.names[0]) and part.labels.tolist() == [0, 0]
    np.testing.assert_array_equal(part[1]["normal_z"], prepared[0]["normal_z"])
    assert len(prepared[1:]) == 2 and not prepared[0].mask.all()


def test_population_template_takes_the_largest_and_passes_over_the_bad(faces):
    one = faces[0].surface
    keep = one.faces[(one.vertices[one.faces] - one.vertices.mean(axis=0)).max(axis=(1, 2)) < 60]
    small = Surface(one.vertices, keep)
    made = population_template([small, icosphere(1), faces[1], faces[2]], count=3, on_error="skip")
    assert made.surface.n_vertices in {faces[1].surface.n_vertices, faces[2].surface.n_vertices}
    with pytest.raises(MeshConvError, match="scan 0"):
        population_template([icosphere(1)], count=1, domain="disk")
    with pytest.raises(MeshConvError, match=r"scan 1.*closed"):
        population_template([faces[0], icosphere(1)])


def test_the_frame_is_of_scans_spread_over_the_whole_list(faces):
    class Counting(list):
        def __getitem__(self, k):
            seen.append(k)
            return super().__getitem__(k)

    seen: list[int] = []
    scans = Counting([faces[0].surface] * 4 + [icosphere(1)] + [faces[1].surface] * 5)
    population_template(scans, count=3, domain="disk", on_error="skip")
    assert seen == [0, 4, 9, 1]  # 4 is bad: another one takes its place


def test_closed_scans_make_a_closed_template_on_the_mesh_of_median_size(tmp_path):
    small, middle, large = (
        Surface(icosphere(k).vertices * [2 + k, 1, 1.3], icosphere(k).faces) for k in (2, 1, 3)
    )
    made = population_template([large, middle, small], count=3, orientation="kept")
    assert made.parameterization.domain == "sphere" and made.orientation == "kept"
    assert made.surface.n_vertices == small.n_vertices  # k = 2 has the median area
    assert not made.surface.boundary_loops and len(made.parameterization.flipped_faces()) == 0


def _raising(error):
    def place_scan(*_args):
        raise error

    return place_scan


@pytest.mark.parametrize(
    ("goes_wrong", "words"),
    [
        (_raising(ArgumentError("no node lies on the map")), "no node lies"),
        (_raising(RuntimeError("QH6154 Qhull precision error")), "Qhull"),
        (_raising(np.linalg.LinAlgError("Singular matrix")), "Singular"),
        (_raising(TypeError("of a library")), "of a library"),
        (_raising(MemoryError("700 GB")), "700 GB"),
        (_raising(IndexError("12 of 11")), "12 of 11"),
    ],
    ids=["empty image", "qhull", "linear algebra", "type", "memory", "index"],
)
def test_whatever_goes_wrong_with_one_scan_it_alone_is_left_out(
    prepared, faces, template, tmp_path, monkeypatch, goes_wrong, words
):
    real = module.place_scan
    bad = faces[1]
    monkeypatch.setattr(
        module, "place_scan", lambda scan, *how: (goes_wrong if scan is bad else real)(scan, *how)
    )
    for cache in (None, tmp_path, tmp_path):  # and it is in no cache
        found = prepare(faces[:2], template, config=CONFIG, on_error="skip", cache=cache)
        assert found.kept.tolist() == [0] and [one.index for one in found.skipped] == [1]
        assert words in found.skipped[0].reason and found.skipped[0].name == bad.name
    np.testing.assert_array_equal(found.images, prepared.images[:1])
    with pytest.raises(MeshConvError, match=bad.name):
        prepare(faces[:2], template, config=CONFIG)


def test_a_fault_of_the_program_is_not_taken_for_a_bad_scan(faces, template, monkeypatch):
    monkeypatch.setattr(module, "place_scan", _raising(AttributeError("no such thing")))
    with pytest.raises(AttributeError, match="no such thing"):
        prepare(faces[:1], template, config=CONFIG, on_error="skip")
