"""Conformal maps of disks: closed forms, invariants, the worst triangles, the bars on real scans,
refusals.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from meshconv.errors import (
    ArgumentError,
    DegenerateError,
    FoldError,
    MeshConvError,
    NonManifoldError,
    RepairWarning,
    TopologyError,
)
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh import shapes
from meshconv.mesh.surface import Surface

# published mean angle errors of the disk and the rectangle, degrees (Choi, Lui 2015; Meng, Choi,
# Lui 2016)
DISK = {
    "choi_human_face": 1.210,
    "choi_chinese_lion": 1.419,
    "choi_human_brain": 1.458,
    "choi_hand": 1.212,
}
RECTANGLE = {"choi_human_face": 1.217, "choi_chinese_lion": 1.481, "choi_human_brain": 1.515}


def real(folder: Path, name: str) -> Surface:
    if (folder / f"{name}.npz").exists():
        data = np.load(folder / f"{name}.npz")
        return Surface(data["vertices"], data["faces"])
    return Surface.from_trimesh(trimesh.load(folder / f"{name}.ply", process=False))


def angle_error(flat: Parameterization) -> float:
    """Mean |angle difference| in degrees, computed apart from the package."""

    def angles(points: np.ndarray) -> np.ndarray:
        points = np.column_stack([points, np.zeros((len(points), 3 - points.shape[1]))])
        return trimesh.triangles.angles(points[flat.surface.faces])

    return float(
        np.degrees(np.abs(angles(flat.coordinates) - angles(flat.surface.vertices)).mean())
    )


def folded(flat: Parameterization) -> int:
    """Faces without positive image area, computed apart from the package."""
    p = flat.coordinates[flat.surface.faces]
    return int((np.linalg.det(np.stack([p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]], axis=1)) <= 0).sum())


def centre(flat: Parameterization) -> complex:
    w = np.bincount(
        flat.surface.faces.ravel(), np.repeat(flat.surface.face_areas, 3), flat.surface.n_vertices
    )
    return complex(w @ flat.z) / w.sum()


# --- closed forms
# --------------------------------------------------------------------------------------


def test_the_flat_disk_is_its_own_map() -> None:
    surface = shapes.disk(24)
    z = surface.vertices[:, 0] + 1j * surface.vertices[:, 1]
    flat = conformal_map(surface)
    turn = np.vdot(z, flat.z) / np.vdot(z, z)
    assert abs(abs(turn) - 1) < 1e-3
    assert np.abs(flat.z - turn * z).max() < 2e-3


def test_a_spherical_cap_is_mapped_by_stereographic_projection_with_second_order() -> None:
    errors = []
    for rings in (8, 16, 32):
        surface = shapes.cap(rings, angle=1.2)
        axis = surface.vertices[:, 2] / np.linalg.norm(surface.vertices, axis=1)
        exact = np.tan(np.arccos(np.clip(axis, -1, 1)) / 2) / np.tan(0.6)
        errors.append(np.abs(np.abs(conformal_map(surface).z) - exact).max())
    assert errors[2] < 2e-3
    assert errors[0] / errors[1] > 3
    assert errors[1] / errors[2] > 3


def test_the_angle_error_falls_with_the_mesh() -> None:
    errors = [angle_error(conformal_map(shapes.cap(rings, angle=1.4))) for rings in (8, 16, 32)]
    assert errors[1] < 0.65 * errors[0]
    assert errors[2] < 0.65 * errors[1]


def test_a_flat_rectangle_is_its_own_map_with_its_own_height() -> None:
    surface = shapes.grid(9, 13, width=2.0, height=1.3)
    box = surface.vertices[:, :2] / 2.0
    corners = [
        int(np.abs(box - c).sum(axis=1).argmin()) for c in ([0, 0], [1, 0], [1, 0.65], [0, 0.65])
    ]
    flat = conformal_map(surface, domain="rectangle", corners=corners)
    np.testing.assert_allclose(flat.coordinates, box, atol=1e-12)
    found = conformal_map(surface, domain="rectangle").coordinates
    assert np.abs(found - box).max() < 1e-9 or np.abs([1, 0.65] - found - box).max() < 1e-9


@pytest.mark.parametrize("method", ["spectral", "lscm"])
def test_a_rolled_sheet_unrolls_without_distortion(method: str) -> None:
    sheet = shapes.grid(12, 20, width=2.0, height=1.0)
    x, y, _ = sheet.vertices.T
    rolled = Surface(np.column_stack([np.sin(x), y, np.cos(x)]), sheet.faces[:, ::-1])
    flat = conformal_map(rolled, domain="free", method=method)
    assert angle_error(flat) < 0.2  # the chords of the rolled sheet are all but an isometric copy
    assert folded(flat) == 0
    assert flat.face_areas.sum() == pytest.approx(rolled.area)


def test_a_tube_becomes_a_ring_of_known_width() -> None:
    surface = shapes.cylinder(radius=1.0, height=0.9, n_around=64, n_along=12)
    flat = conformal_map(surface, holes="circles")
    inner, outer = sorted(np.abs(flat.z[loop]).mean() for loop in surface.boundary_loops)
    assert outer == pytest.approx(1, abs=1e-12)
    assert inner == pytest.approx(np.exp(-0.9), rel=2e-3)


# --- invariants
# ----------------------------------------------------------------------------------------


@settings(max_examples=8)
@given(seed=st.integers(0, 2**31), scale=st.sampled_from([1e-6, 1e-3, 1e3, 1e6]))
def test_scale_pose_and_numbering_change_nothing(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    surface = shapes.face(600, identity=3)
    order = rng.permutation(surface.n_vertices)
    vertices = np.empty_like(surface.vertices)
    vertices[order] = surface.vertices
    moved = scale * (
        vertices @ Rotation.random(random_state=rng).as_matrix().T
    ) + scale * rng.normal(size=3)
    faces = np.array(
        [
            np.roll(face, k)
            for face, k in zip(
                order[surface.faces], rng.integers(0, 3, surface.n_faces), strict=True
            )
        ]
    )
    other = Surface(moved, faces[rng.permutation(len(faces))])
    for domain, size in (("disk", 1.0), ("rectangle", 1.0), ("free", scale)):
        here = conformal_map(surface, domain=domain).coordinates
        there = conformal_map(other, domain=domain).coordinates[order] / size
        assert np.abs(there - here).max() < 1e-6 * np.abs(here).max(), domain


@pytest.mark.parametrize(("domain", "size"), [("disk", 900), ("rectangle", 600), ("sphere", 0)])
def test_rounding_does_not_decide_on_a_symmetric_surface(domain: str, size: int) -> None:
    ball = shapes.icosphere(2)
    waist = 1 + 0.2 * np.sin(3 * ball.vertices[:, :1] + 1) * np.cos(2 * ball.vertices[:, 1:2] + 0.3)
    surface = (
        Surface(ball.vertices * [1.0, 1.3, 0.8] * waist, ball.faces)
        if domain == "sphere"
        else shapes.face(size)
    )
    here = conformal_map(surface, domain=domain).coordinates
    for seed, scale in enumerate((1.0, 1e6, 1e-6, 1e6, 1.0)):
        turn = Rotation.random(random_state=seed).as_matrix()
        there = conformal_map(
            Surface(scale * (surface.vertices @ turn.T), surface.faces), domain=domain
        )
        off = there.coordinates - here
        if domain == "sphere":  # directions are principal ones in space
            u, _, vt = np.linalg.svd(here.T @ there.coordinates)
            off = there.coordinates - here @ u @ vt
        assert np.abs(off).max() < 1e-9


def test_the_disk_is_canonical_and_its_border_exact() -> None:
    flat = conformal_map(shapes.face(2000, identity=1))
    assert abs(centre(flat)) < 1e-10
    assert np.abs(np.abs(flat.z[flat.surface.boundary_loops[0]]) - 1).max() < 1e-15
    assert np.abs(flat.z).max() <= 1 + 1e-15
    again = conformal_map(flat.surface)
    assert np.array_equal(again.coordinates, flat.coordinates)


def test_polish_lowers_the_conformal_energy() -> None:
    surface = shapes.bumpy_heightfield(12)
    plain, polished = (conformal_map(surface, polish=k) for k in (0, 20))

    def energy(flat: Parameterization) -> float:
        from meshconv.operators.laplacian import cotangent_laplacian

        dirichlet = (
            np.einsum("vk,vk->", flat.coordinates, cotangent_laplacian(surface) @ flat.coordinates)
            / 2
        )
        return float(dirichlet - flat.face_areas.sum())

    assert energy(polished) < 0.98 * energy(plain)


# --- the worst triangles
# -------------------------------------------------------------------------------


def _strip(n: int) -> Surface:
    points = [[i, j, 0.0] for i in range(n + 1) for j in (0, 1)]
    faces = [f for a in range(0, 2 * n, 2) for f in ([a, a + 2, a + 1], [a + 1, a + 2, a + 3])]
    return Surface(points, faces)


def _with_ear() -> Surface:
    grid = shapes.grid(5)
    side = grid.boundary_loops[0][:2]
    tip = grid.vertices[side].mean(axis=0) + np.array([[-0.1, -0.1, 0.3]])
    return Surface(
        np.concatenate([grid.vertices, tip]), [*grid.faces, [side[1], side[0], grid.n_vertices]]
    )


def _neck() -> Surface:
    """Two squares joined by one dividing edge's two faces."""
    left = shapes.grid(6)
    right = left.vertices + np.array([2.0, 0, 0])
    n = left.n_vertices
    at = {tuple(np.round(p[:2] * 5).astype(int)): k for k, p in enumerate(left.vertices)}
    a, b, c, d = at[5, 2], at[5, 3], at[0, 2] + n, at[0, 3] + n
    faces = [*left.faces, *(left.faces + n), [a, c, d], [a, d, b]]
    return Surface(np.concatenate([left.vertices, right]), faces)


def _tube(length: float) -> Surface:
    open_tube = shapes.cylinder(height=length, n_around=16, n_along=int(length * 2.5))
    top = max(open_tube.boundary_loops, key=lambda loop: open_tube.vertices[loop, 2].mean())
    tip = open_tube.n_vertices
    lid = np.column_stack([np.roll(top, -1), top, np.full(len(top), tip)])
    apex = [[0.0, 0.0, length + 0.1]]
    return Surface(
        np.concatenate([open_tube.vertices, apex]), np.concatenate([open_tube.faces, lid])
    )


def _coincident() -> Surface:
    tube = _tube(3.0)
    points = tube.vertices.copy()
    points[40] = points[41]
    return Surface(points, tube.faces)


def _noise() -> Surface:
    tube = _tube(4.0)
    return Surface(np.random.default_rng(0).normal(size=tube.vertices.shape), tube.faces)


AWKWARD = {
    "one triangle": Surface([[0, 0, 0], [1, 0, 0], [0, 3, 0]], [[0, 1, 2]]),
    "two triangles": Surface([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]]),
    "strip without inner vertices": _strip(6),
    "long strip": _strip(30),
    "ear": _with_ear(),
    "neck": _neck(),
    "deep tube": _tube(20.0),
    "coincident vertices": _coincident(),
    "random positions": _noise(),
    "all but a line": Surface(_tube(4.0).vertices * [1e-9, 1e-9, 1], _tube(4.0).faces),
    "huge": Surface(1e152 * _tube(3.0).vertices, _tube(3.0).faces),
    "tiny": Surface(1e-160 * _tube(3.0).vertices, _tube(3.0).faces),
    "far away": Surface(_tube(3.0).vertices + 5e8, _tube(3.0).faces),
}


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_surfaces_are_mapped_without_fold_or_collapse(name: str) -> None:
    with np.errstate(all="ignore"):
        flat = conformal_map(AWKWARD[name])
    assert folded(flat) == 0
    assert np.isfinite(flat.coordinates).all()
    assert np.abs(np.abs(flat.z[flat.surface.boundary_loops[0]]) - 1).max() < 1e-12


@settings(max_examples=40)
@given(seed=st.integers(0, 2**31), spread=st.floats(0, 3))
def test_no_surface_folds(seed: int, spread: float) -> None:
    base = shapes.disk(5)
    points = base.vertices + spread * np.random.default_rng(seed).normal(size=base.vertices.shape)
    assert folded(conformal_map(Surface(points, base.faces))) == 0


@pytest.mark.filterwarnings("ignore::meshconv.errors.AccuracyWarning")
def test_a_tube_too_deep_for_floating_point_is_refused_not_folded() -> None:
    with pytest.raises(FoldError, match="too deep for its opening"):
        conformal_map(_tube(150.0))


# --- real scans
# ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DISK)
def test_disk_maps_of_real_scans_are_as_good_as_published_ones(data_dir: Path, name: str) -> None:
    flat = conformal_map(real(data_dir, name))
    assert angle_error(flat) < DISK[name] + 0.02
    assert folded(flat) == 0
    assert abs(centre(flat)) < 1e-10


@pytest.mark.parametrize("name", RECTANGLE)
def test_rectangles_of_real_scans_are_as_good_as_published_ones(data_dir: Path, name: str) -> None:
    flat = conformal_map(real(data_dir, name), domain="rectangle")
    assert angle_error(flat) < RECTANGLE[name] + 0.005
    assert folded(flat) == 0


def test_none_of_200_random_faces_is_refused_or_folded(data_dir: Path) -> None:
    data, rng = np.load(data_dir / "ict_face.npz"), np.random.default_rng(0)
    mean, modes = data["vertices"].astype(float), data["identity_modes"].astype(float)
    keep = data["lo_index"]
    mean, modes = mean[keep], modes[:, keep]
    for _ in range(200):
        weights = 1.3 * rng.standard_normal(len(modes))
        points = mean + np.tensordot(weights, modes, 1)
        flat = conformal_map(Surface(points, data["lo_faces"]))
        assert folded(flat) == 0
        assert abs(centre(flat)) < 1e-10


def test_broken_files_give_a_map_or_a_reason(bad_meshes: Path) -> None:
    import json

    io = pytest.importorskip("meshconv.io")
    cases = json.loads((bad_meshes / "expectations.json").read_text())
    outcome = {}
    for case in cases:
        if case["expect_flatten"] == "n/a":
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = io.load(bad_meshes / "files" / case["file"])
            try:
                flat = conformal_map(getattr(loaded, "surface", loaded))
                assert folded(flat) == 0
                outcome[case["file"]] = "ok"
            except MeshConvError as error:
                outcome[case["file"]] = type(error).__name__
    wrong = [c["file"] for c in cases if c["expect_flatten"] == "ok" and outcome[c["file"]] != "ok"]
    silent = [
        c["file"] for c in cases if c["expect_flatten"] == "error" and outcome[c["file"]] == "ok"
    ]
    assert not wrong
    assert not silent


# --- holes
# ---------------------------------------------------------------------------------------------


def _holed() -> Surface:
    """A face with three round openings."""
    face = shapes.face(3000, identity=2)
    centres = face.vertices[face.faces].mean(axis=1)
    size = np.ptp(face.vertices, axis=0).max()
    keep = np.ones(face.n_faces, dtype=bool)
    plane = centres[:, :2] - face.vertices[:, :2].mean(axis=0)
    for x, y in ((-0.17, 0.1), (0.17, 0.1), (0.0, -0.17)):
        keep &= np.linalg.norm(plane - np.array([x, y]) * size, axis=1) > 0.07 * size
    used = np.unique(face.faces[keep])
    number = np.full(face.n_vertices, -1)
    number[used] = np.arange(len(used))
    return Surface(face.vertices[used], number[face.faces[keep]])


@pytest.mark.parametrize(
    "options",
    [
        {"holes": "fill"},
        {"holes": "circles"},
        {"domain": "free"},
        {"domain": "rectangle", "holes": "fill"},
    ],
)
def test_openings_are_mapped_in_every_way_on_the_own_vertices(options: dict[str, str]) -> None:
    surface = _holed()
    flat = conformal_map(surface, **options)
    assert folded(flat) == 0
    assert flat.surface is surface
    assert angle_error(flat) < 4
    if options.get("domain", "disk") == "disk":
        assert abs(centre(flat)) < 1e-10


def test_round_holes_are_round_but_for_their_ears() -> None:
    surface = _holed()
    flat = conformal_map(surface, holes="circles")
    ears = np.zeros(surface.n_vertices, dtype=int)
    np.add.at(ears, surface.faces.ravel(), 1)
    for hole in surface.boundary_loops[1:]:
        z = flat.z[hole[ears[hole] > 1]]  # tips of ears lie inside
        system = np.column_stack([2 * z.real, 2 * z.imag, np.ones(len(z))])
        x, y, rest = np.linalg.lstsq(system, np.abs(z) ** 2, rcond=None)[0]
        radius = np.sqrt(rest + x**2 + y**2)
        assert np.abs(np.abs(z - x - 1j * y) / radius - 1).max() < 1e-9
    assert angle_error(flat) < 1.2


# --- refusals
# ------------------------------------------------------------------------------------------


def _two_squares() -> Surface:
    grid = shapes.grid(3)
    return Surface(
        np.concatenate([grid.vertices, grid.vertices + 5]),
        np.concatenate([grid.faces, grid.faces + 9]),
    )


def _moebius() -> Surface:
    n = 12
    t = 2 * np.pi * np.arange(n) / n
    rim = [
        np.column_stack(
            [
                (1 + s * np.cos(t / 2)) * np.cos(t),
                (1 + s * np.cos(t / 2)) * np.sin(t),
                s * np.sin(t / 2),
            ]
        )
        for s in (-0.3, 0.3)
    ]
    faces = []
    for k in range(n):
        a, b, c, d = k, (k + 1) % n, k + n, (k + 1) % n + n
        if k == n - 1:
            b, d = d, b
        faces += [[a, b, d], [a, d, c]]
    return Surface(np.concatenate(rim), faces)


def _without_a_face(surface: Surface) -> Surface:
    return Surface(surface.vertices, surface.faces[1:])


def _turned_face(surface: Surface) -> Surface:
    faces = surface.faces.copy()
    faces[7] = faces[7, ::-1]
    return Surface(surface.vertices, faces)


GRID = shapes.grid(4)
REFUSED = [
    (shapes.icosphere(1), {}, TopologyError, r"closed surface; use domain='sphere' or cut it"),
    (
        shapes.annulus(),
        {},
        TopologyError,
        r"2 boundary loops \(\d+, \d+ vertices\); repair\(fill_holes=True\) closes 1",
    ),
    (shapes.annulus(), {"domain": "rectangle"}, TopologyError, r"2 boundary loops"),
    (
        _without_a_face(shapes.torus()),
        {},
        TopologyError,
        r"genus 1 \(1 handle, 1 boundary loop\); repair\(remove_handles=True\)",
    ),
    (_two_squares(), {}, TopologyError, r"2 components \(8, 8 faces\); meshconv.repair"),
    (_moebius(), {}, TopologyError, r"not orientable"),
    (
        Surface(GRID.vertices, [*GRID.faces, GRID.faces[0][::-1]]),
        {},
        NonManifoldError,
        r"edges with more than two",
    ),
    (
        Surface(np.eye(3)[[0, 1, 2, 1, 2]] + [[0], [0], [0], [1], [1]], [[0, 1, 2], [0, 3, 4]]),
        {},
        NonManifoldError,
        r"1 vertices where sheets or borders touch, first vertex 0",
    ),
    (Surface(0 * GRID.vertices, GRID.faces), {}, DegenerateError, r"surface area is 0"),
    (Surface(GRID.vertices * [1, 0, 0], GRID.faces), {}, DegenerateError, r"surface area is 0"),
    (
        GRID,
        {"domain": "sphere"},
        TopologyError,
        r"needs a closed surface, found 1 boundary loop \(12 vertices\)",
    ),
    (
        shapes.torus(),
        {"domain": "sphere"},
        TopologyError,
        r"needs genus 0, found genus 1 \(1 handle\); repair\(remove_handles=True\)",
    ),
    (
        AWKWARD["one triangle"],
        {"domain": "rectangle"},
        TopologyError,
        r"4 border vertices, found 3",
    ),
    (GRID, {"domain": "square"}, ArgumentError, r"'disk', 'rectangle', 'free', 'sphere'"),
    (GRID, {"corners": [0, 1, 2, 3]}, ArgumentError, r"corners is for domain='rectangle'"),
    (GRID, {"domain": "free", "holes": "circles"}, ArgumentError, r"is for domain='disk'"),
    (GRID, {"polish": -1}, ArgumentError, r"polish must be"),
    (GRID, {"polish": np.nan}, ArgumentError, r"polish must be"),
    (GRID, {"polish": "much"}, ArgumentError, r"polish must be"),
    (GRID, {"domain": "rectangle", "corners": [0, 1, 2]}, ArgumentError, r"4 vertex indices"),
    (
        GRID,
        {"domain": "rectangle", "corners": [0, 3, 15, 5]},
        ArgumentError,
        r"corner 5 is no vertex",
    ),
    (GRID, {"domain": "rectangle", "corners": [0, 12, 15, 3]}, ArgumentError, r"counter-clockwise"),
    (
        GRID,
        {"domain": "rectangle", "corners": [0, 1, 2, 3]},
        FoldError,
        r"inner edges join two vertices of one side",
    ),
]


@pytest.mark.parametrize(("surface", "options", "error", "message"), REFUSED)
def test_refusals_name_reason_count_and_next_step(
    surface: Surface, options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        conformal_map(surface, **options)  # type: ignore[arg-type]


def test_a_face_wound_against_its_neighbours_is_turned_with_a_warning() -> None:
    with pytest.warns(RepairWarning, match="1 of 18 faces were wound against their neighbours"):
        flat = conformal_map(_turned_face(GRID))
    assert folded(flat) == 0
    np.testing.assert_allclose(flat.coordinates, conformal_map(GRID).coordinates, atol=1e-12)


def test_vertices_in_no_face_are_named_and_get_a_place() -> None:
    surface = Surface(np.concatenate([[[9.0, 9, 9]], GRID.vertices]), GRID.faces + 1)
    with pytest.warns(RepairWarning, match="1 vertices belong to no face"):
        flat = conformal_map(surface)
    np.testing.assert_allclose(flat.coordinates[1:], conformal_map(GRID).coordinates, atol=1e-12)
    assert np.isfinite(flat.coordinates).all()
