"""``read(save(x))`` is ``x`` for every field that a format can hold, whatever its name, type,
shape and values; what a format cannot hold is refused with the field named.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from meshconv.errors import ArgumentError, ArrayTypeError, MeshConvError, MeshConvWarning
from meshconv.io import FORMATS, read, save
from meshconv.mesh.surface import Surface

V = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.1]])
SQUARE = Surface(V, [[0, 1, 2], [0, 2, 3]])
ANY = ("ply", "vtp", "vtk", "glb", "gltf")  # formats with room for fields of any name
_NAMES = (
    "x y z nx ny nz red green blue alpha r g b s t u v texture_u a a_0 a_1 a_0_0 vertex_indices"
    " vertex_index texcoord METADATA metadata Normals NORMAL POSITION COLOR_0 colors normals uv"
    " list float comment end_header element LOOKUP_TABLE SCALARS %41 a%20b & < \" ' ]]> # _ __ _x"
    " meshconv_field_x meshconv_field_x: meshconv_field_a:0 a:0 : 0 1e5 nan -1"
)
NASTY = [*_NAMES.split(), "a b", " a", "a ", "Zoë", "名前", "𝛑", "é"]
KINDS = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]
NAMES = st.sampled_from(NASTY) | st.text(min_size=1, max_size=8).filter(str.isprintable)
WIDTHS = {"colors": (3, 4), "normals": (3,), "uv": (2,)}


@st.composite
def fields(draw: st.DrawFn, n: int, names: st.SearchStrategy[str] = NAMES) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name in draw(st.lists(names, unique=True, max_size=4)):
        kind = draw(st.sampled_from(KINDS))
        shape: tuple[int, ...] = draw(st.sampled_from([(n,), (n, 2), (n, 3), (n, 4), (n, 9)]))
        elements: dict[str, Any] = {}
        if name in WIDTHS:
            shape = (n, draw(st.sampled_from(WIDTHS[name])))
            kind = draw(st.sampled_from(["u1", "f4", "f8"] if name == "colors" else ["f4", "f8"]))
            if kind[0] == "f":
                elements = {"min_value": 0, "max_value": 1}
        inside = hnp.from_dtype(np.dtype(kind), **elements)
        out[name] = draw(hnp.arrays(kind, shape, elements=inside))
    return out


def same(found: NDArray[Any], given: NDArray[Any], *, exactly: bool) -> bool:
    if exactly and found.dtype != given.dtype:
        return False
    return found.shape == given.shape and bool(
        np.array_equal(found, given, equal_nan=given.dtype.kind == found.dtype.kind == "f")
    )


def stored(given: dict[str, Any], form: str) -> dict[str, Any]:
    """Return the fields as they must come back."""
    if form not in ("glb", "gltf"):
        return given
    with np.errstate(over="ignore"):
        return {
            name: value.astype("f4") if value.dtype.itemsize > 2 else value
            for name, value in given.items()
        }


def refusable(given: dict[str, Any], form: str) -> bool:
    """Tell whether a format may refuse some field."""
    for value in given.values():
        with np.errstate(invalid="ignore"):
            large = np.abs(value[np.isfinite(value)].astype(np.float64)).max(initial=0)
        whole = value.dtype.kind in "iu"
        if form == "ply" and whole and large >= 2.0**53:
            return True
        if form in ("glb", "gltf"):
            if value.ndim == 2 and value.shape[1] > 4:
                return True
            if value.dtype.itemsize > 2 and large > (2**24 if whole else np.finfo("f4").max):
                return True
    return False


def check(folder: Path, form: str, points: Any, faces: Any, binary: bool) -> None:
    """Save, read and compare."""
    path = folder / f"a.{form}"
    if form in ("glb", "gltf"):
        faces = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeshConvWarning)
        try:
            save(path, SQUARE, vertex_fields=points, face_fields=faces, binary=binary)
        except (ArgumentError, ArrayTypeError):
            if refusable(points, form) or refusable(faces, form):
                return
            raise
    back = read(path)
    assert np.allclose(back.surface.vertices, V, atol=1e-7)
    assert form in ("glb", "gltf") or np.array_equal(back.surface.vertices, V)
    assert np.array_equal(back.surface.faces, SQUARE.faces)
    for fields_in, found in ((points, back.vertex_fields), (faces, back.face_fields)):
        wanted = stored(fields_in, form)
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            exactly = form != "ply" or value.dtype.itemsize < 8 or value.dtype.kind == "f"
            assert same(found[name], value, exactly=exactly), (name, found[name], value)


_EXAMPLES = {"points": fields(4), "faces": fields(2), "binary": st.booleans()}


@pytest.mark.parametrize("form", ANY)
@given(**_EXAMPLES)
def test_every_field_comes_back(
    tmp_path_factory: pytest.TempPathFactory, form: str, points: Any, faces: Any, binary: bool
) -> None:
    check(tmp_path_factory.mktemp("io"), form, points, faces, binary)


@pytest.mark.slow
@pytest.mark.parametrize("form", ANY)
@settings(max_examples=500)
@given(**_EXAMPLES)
def test_every_field_comes_back_500_times(
    tmp_path_factory: pytest.TempPathFactory, form: str, points: Any, faces: Any, binary: bool
) -> None:
    check(tmp_path_factory.mktemp("io"), form, points, faces, binary)


_KEPT = {"off": ("colors", "normals"), "obj": ("colors", "normals"), "stl": ()}


def check_few(folder: Path, form: str, points: Any, faces: Any) -> None:
    """Do the same for the formats that have room for colours and normals only."""
    path = folder / f"a.{form}"
    kept = {name: value for name, value in points.items() if name in _KEPT[form]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeshConvWarning)
        save(path, SQUARE, vertex_fields=points, face_fields=faces)
    back = read(path)
    assert np.allclose(back.surface.vertices[back.surface.faces], V[SQUARE.faces], atol=1e-7)
    assert back.vertex_fields.keys() == kept.keys()
    for name, value in kept.items():
        wanted = value
        if form == "obj" and name == "colors":  # fractions of 255, without alpha
            wanted = value[:, :3] / 255.0 if value.dtype == np.uint8 else value[:, :3]
        assert same(back.vertex_fields[name], wanted, exactly=False), name
    colors = {name: value for name, value in faces.items() if name == "colors"}
    assert back.face_fields.keys() == (colors.keys() if form == "off" else set())
    if form == "off" and colors:
        assert same(back.face_fields["colors"], colors["colors"], exactly=False)


_SPECIAL = st.sampled_from(["colors", "normals"]) | NAMES
_FEW = {"points": fields(4, _SPECIAL), "faces": fields(2, _SPECIAL)}


@pytest.mark.parametrize("form", _KEPT)
@given(**_FEW)
def test_colours_and_normals_come_back(
    tmp_path_factory: pytest.TempPathFactory, form: str, points: Any, faces: Any
) -> None:
    check_few(tmp_path_factory.mktemp("io"), form, points, faces)


@pytest.mark.slow
@pytest.mark.parametrize("form", _KEPT)
@settings(max_examples=500)
@given(**_FEW)
def test_colours_and_normals_come_back_500_times(
    tmp_path_factory: pytest.TempPathFactory, form: str, points: Any, faces: Any
) -> None:
    check_few(tmp_path_factory.mktemp("io"), form, points, faces)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("q", np.zeros((4, 1)), "one column"),
        ("q", np.zeros((4, 0)), "one column"),
        ("q", np.zeros((3,)), "one row per vertex"),
        ("q", np.zeros((4, 2, 2)), "one row per vertex"),
        ("q", np.zeros(4, np.longdouble), "no format stores it"),
        ("q", np.array([True] * 4), "real numbers"),
        ("q", np.zeros(4, complex), "real numbers"),
        ("q", np.array(["a"] * 4), "real numbers"),
        ("colors", np.zeros(4), "3 or 4 columns"),
        ("colors", np.zeros((4, 2)), "3 or 4 columns"),
        ("colors", np.full((4, 3), 300), "0..255"),
        ("colors", np.full((4, 3), np.nan), "not finite"),
        ("normals", np.zeros((4, 2)), "3 columns"),
        ("uv", np.zeros((4, 3)), "2 columns"),
        ("", np.zeros(4), "printable"),
        ("a\nb", np.zeros(4), "printable"),
        ("a\0b", np.zeros(4), "printable"),
        ("\ud800", np.zeros(4), "printable"),
    ],
)
def test_what_is_no_field_is_refused_by_name(
    tmp_path: Path, form: str, name: str, value: Any, words: str
) -> None:
    with pytest.raises(MeshConvError, match=words) as caught:
        save(tmp_path / f"a.{form}", SQUARE, vertex_fields={name: value})
    assert repr(name) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_renamed_column_is_told_and_other_programs_still_see_the_surface(tmp_path: Path) -> None:
    import trimesh

    path = tmp_path / "a.ply"
    with pytest.warns(MeshConvWarning, match=r"uses the names x itself.*meshconv_field_"):
        save(path, SQUARE, vertex_fields={"x": np.arange(4.0), "q": V[:, 0]})
    assert np.array_equal(trimesh.load(path, process=False).vertices, V)
    assert b"property double q\n" in path.read_bytes()


def test_large_numbers_are_refused_where_single_precision_ends(tmp_path: Path) -> None:
    far = Surface(1e300 * V, SQUARE.faces)
    for form in ("stl", "glb", "gltf"):
        with pytest.raises(ArgumentError, match=r"(5e\+299|1e\+300)"):
            save(tmp_path / f"a.{form}", far)
    for form in ("obj", "ply", "off", "vtp", "vtk"):
        save(tmp_path / f"a.{form}", far)
        assert read(tmp_path / f"a.{form}").surface == far


def test_a_stray_vertex_does_not_move_the_others(tmp_path: Path) -> None:
    here = V + 5e7
    for place in ([0.0, 0, 0], [1e12, 0, 0], [0, -1e300, 0]):
        stray = Surface(np.vstack([here, [place]]), SQUARE.faces)
        for form in ("glb", "gltf"):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                save(tmp_path / f"a.{form}", stray)
            back = read(tmp_path / f"a.{form}").surface.vertices[:4]
            np.testing.assert_allclose(back, here, atol=1e-7, rtol=1e-15)


@pytest.mark.parametrize("form", ["ply", "vtk", "vtp", "glb", "gltf"])
def test_the_byte_order_in_memory_does_not_matter_and_a_mask_is_refused(
    tmp_path: Path, form: str
) -> None:
    surface = Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    path, values = tmp_path / f"a.{form}", np.array([1, 2, 300])
    for kind in (">f4", ">i2", ">f8", "<f4"):
        save(path, surface, vertex_fields={"q": values.astype(kind)})
        assert read(path).vertex_fields["q"].tolist() == values.tolist()
    with pytest.raises(ArrayTypeError, match="masked"):
        save(path, surface, vertex_fields={"q": np.ma.array(values, mask=[0, 1, 0])})
