"""Electrostatic encodings: statistics of the potentials that unit charges at the nodes make."""

from __future__ import annotations

import joblib
import numpy as np
import scipy.sparse
from scipy.sparse.linalg import splu

from graphkit.nn.encodings.structure import Structure
from graphkit.nn.encodings.walks import blocks

DENSE = 1024  # nodes of a graph up to which the pseudo-inverse is one dense matrix
LEAST = 256  # charges solved for at once in a larger one; every block keeps (n, 5) numbers
ITERATIONS = 200
TOLERANCE = 1e-10
COLUMNS = 10


def electrostatic(structure: Structure, threads: int = 1) -> np.ndarray:
    """Return (n, 10) float64 statistics of V_ij = G_ij - G_jj, the potential at i of a charge at j; G the
    pseudo-inverse of D - A.

    Columns 0-3: minimum, maximum, mean and standard deviation (unbiased) over i for the charge at the node; 4-7: the
    same over j, the charges as the node feels them; 8: sum_i P_ij V_ij and 9: sum_j P_ij V_ij over neighbours, P = D^-1
    A.

    Differs from the published code in two points, where that departs from its own intent: column 5 is the maximum over
    j (there it repeats column 1), and an isolated node has P_ij = 0 instead of an infinite D^-1. A graph of one node
    gets zeros. More than :data:`DENSE` nodes: columns of G by conjugate gradients, or a factorisation where these do
    not converge, in blocks; O(n) memory per block and thread.
    """
    n = structure.num_nodes
    if n <= 1:
        return np.zeros((n, COLUMNS))
    laplacian = structure.laplacian()
    adjacency = structure.simple()
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    walk = scipy.sparse.diags(np.divide(1.0, degree, out=np.zeros(n), where=degree > 0)) @ adjacency
    if n <= DENSE:
        return _summary(
            [_block_statistics(np.linalg.pinv(laplacian.toarray(), hermitian=True), np.arange(n), walk.tocsc())], n
        )
    solve = _Solver(structure, laplacian)

    columns = walk.tocsc()
    work = (
        joblib.delayed(lambda some: _block_statistics(solve(some), some, columns))(charges)
        for charges in blocks(n, LEAST)
    )
    return _summary(joblib.Parallel(n_jobs=threads, prefer="threads")(work), n)


def _block_statistics(green: np.ndarray, charges: np.ndarray, walk) -> tuple:
    """Of the columns G[:, charges]: (b, 5) for the charges, and for the nodes (n, 5) parts of what runs over all
    charges.
    """
    potential = green - green[charges, np.arange(len(charges))]
    own = [potential.min(0), potential.max(0), potential.mean(0), potential.std(0, ddof=1)]
    near = walk[:, charges].multiply(potential).tocsr()
    own.append(np.asarray(near.sum(0)).ravel())
    mean = potential.mean(1)
    spread = np.square(potential - mean[:, None]).sum(1)
    felt = [potential.min(1), potential.max(1), mean, spread, np.asarray(near.sum(1)).ravel()]
    return len(charges), np.stack(own, axis=1), np.stack(felt, axis=1)


def _summary(parts: list[tuple], n: int) -> np.ndarray:
    out = np.empty((n, COLUMNS))
    counts = np.array([count for count, *_ in parts], dtype=np.float64)
    own = np.concatenate([rows for _, rows, _ in parts])
    felt = np.stack([rows for *_, rows in parts])  # (blocks, n, 5)
    out[:, :4], out[:, 8] = own[:, :4], own[:, 4]
    out[:, 4], out[:, 5], out[:, 9] = felt[..., 0].min(0), felt[..., 1].max(0), felt[..., 4].sum(0)
    weights = counts[:, None] / n
    mean = (felt[..., 2] * weights).sum(0)
    # Spread within the blocks, and of their means, is the spread over all charges.
    total = felt[..., 3].sum(0) + (np.square(felt[..., 2] - mean) * counts[:, None]).sum(0)
    out[:, 6], out[:, 7] = mean, np.sqrt(total / (n - 1))
    return out


class _Solver:
    """Columns of the pseudo-inverse of a Laplacian: G e_j solves L x = e_j - 1/|C| on the component C of j, with sum x
    = 0.
    """

    def __init__(self, structure: Structure, laplacian):
        self.laplacian = laplacian
        self.parts = [(nodes, laplacian[nodes][:, nodes].tocsc()) for nodes in structure.components()]
        self.label = np.empty(structure.num_nodes, dtype=np.int64)
        self.place = np.empty(structure.num_nodes, dtype=np.int64)
        for number, (nodes, _) in enumerate(self.parts):
            self.label[nodes], self.place[nodes] = number, np.arange(len(nodes))
        self.factors: list = [None] * len(self.parts)  # made where conjugate gradients fail, as on paths and grids

    def __call__(self, charges: np.ndarray) -> np.ndarray:
        out = np.zeros((len(self.label), len(charges)))
        for number in np.unique(self.label[charges]):
            (nodes, block), columns = self.parts[number], np.flatnonzero(self.label[charges] == number)
            if len(nodes) == 1:
                continue
            right = np.full((len(nodes), len(columns)), -1.0 / len(nodes))
            right[self.place[charges[columns]], np.arange(len(columns))] += 1.0
            x = _gradients(block, right) if self.factors[number] is None else None
            if x is None:
                self.factors[number] = self.factors[number] or _factor(block)
                x = _solved(self.factors[number], right)
            out[np.ix_(nodes, columns)] = x - x.mean(axis=0)
        return out


def _gradients(laplacian, right: np.ndarray) -> np.ndarray | None:
    """Conjugate gradients on all columns side by side, preconditioned by the degree; None where they do not
    converge.
    """
    inverse = 1.0 / laplacian.diagonal()[:, None]
    x, residual = np.zeros_like(right), right.copy()
    direction = inverse * residual
    rho = (residual * direction).sum(0)
    goal = TOLERANCE * np.sqrt((right**2).sum(0))
    for _ in range(ITERATIONS):
        image = laplacian @ direction
        curvature = (direction * image).sum(0)
        step = np.divide(rho, curvature, out=np.zeros_like(rho), where=curvature > 0)
        x += step * direction
        residual -= step * image
        if (np.sqrt((residual**2).sum(0)) <= goal).all():
            return x
        scaled = inverse * residual
        following = (residual * scaled).sum(0)
        direction = scaled + np.divide(following, rho, out=np.zeros_like(rho), where=rho > 0) * direction
        rho = following
    return None


def _factor(laplacian):
    """L without its first row and column is regular: the node there is grounded."""
    return splu(laplacian[1:, 1:].tocsc())


def _solved(factor, right: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros((1, right.shape[1])), factor.solve(np.ascontiguousarray(right[1:]))])
