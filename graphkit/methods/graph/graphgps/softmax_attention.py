"""Softmax attention among the nodes of each graph of a batch, with dropout on its weights, forward and backward,
without padding.

Per graph and head, with queries q, keys k, values v (N, w), scale = w^-1/2 and M_ij = 1 / (1 - p) where an entry is
kept, else 0,

    P = softmax_j(scale q k^T),        out = (P * M) v,
    dv = (P * M)^T dout,  dS = P * (M * (dout v^T) - D) with D_i = <dout_i, out_i>,  dq = scale dS k,  dk = scale dS^T
    q.

A row of P is computed, used and forgotten; backward computes it again from the kept log of its sum. Whether an entry is
dropped depends on a seed, its graph's first node, its head, row and column, so that nothing but the seed is kept of the
mask and results do not depend on the number of threads. Molecules have tens of nodes: there padded blocks and a tensor
of random numbers for the mask cost several times the arithmetic.

Time O(sum N^2 w heads) both ways; memory O(N w) per thread beside inputs and outputs. :func:`plain` is the definition.

Reference: Vaswani et al., NeurIPS 2017; the row-wise recomputation: Dao et al., FlashAttention, NeurIPS 2022.
"""

from __future__ import annotations

import numba
import numpy as np
import torch

from graphkit.graph.splitmix import LEVELS, dropout_level, next_word, next_words
from graphkit.graph.threads import STEPS, in_threads
from graphkit.kernels.fast_exp import exp

RELAXED = {"contract", "reassoc", "nsz"}  # sums over nodes may be taken in any order
PARTS = 4  # per thread, since graphs differ in size
SMALL_WORK = 2**17  # weights below which threads are not worth their start


# Scratch is (rows, longest graph), contiguous, with n columns in use: the compiler makes vector instructions of unit
# strides alone.


@numba.njit(cache=True, nogil=True)
def _transposed(qkv, first, n, part, head, out):
    """Lay the keys (part 1) or values (part 2) of n nodes from ``first`` on into the rows of (w, n)."""
    for c in range(qkv.shape[3]):
        row = out[c]
        for j in range(n):
            row[j] = qkv[first + j, part, head, c]


@numba.njit(cache=True, nogil=True)
def _scores(q, keys, scale, n, s):
    """s_j = scale <q, k_j>."""
    for j in range(n):
        s[j] = 0
    for c in range(len(q)):
        factor, row = q[c] * scale, keys[c]
        for j in range(n):
            s[j] += factor * row[j]


@numba.njit(cache=True, nogil=True)
def _mask(seed, row, head, heads, dropped, kept_weight, n, out):
    """M of a row: four entries from each random word."""
    _, state = next_word(np.uint64(seed) + np.uint64(row * heads + head))
    low, bound, nothing = np.uint64(LEVELS - 1), np.uint64(dropped), kept_weight - kept_weight
    last = n - n % 4
    for j in range(0, last, 4):
        state, word = next_word(state)
        out[j] = kept_weight if (word & low) >= bound else nothing
        out[j + 1] = kept_weight if ((word >> np.uint64(16)) & low) >= bound else nothing
        out[j + 2] = kept_weight if ((word >> np.uint64(32)) & low) >= bound else nothing
        out[j + 3] = kept_weight if (word >> np.uint64(48)) >= bound else nothing
    state, word = next_word(state)
    for j in range(last, n):
        out[j] = kept_weight if (word & low) >= bound else nothing
        word >>= np.uint64(16)


@numba.njit(fastmath=RELAXED, cache=True, nogil=True)
def _dot(a, b, n):
    total = a[0] * b[0]
    for j in range(1, n):
        total += a[j] * b[j]
    return total


@numba.njit(fastmath=RELAXED, cache=True, nogil=True)
def _softmax(s, n):
    """Turn scores into weights in place; returns the log of the sum of their exponentials."""
    top = s[0]
    for j in range(1, n):
        top = max(top, s[j])
    for j in range(n):
        s[j] = exp(s[j] - top)
    total = s[0]
    for j in range(1, n):
        total += s[j]
    share = 1 / total
    for j in range(n):
        s[j] *= share
    return top + np.log(total)


@numba.njit(cache=True, nogil=True)
def _longest(starts, first, last):
    longest = 1
    for g in range(first, last):
        longest = max(longest, starts[g + 1] - starts[g])
    return longest


@numba.njit(fastmath=RELAXED, cache=True, nogil=True)
def _forward_part(qkv, starts, scale, dropped, kept_weight, seed, first, last, low, high, out, logs):
    """Graphs first .. last - 1, of their nodes those from low to high - 1."""
    heads, width = qkv.shape[2], qkv.shape[3]
    longest = _longest(starts, first, last)
    keys, values = np.empty((width, longest), qkv.dtype), np.empty((width, longest), qkv.dtype)
    p, mask = np.empty(longest, qkv.dtype), np.empty(longest, qkv.dtype)
    for g in range(first, last):
        begin, n = starts[g], starts[g + 1] - starts[g]
        for head in range(heads if n else 0):
            _transposed(qkv, begin, n, 1, head, keys)
            _transposed(qkv, begin, n, 2, head, values)
            for i in range(max(begin, low), min(begin + n, high)):
                _scores(qkv[i, 0, head], keys, scale, n, p)
                logs[i, head] = _softmax(p, n)
                if dropped > 0:
                    _mask(seed, i, head, heads, dropped, kept_weight, n, mask)
                    for j in range(n):
                        p[j] *= mask[j]
                for c in range(width):
                    out[i, head, c] = _dot(p, values[c], n)


@numba.njit(fastmath=RELAXED, cache=True, nogil=True)
def _backward_row(qkv, i, head, n, scale, mask, keys, values, out, log, d_out, p, slope, d_qkv, d_keys, d_values):
    """Gradients of node i's weights in one head; mask: M of the row, overwritten."""
    _scores(qkv[i, 0, head], keys, scale, n, p)
    _scores(d_out, values, scale / scale, n, slope)
    mean = _dot(d_out, out, len(out))
    for j in range(n):
        p[j] = exp(p[j] - log)
    for j in range(n):
        slope[j] = p[j] * (mask[j] * slope[j] - mean)
        mask[j] *= p[j]
    for c in range(len(out)):
        d_qkv[i, 0, head, c] = scale * _dot(slope, keys[c], n)
        pulled, given, to_key, to_value = scale * qkv[i, 0, head, c], d_out[c], d_keys[c], d_values[c]
        for j in range(n):
            to_key[j] += pulled * slope[j]
        for j in range(n):
            to_value[j] += given * mask[j]


@numba.njit(fastmath=RELAXED, cache=True, nogil=True)
def _backward_part(qkv, starts, scale, dropped, kept_weight, seed, first, last, out, logs, d_out, d_qkv):
    """Gradients of graphs first .. last - 1."""
    heads, width = qkv.shape[2], qkv.shape[3]
    longest = _longest(starts, first, last)
    keys, values = np.empty((width, longest), qkv.dtype), np.empty((width, longest), qkv.dtype)
    d_keys, d_values = np.empty((width, longest), qkv.dtype), np.empty((width, longest), qkv.dtype)
    p, mask, slope = np.empty(longest, qkv.dtype), np.empty(longest, qkv.dtype), np.empty(longest, qkv.dtype)
    for g in range(first, last):
        begin, n = starts[g], starts[g + 1] - starts[g]
        for head in range(heads if n else 0):
            _transposed(qkv, begin, n, 1, head, keys)
            _transposed(qkv, begin, n, 2, head, values)
            for c in range(width):
                for j in range(n):
                    d_keys[c, j] = 0
                    d_values[c, j] = 0
            for i in range(begin, begin + n):
                if dropped > 0:
                    _mask(seed, i, head, heads, dropped, kept_weight, n, mask)
                else:
                    for j in range(n):
                        mask[j] = 1
                _backward_row(
                    qkv,
                    i,
                    head,
                    n,
                    scale,
                    mask,
                    keys,
                    values,
                    out[i, head],
                    logs[i, head],
                    d_out[i, head],
                    p,
                    slope,
                    d_qkv,
                    d_keys,
                    d_values,
                )
            for j in range(n):
                for c in range(width):
                    d_qkv[begin + j, 1, head, c] = d_keys[c, j]
                    d_qkv[begin + j, 2, head, c] = d_values[c, j]


def _parts(starts: np.ndarray, heads: int) -> np.ndarray:
    """Cut the graphs into ranges of about equally many weights, a few for each thread, or one where there are few
    weights.
    """
    work = np.cumsum(np.diff(starts) ** 2)
    total, threads = work[-1] if len(work) else 0, torch.get_num_threads()
    parts = PARTS * threads if threads > 1 and heads * total > SMALL_WORK else 1
    cuts = np.searchsorted(work, total * np.arange(1, parts) / parts)
    return np.unique(np.concatenate([[0], cuts, [len(work)]]))


def _dropping(rate: float) -> tuple[int, float]:
    """Of :data:`graphkit.graph.splitmix.LEVELS` those that drop a weight, and the factor of what is kept."""
    dropped, share = dropout_level(rate) if rate > 0 else (0, 1.0)
    return dropped, 1 / share


def forward(qkv: np.ndarray, starts: np.ndarray, rate: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the (n, heads, w) results and the (n, heads) logs that :func:`backward` needs.

    qkv: (n, 3, heads, w) queries, keys and values, C-contiguous, float32 or float64. starts: (graphs + 1,) first nodes.
    rate: share of the weights to drop, below 1.
    """
    n, _, heads, width = qkv.shape
    out, logs = np.empty((n, heads, width), qkv.dtype), np.empty((n, heads), qkv.dtype)
    scale, (dropped, kept), cuts = qkv.dtype.type(width**-0.5), _dropping(rate), _parts(starts, qkv.shape[2])
    kept, pieces = qkv.dtype.type(kept), _pieces(starts, cuts, heads * width)

    def work(k: int) -> None:
        _forward_part(qkv, starts, scale, dropped, kept, np.uint64(seed), *pieces[k], out, logs)

    in_threads(work, len(pieces))
    return out, logs


def _pieces(starts: np.ndarray, cuts: np.ndarray, steps: int) -> list[tuple[int, int, int, int]]:
    """(first graph, last, first node, last) of parts that take at most STEPS steps, of ``steps`` for a weight; large
    graphs by nodes.
    """
    sizes, total, pieces = np.diff(starts), int(starts[-1]), []
    for first, last in zip(cuts[:-1].tolist(), cuts[1:].tolist()):
        work = sizes[first:last].astype(np.float64) ** 2 * steps
        if work.sum() <= STEPS:
            pieces.append((first, last, 0, total))
            continue
        for g in range(first, last):
            low, high = int(starts[g]), int(starts[g + 1])
            rows = max(1, int(STEPS / max(float(sizes[g]) * steps, 1.0)))
            pieces += [(g, g + 1, a, min(a + rows, high)) for a in range(low, high, rows)]
    return pieces


def backward(qkv, starts, out, logs, d_out, rate: float = 0.0, seed: int = 0) -> np.ndarray:
    """Return the (n, 3, heads, w) gradient of qkv, given d_out (n, heads, w) of the results and what :func:`forward`
    returned.
    """
    d_qkv, width = np.empty_like(qkv), qkv.shape[3]
    scale, (dropped, kept), cuts = qkv.dtype.type(width**-0.5), _dropping(rate), _parts(starts, qkv.shape[2])
    kept = qkv.dtype.type(kept)

    def work(k: int) -> None:
        _backward_part(
            qkv, starts, scale, dropped, kept, np.uint64(seed), cuts[k], cuts[k + 1], out, logs, d_out, d_qkv
        )

    in_threads(work, len(cuts) - 1)
    return d_qkv


def weights(starts: np.ndarray, heads: int, rate: float, seed: int) -> list[np.ndarray]:
    """M of every graph, (heads, N, N) float64, by array operations."""
    dropped, kept = _dropping(rate)
    masks = []
    for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist()):
        n = end - begin
        places = (np.arange(begin, end)[None, :] * heads + np.arange(heads)[:, None]).astype(np.uint64)
        _, state = next_words(np.uint64(seed) + places)
        levels = np.empty((heads, n, -(-n // 4), 4), dtype=np.uint64)
        for word_number in range(levels.shape[2]):
            state, word = next_words(state)
            levels[:, :, word_number] = (word[..., None] >> np.arange(0, 64, 16, dtype=np.uint64)) & np.uint64(
                LEVELS - 1
            )
        masks.append(np.where(levels.reshape(heads, n, 4 * levels.shape[2])[..., :n] >= dropped, kept, 0.0))
    return masks


def plain(qkv: np.ndarray, starts: np.ndarray, masks: list[np.ndarray] | None = None) -> np.ndarray:
    """What :func:`forward` computes, in NumPy float64, graph by graph; masks: M of each graph, (heads, N, N)."""
    qkv = np.asarray(qkv, dtype=np.float64)
    out = np.zeros((len(qkv), *qkv.shape[2:]))
    for g, (begin, end) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist())):
        q, k, v = qkv[begin:end].transpose(1, 2, 0, 3)
        scores = q @ k.swapaxes(1, 2) * qkv.shape[3] ** -0.5
        p = np.exp(scores - scores.max(axis=2, keepdims=True)) if end > begin else scores
        p = p / p.sum(axis=2, keepdims=True)
        p = p if masks is None else p * masks[g]
        out[begin:end] = (p @ v).swapaxes(0, 1)
    return out
