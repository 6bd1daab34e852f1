"""`repair`: what comes out is manifold and oriented, and as near to what came in as can be."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import count_topology

from meshconv.errors import (
    ArgumentError,
    DegenerateError,
    MeshConvError,
    MeshConvWarning,
    RepairWarning,
    TopologyError,
)
from meshconv.io import load
from meshconv.mesh import connectivity
from meshconv.mesh.shapes import cap, cylinder, icosphere, torus
from meshconv.mesh.surface import Surface
from meshconv.mesh_repair.degenerate import mend_flat
from meshconv.mesh_repair.repair import Repaired, repair
from meshconv.mesh_repair.weld import weld_map

pytestmark = pytest.mark.filterwarnings("ignore::meshconv.errors.RepairWarning")


def joined(*surfaces: Surface) -> Surface:
    start = np.cumsum([0, *(s.n_vertices for s in surfaces)])
    faces = [s.faces + k for s, k in zip(surfaces, start, strict=False)]
    return Surface(np.concatenate([s.vertices for s in surfaces]), np.concatenate(faces))


def grid(n: int, missing: list[tuple[int, int]] = ()) -> Surface:  # type: ignore[assignment]
    """n x n vertices in the plane, without the listed squares."""
    index = np.arange(n * n).reshape(n, n)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    keep = np.ones((n - 1, n - 1), dtype=bool)
    keep[tuple(zip(*missing, strict=True)) if missing else ([],)] = False
    faces = np.concatenate([np.stack([a, b, c], -1)[keep], np.stack([a, c, d], -1)[keep]])
    y, x = np.divmod(np.arange(n * n), n)
    return Surface(np.stack([x, y, 0 * x], -1), faces)


def without(surface: Surface, drop: np.ndarray) -> Surface:
    return Surface(surface.vertices, surface.faces[~drop])


def sound(repaired: Repaired) -> bool:
    """Whether the independent count agrees that the result is manifold and oriented, and with its
    report.
    """
    report, count = repaired.report_after, count_topology(repaired.surface.faces)
    assert (report.euler_characteristic, report.n_components, report.n_boundary_loops) == (
        count.euler,
        count.components,
        count.loops,
    )
    assert count.nonmanifold_edges == count.nonmanifold_vertices == 0 and count.agreeing
    assert (
        len(report.degenerate_faces)
        == report.duplicate_faces
        == len(report.unreferenced_vertices)
        == 0
    )
    return True


# --- clean surfaces ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "surface", [cap(5), icosphere(2), torus(), cap(5, 1e-6), cap(5, 1e6), cap(5, 1e150)]
)
def test_a_clean_surface_comes_back_as_it_is(surface: Surface) -> None:
    repaired = repair(surface)
    assert repaired.surface is surface and repaired.changes == ()
    assert repaired.vertex_origin.tolist() == list(range(surface.n_vertices))
    assert repaired.face_origin.tolist() == list(range(surface.n_faces))


# --- holes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("angle", "tolerance"), [(20, 0.005), (30, 0.01), (45, 0.03)])
def test_a_cap_cut_from_a_sphere_is_refilled_on_the_sphere(angle: float, tolerance: float) -> None:
    sphere = icosphere(4)
    centre = sphere.vertices[sphere.faces].mean(axis=1)
    hole = centre[:, 2] > np.cos(np.radians(angle)) * np.linalg.norm(centre, axis=1)
    repaired = repair(without(sphere, hole), target="sphere")
    new = repaired.surface.vertices[repaired.vertex_origin < 0]
    assert sound(repaired) and repaired.report_after.is_sphere
    assert (
        abs(np.linalg.norm(new, axis=1) - 1).max() < tolerance
    )  # a flat fan would miss by 1 - cos(angle)
    assert (
        0.4 * hole.sum() < (repaired.face_origin < 0).sum() < 2.5 * hole.sum()
    )  # as dense as the rest
    assert repaired.report_after.smallest_angle > np.radians(15)
    assert repaired.report_after.inside_out == 0


def test_holes_are_closed_but_the_longest_border_stays() -> None:
    torn = grid(12, [(2, 2), (2, 3), (6, 6), (8, 2), (8, 3), (9, 2), (9, 3)])
    repaired = repair(torn)
    assert sound(repaired) and repaired.report_after.is_disk
    assert repaired.report_after.boundary_sizes == (44,) and np.isclose(repaired.surface.area, 121)
    assert "3 holes closed" in repaired.changes[-1]
    assert repair(torn, fill_holes=False).report_after.n_boundary_loops == 4
    partly = repair(torn, fill_holes=5.0)  # only the square of perimeter 4
    assert partly.report_after.n_boundary_loops == 3
    assert partly.changes[-1] == "2 holes longer than 5 left open"
    assert "left open" not in " ".join(repair(torn, fill_holes=20.0).changes)


def test_touching_holes_and_a_hole_of_three_vertices() -> None:
    repaired = repair(grid(7, [(2, 2), (3, 3)]))
    assert sound(repaired) and repaired.report_after.is_disk
    assert repaired.surface.n_vertices == 49 and np.isclose(repaired.surface.area, 36)
    ball = icosphere(2)
    closed = repair(without(ball, np.arange(ball.n_faces) == 7), target="sphere")
    assert sound(closed) and closed.report_after.is_sphere
    assert set(closed.surface.faces[-1]) == set(ball.faces[7])


def test_a_long_ragged_border_is_closed_without_repeating_an_edge() -> None:
    tube = cylinder(1.0, 1.0, 300, 4)
    repaired = repair(tube, target="sphere")
    assert (
        sound(repaired)
        and repaired.report_after.is_sphere
        and np.isfinite(repaired.surface.vertices).all()
    )
    single = repair(Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]]), target="sphere")
    assert sound(single) and single.report_after.is_sphere  # its only triangle exists already


def test_a_t_junction_is_mended_by_a_flip_without_a_flat_face() -> None:
    points = [[0, 0, 0], [2, 0, 0], [1, 0, 0], [1, 1, 0], [1, -1, 0], [-1, 0, 0], [3, 0, 0]]
    faces = [[1, 3, 0], [0, 4, 2], [2, 4, 1], [0, 3, 5], [5, 4, 0][::1], [6, 3, 1], [1, 4, 6]]
    torn = Surface(points, faces)
    repaired = repair(torn)
    assert sound(repaired) and repaired.report_after.is_disk and repaired.surface.n_vertices == 7
    assert np.isclose(repaired.surface.area, torn.area)


# --- welds, sheets, winding ----------------------------------------------------------------------


def test_a_soup_is_welded_back_and_each_vertex_knows_its_origin() -> None:
    disk = cap(6)
    soup = Surface(
        disk.vertices[disk.faces].reshape(-1, 3), np.arange(3 * disk.n_faces).reshape(-1, 3)
    )
    repaired = repair(soup)
    assert sound(repaired) and repaired.report_after.is_disk
    assert np.array_equal(
        repaired.surface.vertices[repaired.surface.faces], disk.vertices[disk.faces]
    )
    assert np.array_equal(soup.vertices[repaired.vertex_origin], repaired.surface.vertices)
    jittered = Surface(
        soup.vertices + 1e-5 * np.random.default_rng(0).standard_normal(soup.vertices.shape),
        soup.faces,
    )
    assert repair(jittered, weld=1e-3).report_after.is_disk
    with pytest.raises(TopologyError, match="equal in size: 1 and 1"):
        repair(jittered)


def test_bodies_that_touch_are_not_welded_into_one() -> None:
    cube = icosphere(0)
    repaired = repair(
        joined(
            cube,
            Surface(
                cube.vertices * [1, 1, -1] + [0, 0, 2 * cube.vertices[:, 2].max()],
                cube.faces[:, ::-1],
            ),
        ),
        keep="all",
    )
    assert (
        sound(repaired)
        and repaired.report_after.n_components == 2
        and repaired.report_after.is_closed
    )


def test_a_fin_a_bowtie_and_three_sheets_on_a_line_are_split() -> None:
    flat = grid(5)
    fin = Surface(
        np.concatenate([flat.vertices, [[2.0, 2.0, 1.0]]]),
        np.concatenate([flat.faces, [[12, 13, 25]]]),
    )
    repaired = repair(fin)
    assert (
        sound(repaired) and repaired.surface == flat and "component" in " ".join(repaired.changes)
    )
    bowtie = Surface(
        [[0, 0, 0], [1, 0, 0], [1, 1, 0], [-1, 0, 0], [-1, -1, 0]], [[0, 1, 2], [0, 3, 4]]
    )
    both = repair(bowtie, keep="all", fill_holes=False)
    assert sound(both) and both.vertex_origin.tolist() == [0, 1, 2, 3, 4, 0]
    wall = np.array([[x, 2.0, 1.0] for x in range(5)])
    quads = np.array(
        [[10 + k, 11 + k, 26 + k] for k in range(4)] + [[10 + k, 26 + k, 25 + k] for k in range(4)]
    )
    sheets = repair(
        Surface(np.concatenate([flat.vertices, wall]), np.concatenate([flat.faces, quads]))
    )
    assert (
        sound(sheets) and sheets.surface == flat
    )  # the smooth sheet stays whole, the wall comes off


@pytest.mark.parametrize("pages", [3, 4, 5, 12])
def test_the_pages_of_a_book_are_taken_apart(pages: int) -> None:
    t = 2 * np.pi * np.arange(pages) / pages
    spine = [[0, 0, 0], [0, 0, 1]]
    points = np.concatenate([spine, np.stack([np.cos(t), np.sin(t), 0 * t], -1)])
    book = Surface(points, [[0, 1, k + 2] for k in range(pages)])
    repaired = repair(book, keep="all", fill_holes=False)
    assert sound(repaired) and repaired.report_after.n_faces == pages
    smooth = (
        pages // 2 if pages <= 8 else 0
    )  # pairs that stay joined; thicker books are cut throughout
    assert repaired.report_after.n_components == pages - smooth


def test_doubled_faces_go_and_the_winding_follows_the_majority() -> None:
    disk = cap(6)
    faces = np.concatenate([disk.faces, disk.faces[[4, 9]], disk.faces[[20], ::-1]])
    assert repair((disk.vertices, faces)).surface == disk
    turned = disk.faces.copy()
    turned[::3] = turned[::3, ::-1]
    repaired = repair((disk.vertices, turned))
    assert sound(repaired) and np.allclose(repaired.surface.face_normals, disk.face_normals)
    assert repaired.changes == (
        f"{len(turned[::3])} faces turned to agree with the majority's orientation",
    )
    ball = icosphere(1)
    assert np.allclose(
        repair((ball.vertices, ball.faces[:, ::-1])).surface.face_normals, ball.face_normals
    )
    reversed_disk = Surface(disk.vertices, disk.faces[:, ::-1])
    assert repair(reversed_disk).surface is reversed_disk  # legal: a disk has no outside


# --- faces without area --------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-150, 1e-6, 1.0, 1e6, 1e150])
def test_flat_faces_go_and_the_topology_stays(scale: float) -> None:
    flat = grid(8)
    points = flat.vertices.copy()
    points[9] = points[10]  # a needle pair of zero width
    points[27] = (points[28] + points[20]) / 2  # may make caps
    points[45] = [5.0, 6.0, 0.0]  # on top of another vertex
    repaired = repair((points * scale, flat.faces))
    assert sound(repaired) and repaired.report_after.is_disk
    assert repaired.report_after.boundary_sizes == (28,)
    assert np.isclose(repaired.surface.area, Surface(points * scale, flat.faces).area, rtol=1e-9)


def test_a_cap_is_flipped_and_no_vertex_is_lost() -> None:
    points = [[0, 0, 0], [2, 0, 0], [1, 2, 0], [1, 0, 0], [1, -2, 0]]
    repaired = repair((points, [[0, 1, 2], [1, 0, 3], [3, 0, 4], [1, 3, 4]]))
    assert sound(repaired) and repaired.surface.n_vertices == 5 and repaired.report_after.is_disk
    assert np.allclose(repaired.surface.face_areas, 1.0)


def test_a_stray_vertex_far_away_does_no_harm() -> None:
    disk = cap(5, 1e-200)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        repaired = repair(
            (np.concatenate([disk.vertices, [[0.0, 1e300, -1e300]]]), disk.faces), weld=1e-210
        )
    assert repaired.surface == disk


def test_no_area_at_all_is_refused() -> None:
    with pytest.raises(DegenerateError, match="surface area is 0"):
        repair((np.ones((9, 3)), grid(3).faces))
    with pytest.raises(DegenerateError, match="surface area is 0"):
        repair((np.outer(np.arange(9) * 0.1, [1.0, 2.0, 3.0]), grid(3).faces))


# --- handles, components, targets ----------------------------------------------------------------


def test_handles_are_cut_and_capped_until_the_genus_is_zero() -> None:
    ring = torus(1.0, 0.3, 40, 16)
    with pytest.warns(RepairWarning, match="1 handle cut and capped"):
        repaired = repair(ring, remove_handles=True, target="sphere")
    assert sound(repaired) and repaired.report_after.is_sphere
    loop = ring.n_vertices + 16 - (repaired.vertex_origin >= 0).sum()
    assert loop == 0  # the shortest loop, around the tube, has 16 vertices, each now there twice
    holed = repair(without(ring, np.arange(ring.n_faces) < 6), remove_handles=True, target="disk")
    assert sound(holed) and holed.report_after.is_disk


def test_components_targets_and_options_are_refused_with_numbers() -> None:
    with pytest.raises(TopologyError, match=r"2 components, .* equal in size: 54 and 54 faces"):
        repair(joined(cap(3), Surface(cap(3).vertices + 5.0, cap(3).faces)))
    with pytest.raises(TopologyError, match=r"genus 1.*remove_handles"):
        repair(torus(), target="disk")
    with pytest.raises(TopologyError, match="closed: use domain='sphere'"):
        repair(icosphere(1), target="disk")
    with pytest.raises(TopologyError, match=r"2 boundary loops \(48, 48 vertices\)"):
        repair(cylinder(), fill_holes=False, target="disk")
    with pytest.raises(ArgumentError, match="keep must be one of"):
        repair(cap(3), keep="both")
    with pytest.raises(ArgumentError, match="weld must be True, False or a length"):
        repair(cap(3), weld=-1.0)
    with pytest.raises(ArgumentError, match="fill_holes must be True, False or a length"):
        repair(cap(3), fill_holes=None)  # type: ignore[arg-type]
    with pytest.warns(RepairWarning, match="1 component dropped"):
        assert repair(joined(cap(4), cap(2))).surface == cap(4)


def test_a_moebius_strip_is_refused(bad_meshes: Path) -> None:
    with pytest.raises(TopologyError, match="not orientable: 48 faces"):
        repair(load(bad_meshes / "files" / "topo_moebius.obj"))


# --- fields --------------------------------------------------------------------------------------


def test_fields_move_along_and_new_vertices_stay_in_range() -> None:
    sphere = icosphere(3)
    cut = without(sphere, sphere.vertices[sphere.faces].mean(axis=1)[:, 2] > 0.8)
    repaired = repair(cut, target="sphere")
    moved = repaired.moved(cut.vertices)
    old = repaired.vertex_origin >= 0
    assert np.array_equal(moved[old], repaired.surface.vertices[old])
    assert (
        moved[~old, 2].min() > 0.7
        and abs(moved[~old] - repaired.surface.vertices[~old]).max() < 0.3
    )
    assert np.allclose(repaired.moved(np.full(cut.n_vertices, 3.0)), 3.0)
    with pytest.raises(MeshConvError, match="one row per vertex"):
        repaired.moved(np.zeros(3))


# --- everything at hand --------------------------------------------------------------------------


def test_real_surfaces_are_clean_and_stay_as_they_are(data_dir: Path) -> None:
    for path in sorted(data_dir.glob("*.ply")):
        surface = load(path)
        repaired = repair(surface)
        assert repaired.surface is surface, path
        assert repaired.report_after.is_disk or repaired.report_after.is_sphere


def test_skulls_become_manifold_and_keep_their_largest_component(data_dir: Path) -> None:
    data = np.load(data_dir / "finch_skulls.npz")
    v, f = data["vptr"], data["fptr"]
    vertices, faces = data["vertices"], data["faces"]
    for k in range(98):
        skull = Surface(vertices[v[k] : v[k + 1]], faces[f[k] : f[k + 1]])
        repaired = repair(skull)
        if repaired.surface is not skull:
            assert sound(repaired)
        assert repaired.report_after.n_components == 1 and repaired.report_after.is_closed
        assert (
            repaired.report_after.n_faces
            == np.bincount(connectivity.face_components(skull.faces)).max()
        )
        assert np.array_equal(skull.vertices[repaired.vertex_origin], repaired.surface.vertices)


def test_a_skull_with_handles_becomes_a_sphere(data_dir: Path) -> None:
    data = np.load(data_dir / "finch_skulls.npz")
    v, f = data["vptr"], data["fptr"]
    skull = Surface(data["vertices"][: v[2]][v[1] :], data["faces"][f[1] : f[2]])
    repaired = repair(skull, remove_handles=True, target="sphere")
    assert sound(repaired) and f"{repaired.report_before.genus} handles cut" in repaired.changes[0]


def test_random_faces(data_dir: Path) -> None:
    data = np.load(data_dir / "ict_face.npz")
    rng = np.random.default_rng(0)
    mean, modes = data["vertices"].astype(np.float64), data["identity_modes"].astype(np.float64)
    count = count_topology(data["faces"])
    for _ in range(200):
        weights = rng.standard_normal(len(modes))
        surface = Surface(mean + np.tensordot(weights, modes, axes=1), data["faces"])
        repaired = repair(surface)
        report = repaired.report_before
        assert (
            (report.euler_characteristic, report.n_boundary_loops)
            == (count.euler, count.loops)
            == (1, 1)
        )
        assert report.is_disk and repaired.report_after.is_disk
        if repaired.surface is not surface:
            assert sound(repaired)


def test_the_bad_mesh_corpus_is_repaired_or_refused(bad_meshes: Path) -> None:
    table = json.loads((bad_meshes / "expectations.json").read_text())
    rows = [
        row
        for row in table
        if row["category"] in ("topology", "geometry") and row["expect_load"] == "ok"
    ]
    for row in rows:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MeshConvWarning)
            surface = load(bad_meshes / "files" / row["file"])
        if row["file"] in ("topo_moebius.obj", "geom_all_same_point.obj", "geom_collinear.obj"):
            with pytest.raises(MeshConvError, match=r"not orientable|surface area is 0"):
                repair(surface)
            continue
        repaired = repair(surface)
        assert sound(repaired), row["file"]
        assert repaired.report_after.is_disk == (row["file"] != "topo_torus_hole.obj"), row["file"]


# --- random soups --------------------------------------------------------------------------------


@st.composite
def soups(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A torn, doubled, twisted or random triangle soup, at any scale."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(3, 14))
    places = draw(st.sampled_from(["normal", "integer", "plane", "graded"]))
    vertices = (
        rng.integers(0, 3, (n, 3)).astype(float)
        if places in ("integer", "plane")
        else rng.normal(size=(n, 3))
    )
    vertices[:, 2] *= places != "plane"
    vertices *= 10.0 ** rng.integers(-8, 8, (n, 1)) if places == "graded" else 1.0
    faces = rng.integers(0, n, (draw(st.integers(1, 30)), 3))
    if draw(st.booleans()):
        flat = grid(draw(st.integers(3, 6)))
        vertices, faces = flat.vertices.copy(), flat.faces.copy()
        vertices[rng.integers(0, len(vertices), 3)] = vertices[rng.integers(0, len(vertices), 3)]
        faces = np.where(
            rng.random(faces.shape) < 0.03, rng.integers(0, len(vertices), faces.shape), faces
        )
        faces = faces[rng.random(len(faces)) < 0.95]
    vertices = vertices * 10.0 ** draw(st.sampled_from([-160, -6, 0, 6, 150])) + draw(
        st.sampled_from([0.0, 1.0, 1e7])
    )
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]
    return vertices, faces if len(faces) else np.array([[0, 1, 2]])


@settings(max_examples=150)
@given(
    soups(),
    st.sampled_from(["largest", "all"]),
    st.booleans(),
    st.sampled_from([True, 0.1]),
    st.booleans(),
)
def test_soups_are_refused_or_repaired_for_good(soup, keep, handles, weld, holes) -> None:
    options = {"keep": keep, "remove_handles": handles, "weld": weld, "fill_holes": holes}
    try:
        repaired = repair(soup, **options)
    except MeshConvError:
        return
    assert sound(repaired) and np.isfinite(repaired.surface.vertices).all()
    assert np.isfinite(repaired.moved(np.arange(len(soup[0])))).all()
    assert repair(repaired.surface, **options).surface == repaired.surface


# --- steps that later steps would cover up -------------------------------------------------------


def test_a_weld_never_joins_two_corners_of_a_face() -> None:
    assert weld_map(np.array([[0, 1, 2]]), np.array([0, 0, 2])).tolist() == [0, 1, 2]


def test_a_collapse_that_would_pinch_a_tube_is_not_made() -> None:
    ring = np.array([[1.0, 0, 0], [-0.5, 0.8, 0], [-0.5, -0.8, 0]])
    points = np.concatenate([ring + np.array([0, 0, k]) for k in range(4)])
    points[3] = points[4]  # three vertices around, and two of them coincide half way up
    low = np.array(
        [[3 * k + i, 3 * k + (i + 1) % 3, 3 * k + 3 + i] for k in range(3) for i in range(3)]
    )
    high = np.array([[b, b + 3, a + 3] for a, b in low[:, :2].tolist()])
    faces, alive, _ = mend_flat(points, np.concatenate([low, high]), 1e-15)
    count = count_topology(faces[alive])
    assert count.nonmanifold_edges == count.nonmanifold_vertices == 0 and count.euler == 0
