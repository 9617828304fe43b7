"""Eigenvectors of graph Laplacians: the raw values of LapPE, SignNet and PEG."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import ArpackError, eigsh, lobpcg

from graphkit.nn.encodings.structure import Structure

log = logging.getLogger(__name__)

DENSE = 1024  # nodes of a component up to which all eigenpairs of a dense matrix are the fastest way to a few
GUARD = 5  # extra vectors of the block method: they hold back what is close above the wanted ones
ROUND, ROUNDS = 60, 6  # iterations of the block method between looks at how far it is
TOLERANCE = 1e-7  # of |L v - lambda v|, relative to the largest degree
SHIFT = -1e-3
TIE = 1e-6


def lap_pe(structure: Structure, k: int, norm: str = "none") -> np.ndarray:
    """Return (n, k, 2): entry of the eigenvector and eigenvalue, for the k smallest eigenvalues, trivial ones included.

    Columns beyond n are NaN. See :func:`eigenpairs`.
    """
    values, vectors = eigenpairs(structure, k, norm)
    out = np.full((structure.num_nodes, k, 2), np.nan)
    out[:, : len(values), 0] = vectors
    out[:, : len(values), 1] = values
    return out


def eigenpairs(structure: Structure, k: int, norm: str = "none") -> tuple[np.ndarray, np.ndarray]:
    """Return the min(k, n) smallest eigenvalues (>= 0, ascending) and their eigenvectors (n, .) of unit length.

    norm: ``none`` for L = D - A, ``sym`` for D^-1/2 L D^-1/2, ``mean`` for L over the mean degree, of the
    undirected graph without loops and copies. The entry of largest magnitude of every vector is positive (the first of
    them where several are equal), so that the result does not depend on the solver's choice of signs. Components
    are solved apart: the vectors of eigenvalue 0 are one for each component, and equal eigenvalues stand in the order
    of their components, the largest first.

    A component of up to :data:`DENSE` nodes costs O(n^3); a larger one is solved by LOBPCG, whose cost grows with the
    edges and which converges where the graph is well connected, or else by Lanczos iterations on the factorised L +
    1e-3 I, which is sparse where the graph is drawn out.
    """
    found = []
    laplacian = structure.laplacian(norm)
    parts = structure.components()
    # Every component has the eigenvalue 0 once, so that no more of the others can be among the k smallest.
    most = max(k - len(parts) + 1, 1)
    for number, nodes in enumerate(parts):
        block = laplacian if len(parts) == 1 else laplacian[nodes][:, nodes]
        values, vectors = _component(block.tocsr(), min(most, len(nodes)), norm)
        found += [(round(value, 9), number, column, value) for column, value in enumerate(values.tolist())]
        parts[number] = (nodes, vectors)
    chosen = sorted(found)[:k]
    out = np.zeros((structure.num_nodes, len(chosen)))
    for place, (_, number, column, _) in enumerate(chosen):
        nodes, vectors = parts[number]
        out[nodes, place] = vectors[:, column]
    return np.array([value for *_, value in chosen]), fixed_signs(out)


def fixed_signs(vectors: np.ndarray) -> np.ndarray:
    """Turn each column of (n, k) so that its entry of largest magnitude is positive."""
    if vectors.size == 0:
        return vectors
    size = np.abs(vectors)
    # Entries that differ by rounding alone count as equal; the first of them decides.
    first = (size >= size.max(axis=0) * (1 - TIE)).argmax(axis=0)
    return vectors * np.where(vectors[first, np.arange(vectors.shape[1])] < 0, -1.0, 1.0)


def _component(laplacian: scipy.sparse.csr_matrix, k: int, norm: str) -> tuple[np.ndarray, np.ndarray]:
    n = laplacian.shape[0]
    if k == 1 and norm != "sym":
        return np.zeros(1), np.full((n, 1), 1 / np.sqrt(n))
    if n <= DENSE or 5 * (k + GUARD) > n:
        values, vectors = np.linalg.eigh(laplacian.toarray())
        values, vectors = values[:k], vectors[:, :k]
    else:
        values, vectors = large(laplacian, k)
    values = np.maximum(values, 0.0)
    values[:1] = 0.0
    return values, vectors


def large(laplacian: scipy.sparse.csr_matrix, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k smallest eigenpairs of a connected component, without a dense n x n matrix."""
    found = _block(laplacian, k)
    values, vectors = _shift_invert(laplacian, k) if found is None else found
    order = np.argsort(values, kind="stable")[:k]
    values, vectors = values[order], vectors[:, order] / np.linalg.norm(vectors[:, order], axis=0)
    if (error := _error(laplacian, values, vectors)) > 10 * TOLERANCE:
        log.warning("the eigenvectors of a component of %d nodes are exact to %.1e only", laplacian.shape[0], error)
    return values, vectors


def _error(laplacian, values, vectors) -> float:
    return float(np.linalg.norm(laplacian @ vectors - vectors * values, axis=0).max() / laplacian.diagonal().max())


def _block(laplacian, k):
    """LOBPCG from a fixed start, preconditioned by the diagonal; None where it converges too slowly."""
    vectors = np.random.default_rng(0).standard_normal((laplacian.shape[0], k + GUARD))
    vectors[:, 0] = 1.0
    scale = scipy.sparse.diags(1.0 / laplacian.diagonal())
    goal, error = 0.3 * TOLERANCE * float(laplacian.diagonal().max()), np.inf
    for _ in range(ROUNDS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where it has not converged yet
            try:
                values, vectors = lobpcg(laplacian, vectors, M=scale, largest=False, maxiter=ROUND, tol=goal)
            except (ValueError, np.linalg.LinAlgError):
                return None
        before, error = error, _error(laplacian, values[:k], vectors[:, :k])
        if error <= TOLERANCE:
            return values, vectors
        if error > before / 2:
            return None
    return None


def _shift_invert(laplacian, k):
    start = np.random.default_rng(0).standard_normal(laplacian.shape[0])
    try:
        return eigsh(laplacian.tocsc(), k=k, sigma=SHIFT, which="LM", v0=start)
    except ArpackError as problem:
        values = getattr(problem, "eigenvalues", np.empty(0))
        if len(values) < k:
            raise
        return values, problem.eigenvectors
