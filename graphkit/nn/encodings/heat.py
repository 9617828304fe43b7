"""The diagonal of the heat kernel: how much of a unit of heat is left at a node after a time."""

from __future__ import annotations

import joblib
import numpy as np
from scipy import special

from graphkit.nn.encodings.structure import Structure
from graphkit.nn.encodings.walks import blocks, units

DENSE = 1024  # nodes of a component up to which all eigenpairs are computed
NULL = 1e-8  # eigenvalues up to this count as zero
PRECISION = 1e-12


def heat_diagonal(structure: Structure, times, space_dim: int = 0, threads: int = 1) -> np.ndarray:
    """Return (n, times) float64: sum over the eigenvalues lambda > 1e-8 of L = D - A of exp(-t lambda) phi_i^2.

    That is the diagonal of exp(-t L) less its limit 1 / (nodes of the component). The factor is exp(-t lambda), as the
    published encodings were computed with. space_dim d > 0 multiplies by t^(d/2), which keeps the scale of a
    d-dimensional space; no option has it, because the BatchNorm of a model's encoder takes a column's factor away. A
    component of more than :data:`DENSE` nodes is expanded in Chebyshev polynomials of L on blocks of unit vectors:
    O(sqrt(t max deg) m n) time, O(n) memory per block and thread.
    """
    times = np.asarray(times, dtype=np.float64)
    laplacian = structure.laplacian()
    out = np.zeros((structure.num_nodes, len(times)))
    for nodes in structure.components():
        if len(nodes) == 1:
            continue  # its only eigenvalue is zero
        block = laplacian[nodes][:, nodes].tocsr()
        out[nodes] = _dense(block, times) if len(nodes) <= DENSE else _chebyshev(block, times, threads)
    return out * times ** (space_dim / 2)


def _dense(laplacian, times) -> np.ndarray:
    values, vectors = np.linalg.eigh(laplacian.toarray())
    decay = np.exp(-np.outer(values, times)) * (values > NULL)[:, None]
    return vectors**2 @ decay


def _chebyshev(laplacian, times, threads: int) -> np.ndarray:
    """exp(-t L) = sum_m c_m(t) T_m(X) with X = L / r - 1, r half the bound 2 max deg of the spectrum."""
    radius = float(laplacian.diagonal().max())
    coefficients = chebyshev_coefficients(radius * times)
    n = laplacian.shape[0]
    work = (joblib.delayed(_diagonals)(laplacian, radius, nodes, len(coefficients)) for nodes in blocks(n))
    moments = np.concatenate(joblib.Parallel(n_jobs=threads, prefer="threads")(work))
    # The eigenvalue 0, with the constant vector, is left out; rounding must not make what is left negative.
    return np.maximum(moments @ coefficients - 1.0 / n, 0.0)


def chebyshev_coefficients(scaled: np.ndarray) -> np.ndarray:
    """(M, times) c_m = (2 - [m = 0]) (-1)^m exp(-s) I_m(s), up to the m after which all are below the precision."""
    degree = 2
    while special.ive(degree, scaled).max() > PRECISION:
        degree *= 2
    orders = np.arange(degree + 1)
    found = (-1.0) ** orders[:, None] * special.ive(orders[:, None], scaled[None, :])
    found[1:] *= 2
    needed = np.flatnonzero(np.abs(found).max(axis=1) > PRECISION)[-1] + 1
    return found[: needed + needed % 2]


def _diagonals(laplacian, radius: float, nodes: np.ndarray, count: int) -> np.ndarray:
    """(block, count) entries (T_m)_ii, of which <T_a e_i, T_b e_i> = (T_(a+b) + T_|a-b|)_ii / 2 gives two per
    product.
    """
    before = units(laplacian.shape[0], nodes)
    now = laplacian @ before / radius - before
    out = np.empty((len(nodes), count + 1))
    out[:, 0], out[:, 1] = 1.0, now[nodes, np.arange(len(nodes))]
    for m in range(1, count // 2 + 1):
        if 2 * m < count + 1:
            out[:, 2 * m] = 2 * np.einsum("nb,nb->b", now, now) - 1.0
        following = 2 * (laplacian @ now / radius - now) - before
        if 2 * m + 1 < count + 1:
            out[:, 2 * m + 1] = 2 * np.einsum("nb,nb->b", now, following) - out[:, 1]
        before, now = now, following
    return out[:, :count]
