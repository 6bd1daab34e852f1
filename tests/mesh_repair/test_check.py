"""`check` against closed forms, an independent count, and every real surface at hand."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import count_topology

from meshconv.errors import DegenerateError, MeshConvError, MeshConvWarning
from meshconv.io import load
from meshconv.mesh.shapes import cap, cylinder, icosphere, torus
from meshconv.mesh.surface import Surface
from meshconv.mesh_repair.check import check


def moebius(n: int = 24) -> Surface:
    """A strip of 2 n faces, closed with half a turn."""
    t = 2 * np.pi * np.arange(n) / n
    rim = []
    for side in (-0.3, 0.3):
        radius = 1 + side * np.cos(t / 2)
        rim.append(np.stack([radius * np.cos(t), radius * np.sin(t), side * np.sin(t / 2)], -1))
    a, b = np.arange(n), np.arange(n) + n
    c, d = np.roll(a, -1), np.roll(b, -1)
    c[-1], d[-1] = n, 0  # crossed over
    return Surface(
        np.concatenate(rim), np.concatenate([np.stack([a, c, b], -1), np.stack([c, d, b], -1)])
    )


def joined(*surfaces: Surface) -> Surface:
    """Several surfaces in one, components apart."""
    start = np.cumsum([0, *(s.n_vertices for s in surfaces)])
    faces = [s.faces + k for s, k in zip(surfaces, start, strict=False)]
    return Surface(np.concatenate([s.vertices for s in surfaces]), np.concatenate(faces))


def test_sphere_disk_cylinder_torus() -> None:
    sphere, disk, tube, ring = (
        check(icosphere(3)),
        check(cap(8)),
        check(cylinder(1.0, 2.0, 96, 24)),
        check(torus()),
    )
    assert sphere.is_sphere and sphere.problems == () and sphere.euler_characteristic == 2
    assert disk.is_disk and disk.problems == () and disk.genus == 0
    assert (tube.genus, tube.euler_characteristic, tube.n_boundary_loops) == (0, 0, 2)
    assert np.allclose(tube.boundary_lengths, 2 * np.pi, rtol=1e-3)
    assert np.isclose(tube.area, 4 * np.pi, rtol=1e-2) and np.isclose(
        sphere.area, 4 * np.pi, rtol=2e-2
    )
    assert (ring.genus, ring.is_closed, ring.is_sphere) == (1, True, False)
    assert "genus 1: 1 handle" in ring.problems[0]


def test_components_are_counted_apart_and_largest_first() -> None:
    report = check(joined(cap(3), torus(), icosphere(0)))
    sizes = (torus().n_faces, cap(3).n_faces, 20)
    assert report.component_sizes == tuple(sorted(sizes, reverse=True))
    assert sorted(report.component_genus) == [0, 0, 1] and report.genus == 1
    assert report.component_genus[report.component_sizes.index(torus().n_faces)] == 1
    assert sum(report.component_euler) == report.euler_characteristic == 3


def test_moebius_strip_has_no_genus_and_says_why() -> None:
    report = check(moebius())
    assert (report.orientable, report.genus, report.genus_reason) == (False, None, "not orientable")
    assert report.euler_characteristic == 0 and report.n_boundary_loops == 1
    assert any("not orientable" in sentence for sentence in report.problems)


def test_winding_duplicates_and_strays_are_counted() -> None:
    disk = cap(6)
    faces = disk.faces.copy()
    faces[[3, 40]] = faces[[3, 40], ::-1]
    mixed = check((disk.vertices, faces))
    assert (mixed.faces_to_flip, mixed.is_oriented, mixed.is_disk) == (2, False, True)
    doubled = check(
        (disk.vertices, np.concatenate([disk.faces, disk.faces[:2], disk.faces[5:6, ::-1]]))
    )
    assert (doubled.duplicate_faces, doubled.reversed_duplicate_faces, doubled.genus_reason) == (
        3,
        1,
        "not manifold",
    )
    stray = check((np.concatenate([disk.vertices, [[9.0, 9, 9]]]), disk.faces))
    assert (
        stray.unreferenced_vertices.tolist() == [disk.n_vertices] and stray.bounding_box.max() < 9
    )
    assert check((icosphere(1).vertices, icosphere(1).faces[:, ::-1])).inside_out == 1


def test_duplicate_vertices_along_a_crack_and_where_sheets_only_touch() -> None:
    disk = cap(4)
    soup = Surface(
        disk.vertices[disk.faces].reshape(-1, 3), np.arange(3 * disk.n_faces).reshape(-1, 3)
    )
    report = check(soup)
    assert (
        report.weldable_vertices == report.duplicate_vertices == soup.n_vertices - disk.n_vertices
    )
    corner = Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    touching = joined(corner, Surface(-corner.vertices, corner.faces))
    assert (check(touching).duplicate_vertices, check(touching).weldable_vertices) == (1, 0)


def test_zero_area_and_needle_faces_are_told_apart() -> None:
    points = [[0, 0, 0], [1, 0, 0], [0.5, 1, 0], [0.5, 0, 0], [0.5, -1e-5, 0]]
    flat, needle = check((points, [[0, 1, 2], [1, 0, 3]])), check((points, [[0, 1, 2], [1, 0, 4]]))
    assert flat.degenerate_faces.tolist() == [1] and len(flat.needle_faces) == 0
    assert needle.needle_faces.tolist() == [1] and len(needle.degenerate_faces) == 0
    assert np.isclose(needle.smallest_angle, 2e-5, rtol=1e-3)


@given(st.sampled_from([1e-150, 1e-6, 1e-3, 1e6, 1e150]), st.integers(0, 99))
def test_scale_and_relabelling_change_no_count(scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    body = joined(cap(4), torus(n_major=12, n_minor=8), moebius())
    order = rng.permutation(body.n_vertices)
    moved = Surface(
        body.vertices[order] * scale, np.argsort(order)[body.faces][rng.permutation(body.n_faces)]
    )
    first, second = check(body), check(moved)
    for name in (
        "n_edges",
        "component_sizes",
        "boundary_sizes",
        "euler_characteristic",
        "nonmanifold_edges",
    ):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    assert np.allclose(np.array(first.boundary_lengths) * scale, second.boundary_lengths, rtol=1e-9)
    assert np.isclose(first.smallest_angle, second.smallest_angle, rtol=1e-6)


def test_units_and_far_offsets_are_noted() -> None:
    face = cap(6, 100.0)
    assert check(face).units == "millimetres?" and check(cap(6, 0.1)).units == "metres?"
    assert check(cap(6, 10.0)).units == "millimetres, or centimetres?"  # a nodule, or a head
    assert "> 1e4" in check(cap(6, 1e6)).problems[0]
    assert "far offset" in check((face.vertices + 5e8, face.faces)).problems[0]
    assert "scale" in check((face.vertices * 1e150, face.faces)).problems[0]


def test_report_reads_and_survives_json() -> None:
    report = check(joined(cap(4), moebius()))
    data = json.loads(json.dumps(report.to_dict()))
    assert (
        data["n_components"] == 2
        and data["genus"] is None
        and data["boundary_sizes"] == list(report.boundary_sizes)
    )
    text = str(report)
    assert (
        "components" in text
        and "not orientable" in text
        and text.count("\n! ") == len(report.problems)
    )
    columns = {line.index(line.split("  ", 1)[1].lstrip()) for line in text.split("\n")[:12]}
    assert len(columns) == 1  # aligned


def test_real_surfaces_match_the_independent_count(data_dir: Path) -> None:
    surfaces = [load(path) for path in sorted(data_dir.glob("*.ply"))]
    for surface in surfaces:
        _compare(surface)
    assert len(surfaces) == 6


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_skulls_match_the_independent_count(every: int, data_dir: Path) -> None:
    data = np.load(data_dir / "finch_skulls.npz")
    v, f, known = data["vptr"], data["fptr"], data["topology"].tolist()
    vertices, faces, spheres = data["vertices"], data["faces"], []
    for k, (euler, components, loops, bad, _) in list(enumerate(known))[::every]:
        skull = Surface(vertices[v[k] : v[k + 1]], faces[f[k] : f[k + 1]])
        report = _compare(skull)
        found = (report.euler_characteristic, report.n_components, report.n_boundary_loops)
        assert found == (euler, components, loops)
        assert len(report.nonmanifold_edges) == bad
        spheres.append(report.is_sphere)
    assert (len(spheres), sum(spheres)) == {1: (98, 37), 4: (25, 8)}[every]


def _compare(surface: Surface):
    report, expected = check(surface), count_topology(surface.faces)
    found = (
        report.euler_characteristic,
        report.n_components,
        report.n_boundary_loops,
        len(report.nonmanifold_edges),
        len(report.nonmanifold_vertices),
    )
    assert found == (
        expected.euler,
        expected.components,
        expected.loops,
        expected.nonmanifold_edges,
        expected.nonmanifold_vertices,
    )
    assert report.is_oriented == expected.agreeing
    handles = (2 * expected.components - expected.euler - expected.loops) // 2
    assert report.genus == (None if expected.nonmanifold_vertices else handles)
    return report


def test_the_bad_mesh_corpus_is_described_truly(bad_meshes: Path) -> None:
    table = json.loads((bad_meshes / "expectations.json").read_text())
    rows = [
        row
        for row in table
        if row["category"] in ("topology", "geometry") and row["expect_load"] == "ok"
    ]
    for row in rows:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MeshConvWarning)
            report = check(load(bad_meshes / "files" / row["file"]))
        truth = row["truth"]
        found = (report.n_components, report.n_boundary_loops, report.euler_characteristic)
        if row["file"] != "geom_repeated_index.obj":
            assert found == (truth["n_components"], truth["n_boundary_loops"], truth["euler"]), row[
                "file"
            ]
            assert (len(report.nonmanifold_edges) == 0) == truth["edge_manifold"], row["file"]
        text = str(report) + " ".join(str(w.message) for w in caught)
        assert [
            word for word in row["message_should_mention"] if word.lower() not in text.lower()
        ] == [], row["file"]
    assert len(rows) >= 20


def test_arrays_that_are_no_surface_are_refused_by_name() -> None:
    with pytest.raises(DegenerateError, match="repeated index"):
        check(([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 1]]))
    with pytest.raises(MeshConvError, match="expected"):
        check(3)
