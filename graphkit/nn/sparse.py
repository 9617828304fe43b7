"""Products of a sparse CSR matrix with a dense one, differentiable in both, on CPU (MKL) and CUDA (cuSPARSE).

torch's own gradient of a CSR product needs the transpose at every step. Here the transpose's structure is known or made
once, so that a step costs two plain products.
"""

from __future__ import annotations

import warnings

import numpy as np
import scipy.sparse
import torch

warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")

GATHER_ENTRIES = 1 << 18  # entries per chunk of the gradient towards the values; bounds its memory


class Structure:
    """Where the entries of an (m, n) sparse matrix stand: CSR pointers and columns, int32, and those of its
    transpose.
    """

    def __init__(self, crow: torch.Tensor, col: torch.Tensor, shape: tuple[int, int]):
        self.crow, self.col, self.shape = crow, col, shape
        self._transposed: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None

    @classmethod
    def from_numpy(cls, ptr: np.ndarray, index: np.ndarray, shape: tuple[int, int], device="cpu") -> Structure:
        """Make a structure from NumPy pointers and columns."""
        narrow = np.int32 if max(len(index), *shape) < 2**31 else np.int64
        tensors = [torch.from_numpy(np.ascontiguousarray(part, dtype=narrow)).to(device) for part in (ptr, index)]
        return cls(*tensors, shape)

    def set_transposed(self, crow: torch.Tensor, col: torch.Tensor, order: torch.Tensor) -> None:
        """Tell the transpose: its entry k is entry ``order[k]`` of this matrix."""
        self._transposed = (crow, col, order)

    def transposed(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return (crow, col, order) of the transpose."""
        if self._transposed is None:
            index = self.col.cpu().numpy()
            matrix = scipy.sparse.csr_matrix((np.arange(len(index)), index, self.crow.cpu().numpy()), shape=self.shape)
            turned = matrix.tocsc()
            parts = [
                torch.from_numpy(part).to(self.col.device) for part in (turned.indptr, turned.indices, turned.data)
            ]
            self._transposed = (parts[0].to(self.crow.dtype), parts[1].to(self.col.dtype), parts[2])
        return self._transposed

    def rows(self) -> torch.Tensor:
        """(nnz,) int64 row of each entry."""
        count = torch.arange(self.shape[0], device=self.crow.device)
        return torch.repeat_interleave(count, self.crow.diff().long())


def product(structure: Structure, values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return (m, d) = M x for the (m, n) matrix M with the given (nnz,) values and x of shape (n, d)."""
    return _Product.apply(values, x, structure)


def _multiply(crow, col, values, shape, x):
    if len(col) == 0 or x.shape[1] == 0:
        return x.new_zeros(shape[0], x.shape[1])
    return torch.sparse_csr_tensor(crow, col, values, size=shape, check_invariants=False) @ x


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, x, structure):
        ctx.structure = structure
        ctx.save_for_backward(values, x if values.requires_grad else None)
        return _multiply(structure.crow, structure.col, values.detach(), structure.shape, x.detach().contiguous())

    @staticmethod
    def backward(ctx, gradient):
        values, x = ctx.saved_tensors
        structure, gradient = ctx.structure, gradient.contiguous()
        to_values = to_x = None
        if ctx.needs_input_grad[1]:
            crow, col, order = structure.transposed()
            to_x = _multiply(crow, col, values.detach()[order], structure.shape[::-1], gradient)
        if ctx.needs_input_grad[0]:
            row, col = structure.rows(), structure.col.long()
            pieces = zip(row.split(GATHER_ENTRIES), col.split(GATHER_ENTRIES))
            to_values = (
                torch.cat([(gradient[r] * x[c]).sum(1) for r, c in pieces]) if len(row) else torch.zeros_like(values)
            )
        return to_values, to_x, None


class SparseFeatures:
    """Node features of which few are not zero: dropout and the first linear layer touch only those."""

    def __init__(self, dense: torch.Tensor, device="cpu"):
        matrix = scipy.sparse.csr_matrix(dense.cpu().numpy())
        self.structure = Structure.from_numpy(matrix.indptr, matrix.indices, matrix.shape, device)
        self.values = torch.from_numpy(matrix.data).to(device)
        self.structure.transposed()
        self.shape = tuple(dense.shape)

    def linear(self, weight: torch.Tensor, bias: torch.Tensor | None, dropout: float) -> torch.Tensor:
        """Return dropout(X) W^T + b for a (d, F) weight; zeros stay zero under dropout, so this equals the dense
        form.
        """
        values = torch.nn.functional.dropout(self.values, dropout, training=dropout > 0)
        out = product(self.structure, values, weight.t())
        return out if bias is None else out + bias
