"""Sparse Cholesky factorisation: order the unknowns, lay out the fronts, factor, solve."""
