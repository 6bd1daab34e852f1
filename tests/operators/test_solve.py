"""The sparse solver against closed forms, dense algebra and itself; refusals with their
messages.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from meshconv.errors import ArgumentError, ArrayTypeError, NonFiniteError, SolverError
from meshconv.operators.cholesky import fronts
from meshconv.operators.cholesky.factor import analyse
from meshconv.operators.cholesky.hops import hop_coordinates
from meshconv.operators.cholesky.ordering import nested_dissection
from meshconv.operators.cholesky.pattern import near_in_memory
from meshconv.operators.solve import FixedValueSolver, SPDSolver


def graph_laplacian(n: int, edges: np.ndarray, weights: np.ndarray) -> sparse.csr_array:
    edges, weights = edges[edges[:, 0] != edges[:, 1]], weights[edges[:, 0] != edges[:, 1]]
    half = sparse.coo_array((weights, edges.T), shape=(n, n))
    full = sparse.csr_array(half + half.T)
    return sparse.csr_array(sparse.diags_array(np.asarray(full.sum(axis=1)).ravel()) - full)


def grid(n: int) -> tuple[sparse.csr_array, np.ndarray]:
    """The five-point Laplacian of an n x n grid with free borders, and the positions of its
    nodes.
    """
    index = np.arange(n * n).reshape(n, n)
    edges = np.concatenate(
        [
            np.c_[index[:-1].ravel(), index[1:].ravel()],
            np.c_[index[:, :-1].ravel(), index[:, 1:].ravel()],
        ]
    )
    return graph_laplacian(n * n, edges, np.ones(len(edges))), np.argwhere(index >= 0) / (n - 1)


random_graphs = st.integers(0, 2**32 - 1).map(np.random.default_rng)


# --- closed forms --------------------------------------------------------------------------------


@pytest.mark.parametrize("use_coordinates", [True, False])
def test_grid_eigenvectors_are_answered_exactly(use_coordinates):
    n = 60
    L, where = grid(n)
    A = sparse.csr_array(L + 0.01 * sparse.eye_array(n * n))
    a, b = 3, 5  # the free-border grid Laplacian is diagonal in cosines
    mode = [np.cos(np.pi * k * (np.arange(n) + 0.5) / n) for k in (a, b)]
    wave = np.outer(*mode).ravel()
    value = 0.01 + sum(4 * np.sin(np.pi * k / (2 * n)) ** 2 for k in (a, b))
    solver = SPDSolver(A, coordinates=where if use_coordinates else None)
    assert solver.backend == "multifrontal"
    np.testing.assert_allclose(
        solver.solve(wave), wave / value, atol=1e-10 * abs(wave / value).max()
    )
    assert solver.residual < 1e-12


def test_linear_functions_on_a_grid_are_harmonic():
    n = 40
    L, where = grid(n)
    border = np.flatnonzero(((where == 0) | (where == 1)).any(axis=1))
    solver = FixedValueSolver(L, border, coordinates=where)
    np.testing.assert_allclose(solver.solve(where[border]), where, atol=1e-12)
    assert solver.residual < 1e-12


def test_poisson_converges_with_second_order():
    def error(n: int) -> float:
        L, where = grid(n)
        exact = np.sin(np.pi * where[:, 0]) * np.sin(np.pi * where[:, 1])
        border = np.flatnonzero(((where == 0) | (where == 1)).any(axis=1))
        force = 2 * np.pi**2 * exact / (n - 1) ** 2
        x = FixedValueSolver(L, border, coordinates=where).solve(np.zeros(len(border)), force)
        return float(abs(x - exact).max())

    assert 3.8 < error(17) / error(33) < 4.2


# --- invariants and second implementations -------------------------------------------------------


@settings(max_examples=60)
@given(random_graphs, st.integers(1, 300), st.floats(0.0, 4.0), st.booleans())
def test_random_graphs_agree_with_dense_algebra(rng, n, degree, use_coordinates):
    edges = rng.integers(0, n, (int(degree * n), 2))  # several components, isolated nodes, clusters
    A = sparse.csr_array(
        graph_laplacian(n, edges, rng.uniform(0.1, 10, len(edges)))
        + sparse.diags_array(rng.uniform(0.1, 1, n))
    )
    b = rng.normal(size=(n, 3))
    solver = SPDSolver(A, coordinates=rng.normal(size=(n, 2)) if use_coordinates else None)
    np.testing.assert_allclose(
        solver.solve(b), np.linalg.solve(A.toarray(), b), rtol=1e-8, atol=1e-10
    )
    assert solver.backend == "multifrontal"


@given(random_graphs, st.integers(65, 2000))
def test_the_order_is_a_permutation_and_children_come_first(rng, n):
    edges = np.c_[np.arange(n), (np.arange(n) + rng.integers(1, 30, n)) % n]
    A = graph_laplacian(n, edges, np.ones(n))
    order, start, parent = nested_dissection(
        A.indptr, A.indices, hop_coordinates(A.indptr, A.indices)
    )
    assert np.array_equal(np.sort(order), np.arange(n))
    assert start[0] == 0 and start[-1] == n and (np.diff(start) > 0).all()
    assert ((parent > np.arange(len(parent))) | (parent == -1)).all()


def test_dissection_keeps_a_grid_sparse():
    n = 200  # a factor of O(n^2 log n) entries (George 1973), where a band has n^3
    A, where = grid(n)
    for points in (
        where,
        None,
        np.zeros((n * n, 1)),
        np.random.default_rng(0).normal(size=(n * n, 3)),
    ):
        fronts = analyse(A.indptr, A.indices, points)
        assert fronts is not None
        assert fronts.panel[-1] < 14 * n**2 * np.log2(n) < 0.6 * n**3


def test_dissection_cuts_across_a_hilly_surface_not_along_its_level_lines():
    A, flat = grid(120)
    x, y = flat.T / flat.max()
    hilly = np.column_stack(
        [x, y, 2.0 * np.sin(9 * x) * np.cos(7 * y)]
    )  # longest along the third axis
    assert (
        analyse(A.indptr, A.indices, hilly).flops < 1.2 * analyse(A.indptr, A.indices, flat).flops
    )


@pytest.mark.parametrize("unit", [2.0**-600, 2.0**600])
def test_dissection_does_not_depend_on_the_unit_of_the_coordinates(unit):
    A, flat = grid(40)
    expected = nested_dissection(A.indptr, A.indices, flat)
    assert all(map(np.array_equal, nested_dissection(A.indptr, A.indices, flat * unit), expected))


@given(random_graphs)
def test_relabelling_changes_nothing_but_labels(rng):
    A, where = grid(20)
    A, b, p = A + 0.1 * sparse.eye_array(400), rng.normal(size=400), rng.permutation(400)
    x = SPDSolver(A, coordinates=where).solve(b)
    y = SPDSolver(sparse.csr_array(A)[p][:, p], coordinates=where[p]).solve(b[p])
    np.testing.assert_allclose(y, x[p], rtol=1e-10)


@given(st.sampled_from([1e-300, 1e-150, 1e-6, 1e6, 1e150, 1e300]), random_graphs)
def test_scale_does_not_matter(factor, rng):
    A, where = grid(12)
    A = sparse.csr_array(A + 0.1 * sparse.eye_array(144))
    b = rng.normal(size=144)
    x, solver = SPDSolver(A).solve(b), SPDSolver(A * factor, coordinates=where * 1e6)
    np.testing.assert_allclose(solver.solve(b * factor), x, rtol=1e-10)
    assert solver.residual < 1e-13


def test_units_that_differ_between_unknowns_do_not_matter():
    A, _ = grid(30)
    D = sparse.diags_array(10.0 ** np.random.default_rng(0).uniform(-8, 8, 900))
    solver = SPDSolver(D @ (A + 0.1 * sparse.eye_array(900)) @ D)
    x = np.random.default_rng(1).normal(size=900) / D.diagonal()
    np.testing.assert_allclose(solver.solve(solver._matrix @ x), x, rtol=1e-9, atol=0)


@pytest.mark.parametrize("columns", [0, 1, 2, 7, 40])
def test_each_column_is_answered_alone(columns):
    A, where = grid(25)
    A = A + 0.1 * sparse.eye_array(625)
    b = np.random.default_rng(0).normal(size=(625, columns))
    solver = SPDSolver(A, coordinates=where)
    x = solver.solve(b)
    assert x.shape == b.shape
    for k in range(columns):
        np.testing.assert_allclose(solver.solve(b[:, k]), x[:, k], rtol=1e-12, atol=1e-14)


def test_refactor_equals_a_fresh_factorisation():
    A, where = grid(40)
    first, second = A + 1.0 * sparse.eye_array(1600), A + 0.01 * sparse.eye_array(1600)
    b = np.random.default_rng(0).normal(size=1600)
    solver = SPDSolver(first, coordinates=where)
    solver.refactor(second)
    np.testing.assert_array_equal(solver.solve(b), SPDSolver(second, coordinates=where).solve(b))
    other = sparse.csr_array(
        sparse.diags_array(np.arange(1.0, 1601.0))
    )  # another pattern: analysed anew
    solver.refactor(other)
    np.testing.assert_allclose(solver.solve(b), b / np.arange(1.0, 1601.0))


def test_superlu_agrees():
    A, where = grid(40)
    A, b = A + 0.01 * sparse.eye_array(1600), np.random.default_rng(0).normal(size=(1600, 9))
    other = SPDSolver(A, backend="superlu")
    assert other.backend == "superlu"
    np.testing.assert_allclose(other.solve(b), SPDSolver(A, coordinates=where).solve(b), rtol=1e-9)
    assert other.residual < 1e-12


@pytest.mark.parametrize(("limit", "value"), [("_MOST_ENTRIES", 10), ("_MOST_ROWS", -(10**6))])
def test_superlu_takes_over_what_would_not_fit_into_memory(monkeypatch, limit, value):
    monkeypatch.setattr(fronts, limit, value)
    A, where = grid(20)
    A, b = A + 0.1 * sparse.eye_array(400), np.ones(400)
    solver = SPDSolver(A, coordinates=where)
    assert solver.backend == "superlu"
    np.testing.assert_allclose(solver.solve(b), 10 * b)


@pytest.mark.parametrize("kind", ["star", "dense", "path", "diagonal", "hub"])
def test_shapes_without_geometry(kind):
    n = 700
    line = np.c_[np.arange(n - 1), np.arange(1, n)]
    star = np.c_[np.zeros(n - 1, int), np.arange(1, n)]
    edges = {"star": star, "path": line, "diagonal": line[:0], "hub": np.r_[star, line]}.get(kind)
    A = (
        np.eye(n) + 0.5
        if kind == "dense"
        else graph_laplacian(n, edges, np.ones(len(edges))) + sparse.eye_array(n)
    )
    x = np.random.default_rng(0).normal(size=n)
    np.testing.assert_allclose(SPDSolver(A).solve(A @ x), x, rtol=1e-9, atol=1e-11)


def test_components_are_solved_side_by_side():
    A, where = grid(15)
    both = sparse.block_diag([A, A], format="csr")
    x = FixedValueSolver(both, [0, 225], coordinates=np.r_[where, where]).solve([3.0, -4.0])
    np.testing.assert_allclose(x, np.repeat([3.0, -4.0], 225), rtol=1e-10)


def test_nothing_is_solved_too():
    solver = SPDSolver(np.zeros((0, 0)))
    assert solver.solve(np.zeros(0)).shape == (0,)
    assert solver.solve(np.zeros((0, 2))).shape == (0, 2)


def test_fixed_values_are_kept_and_all_may_be_fixed():
    A, _ = grid(5)
    values = np.random.default_rng(0).normal(size=25)
    solver = FixedValueSolver(A, np.arange(25))
    np.testing.assert_array_equal(solver.solve(values), values)
    assert solver.residual == 0.0


def test_the_input_is_not_changed():
    A = sparse.csr_array(
        ([2.0, 1.0, 1.0, 1.0, 4.0], [0, 1, 0, 0, 1], [0, 3, 5]), shape=(2, 2)
    )  # (0, 0) twice
    data, indices = A.data.copy(), A.indices.copy()
    np.testing.assert_allclose(SPDSolver(A).solve([4.0, 5.0]), [1.0, 1.0])
    np.testing.assert_array_equal(A.data, data)
    np.testing.assert_array_equal(A.indices, indices)


# --- refusals ------------------------------------------------------------------------------------


def test_singular_matrices_are_refused():
    A, where = grid(30)
    with pytest.raises(SolverError, match=r"singular|positive definite"):
        SPDSolver(A, coordinates=where)
    with pytest.raises(SolverError, match=r"singular|positive definite"):
        FixedValueSolver(sparse.block_diag([A, A], format="csr"), [0])
    with pytest.raises(SolverError, match=r"singular|positive definite"):
        SPDSolver(A, backend="superlu")


def test_an_indefinite_matrix_names_the_unknown():
    with pytest.raises(SolverError, match="unknown 1: its diagonal entry is -1"):
        SPDSolver(np.diag([1.0, -1.0, 1.0]))
    with pytest.raises(SolverError, match="unknown 2: its diagonal entry is 0"):
        SPDSolver(np.diag([1.0, 1.0, 0.0]))
    with pytest.raises(SolverError, match="not positive definite at unknown") as caught:
        SPDSolver([[1.0, 2.0], [2.0, 1.0]])
    assert caught.value.hint


def test_an_unsymmetric_matrix_is_found_out():
    with pytest.raises(SolverError, match="not symmetric"):
        SPDSolver([[3.0, -2.0], [2.0, 3.0]]).solve([1.0, 2.0])


@pytest.mark.parametrize("given", ["upper", "lower", "a row of zeros"])
def test_a_matrix_of_which_a_half_is_missing_is_refused(given):
    side = 30
    line = sparse.diags_array([-1.0, 2.5, -1.0], offsets=[-1, 0, 1], shape=(side, side))
    whole = sparse.csr_array(sparse.kron(line, sparse.eye_array(side)))
    whole = sparse.csr_array(whole + sparse.kron(sparse.eye_array(side), line))
    places = np.stack(np.meshgrid(*[np.arange(side)] * 2), axis=-1).reshape(-1, 2)
    SPDSolver(whole, coordinates=places)  # both halves
    if given == "a row of zeros":
        A = sparse.lil_array(whole)
        A[400], A[400, 400] = 0.0, 1.0
        A = sparse.csr_array(A)
        A.eliminate_zeros()
    else:
        A = sparse.triu(whole) if given == "upper" else sparse.tril(whole)
    with pytest.raises(SolverError, match="not symmetric"):
        SPDSolver(A, coordinates=places).solve(np.ones(side * side))


def test_numbers_that_are_none_are_refused():
    solver = SPDSolver(np.eye(3))
    with pytest.raises(NonFiniteError, match="row 1"):
        SPDSolver([[1.0, 0.0], [np.nan, 1.0]])
    with pytest.raises(NonFiniteError, match="rhs is not finite in row 2"):
        solver.solve([0.0, 1.0, np.inf])
    with pytest.raises(NonFiniteError, match="coordinates"):
        SPDSolver(np.eye(2), coordinates=[[0.0], [np.nan]])


def test_shapes_that_do_not_fit_are_refused():
    solver = SPDSolver(np.eye(3))
    with pytest.raises(ArrayTypeError, match="square"):
        SPDSolver(np.ones((2, 3)))
    with pytest.raises(ArrayTypeError, match=r"rhs must be \(3,\)"):
        solver.solve(np.ones(4))
    with pytest.raises(ArrayTypeError, match="coordinates have 2 rows"):
        SPDSolver(np.eye(3), coordinates=np.zeros((2, 2)))
    with pytest.raises(ArgumentError, match="backend"):
        SPDSolver(np.eye(3), backend="magic")
    for fixed in ([0, 0], [5], [-1]):
        with pytest.raises(ArgumentError, match="fixed"):
            FixedValueSolver(np.eye(3), fixed)
    with pytest.raises(ArrayTypeError, match="fixed"):
        FixedValueSolver(np.eye(3), [0.5])


def test_a_neck_is_cut_where_it_is_thin():
    """Two squares of unlike size joined by a strip 4 wide: the first cut goes through the strip."""
    n = 60
    i, j = np.divmod(np.arange(2 * n * n), 2 * n)
    inside = (j < 50) | (j > 70) | ((i >= 28) & (i < 32))
    where = np.column_stack([i, j])[inside].astype(float)
    number = np.full(2 * n * n, -1)
    number[inside] = np.arange(inside.sum())
    right, down = np.flatnonzero(j < 2 * n - 1), np.flatnonzero(i < n - 1)
    pairs = np.concatenate([np.c_[right, right + 1], np.c_[down, down + 2 * n]])
    edges = number[pairs]
    edges = edges[(edges >= 0).all(axis=1)]
    A = graph_laplacian(len(where), edges, np.ones(len(edges)))
    order, start, parent = nested_dissection(A.indptr, A.indices, where)
    root = order[start[-2] :]
    assert parent[-1] == -1 and len(root) <= 4
    assert (abs(where[root, 1] - 60) < 12).all()


def test_points_in_few_places_are_ordered_too():
    A, where = grid(70)
    for points in (np.floor(where / 35), (where > 68).astype(float), where * [1.0, 0.0]):
        fronts = analyse(A.indptr, A.indices, points)
        assert fronts is not None and np.array_equal(np.sort(fronts.order), np.arange(4900))


def test_unknowns_in_random_order_are_put_near_each_other_in_memory():
    A, where = grid(70)
    shuffled = np.random.default_rng(3).permutation(4900)
    B = sparse.csr_array(A[shuffled][:, shuffled])
    kept, moved = (
        near_in_memory(m.indptr, m.indices, p) for m, p in ((A, where), (B, where[shuffled]))
    )
    assert kept.given is None and kept.indices is A.indices
    rows = np.repeat(np.arange(4900), np.diff(moved.indptr))
    assert np.abs(rows - moved.indices).mean() < 8 * 70
    there = sparse.csr_array((B.data[moved.entry], moved.indices, moved.indptr), shape=B.shape)
    assert abs(there - B[moved.given][:, moved.given]).max() == 0.0


@given(random_graphs)
def test_a_shuffled_matrix_is_refactored_as_it_is_factored(rng):
    A, where = grid(60)
    p = rng.permutation(3600)
    first, second = (
        sparse.csr_array((A + s * sparse.eye_array(3600))[p][:, p]) for s in (0.1, 2.0)
    )
    solver, b = SPDSolver(first, coordinates=where[p]), rng.normal(size=3600)
    solver.refactor(second)
    expected = SPDSolver(second, coordinates=where[p]).solve(b)
    assert np.array_equal(solver.solve(b), expected)
    np.testing.assert_allclose(second @ expected, b, atol=1e-12)
