"""The selective scan of a state-space model, forward and backward, without ever holding all states.

For every sequence, channel c and state n, with z_t = dt_t A and Bbar_t = dt_t B_t (Euler) or phi(z_t) dt_t B_t with
phi(z) = (exp(z) - 1) / z (zero-order hold),

    h_t = exp(z_t) h_{t-1} + Bbar_t u_t,        y_t = sum_n C_t h_t + D u_t.

Backward, with g_t = C_t dy_t + exp(z_{t+1}) g_{t+1} the gradient of h_t and, for Euler,

    du_t = dt_t sum_n g_t B_t + D dy_t,         ddt_t = sum_n g_t (B_t u_t + h_{t-1} exp(z_t) A),
    dA = sum_t g_t h_{t-1} exp(z_t) dt_t,       dB_t = sum_c g_t dt_t u_t,      dC_t = sum_c dy_t h_t,      dD = sum_t
    dy_t u_t.

Channels are worked on in tiles of :data:`TILE`, which the compiler turns into vector instructions; the N TILE states of
a tile stay in the first-level cache for the whole sequence. Forward keeps the states at every :data:`STRIDE`-th step,
backward recomputes those between. The work is cut by sequences and tiles into at most :data:`MOST_GROUPS` groups that
depend on the shape alone, each with partial sums of its own for dA, dB, dC and dD: results do not depend on the number
of threads.

Beside the kernels stands :func:`plain`, the definition.

Time O(Bt L e N) both ways. Memory beside inputs and gradients: Bt L e N / STRIDE for the states, and a copy of B's and
C's gradients for each group of tiles, of which there are MOST_GROUPS for one sequence and one for MOST_GROUPS
sequences.

Reference: Gu, Dao: Mamba: Linear-Time Sequence Modeling with Selective State Spaces, 2023.
"""

from __future__ import annotations

import numba
import numpy as np

from graphkit.graph.threads import STEPS, in_threads
from graphkit.kernels.fast_exp import exp as _exp

TILE = 16
STRIDE = 64
MOST_GROUPS = 8
SMALL_WORK = 2**18  # steps of single states, about a millisecond, below which threads are not worth their start

# Sums over a tile may be taken in any order; nothing else is given up.
RELAXED = {"contract", "reassoc", "nsz"}

# Small integers are exact in float32 and leave the type of z as it is.
_ONE, _TWO, _THREE, _FOUR, _FIVE, _SIX, _SEVEN, _EIGHT = (np.float32(k) for k in range(1, 9))
_FIFTEEN, _TWENTY_FOUR, _THIRTY_FIVE, _FORTY_EIGHT, _SIXTY_THREE = (np.float32(k * k - 1) for k in range(4, 9))
_SMALL = np.float32(0.1)


@numba.njit(fastmath={"contract"}, cache=True, nogil=True)
def _phi(z, exp_z):
    """(exp(z) - 1) / z, and 1 at 0."""
    near = z / _SIX * (_ONE + z / _SEVEN * (_ONE + z / _EIGHT))
    near = _ONE + z / _TWO * (_ONE + z / _THREE * (_ONE + z / _FOUR * (_ONE + z / _FIVE * (_ONE + near))))
    return near if abs(z) < _SMALL else (exp_z - _ONE) / z


@numba.njit(fastmath={"contract"}, cache=True, nogil=True)
def _phi_slope(z, exp_z, phi):
    """The derivative of :func:`_phi`: (exp(z) - phi) / z, and 1/2 at 0."""
    near = z * _SIX / _THIRTY_FIVE * (_ONE + z * _SEVEN / _FORTY_EIGHT * (_ONE + z * _EIGHT / _SIXTY_THREE))
    near = _ONE + z * _THREE / _EIGHT * (
        _ONE + z * _FOUR / _FIFTEEN * (_ONE + z * _FIVE / _TWENTY_FOUR * (_ONE + near))
    )
    near = (_ONE + z * _TWO / _THREE * near) / _TWO
    return near if abs(z) < _SMALL else (exp_z - phi) / z


@numba.njit(cache=True, nogil=True)
def _copy(row, start, width, out):
    """Fill the first ``width`` of a tile's values; the constant bound of the full tile is what compilers unroll."""
    if width == TILE:
        for c in range(TILE):
            out[c] = row[start + c]
    else:
        for c in range(width):
            out[c] = row[start + c]


@numba.njit(cache=True, nogil=True)
def _tile_of(matrix, start, width, out):
    """Lay rows start .. start + width of an (e, N) matrix into the columns of an (N, TILE) one; the others stay."""
    for c in range(width):
        for n in range(matrix.shape[1]):
            out[n, c] = matrix[start + c, n]


@numba.njit(cache=True, nogil=True)
def _clear(values):
    # A loop: compilers take seconds for each assignment to a slice.
    for i in range(len(values)):
        values[i] = 0


@numba.njit(fastmath=RELAXED, cache=True, nogil=True)
def _step(h, rate, d, x, b, zoh):
    """Advance the (N, TILE) states by a step; x: dt * u."""
    for n in range(h.shape[0]):
        weight = b[n]
        if zoh:
            for c in range(TILE):
                z = d[c] * rate[n, c]
                a = _exp(z)
                h[n, c] = a * h[n, c] + _phi(z, a) * x[c] * weight
        else:
            for c in range(TILE):
                h[n, c] = _exp(d[c] * rate[n, c]) * h[n, c] + x[c] * weight


@numba.njit(fastmath=RELAXED, cache=True, nogil=True)
def _forward_tile(u, dt, rate, b, c_in, skip, start, width, zoh, y, states, h, d, x, out):
    """One tile of one sequence: u, dt, y (L, e), b, c_in (L, N), states (chunks, N, TILE); the rest is scratch."""
    for n in range(h.shape[0]):
        _clear(h[n])
    for t in range(u.shape[0]):
        if t % STRIDE == 0 and t > 0 and len(states):
            for n in range(h.shape[0]):
                for c in range(TILE):
                    states[t // STRIDE - 1, n, c] = h[n, c]
        _copy(dt[t], start, width, d)
        _copy(u[t], start, width, x)
        for c in range(TILE):
            out[c] = skip[c] * x[c]
            x[c] *= d[c]
        _step(h, rate, d, x, b[t], zoh)
        for n in range(h.shape[0]):
            weight = c_in[t, n]
            for c in range(TILE):
                out[c] += weight * h[n, c]
        if width == TILE:
            for c in range(TILE):
                y[t, start + c] = out[c]
        else:
            for c in range(width):
                y[t, start + c] = out[c]


@numba.njit(fastmath=RELAXED, cache=True, nogil=True)
def _step_back(rows, states, past, b, c_in, db, dc, zoh):
    """Take the gradients of the states back by a step, from ``exp(z_{t+1}) g_{t+1}`` to ``exp(z_t) g_t``.

    Flat arrays of tiles, since a compiler can tell that constant offsets into one array do not overlap. rows: the
    step's dt, u and dy, then the gradients of u and dt, which are added to. states: for each n its g, rates and the
    gradient of the rates.
    past: for each n the state before the step and its decay. b, c_in: (N,). db, dc: (N,), added to.
    """
    for n in range(len(b)):
        weight, readout = b[n], c_in[n]
        to_b = to_c = weight - weight
        own, old = 3 * TILE * n, 2 * TILE * n
        for c in range(TILE):
            d, u, slope = rows[c], rows[TILE + c], rows[2 * TILE + c]
            rate, h, a = states[own + TILE + c], past[old + c], past[old + TILE + c]
            here = states[own + c] + readout * slope
            pulled, shown, decayed = here * weight, d * u, here * a
            through = decayed * h
            to_dt, to_rate = through * rate, through
            if zoh:
                z = d * rate
                phi = _phi(z, a)
                shown *= phi
                rows[3 * TILE + c] += pulled * d * phi
                to_dt += pulled * u * a
                to_rate += pulled * u * d * _phi_slope(z, a, phi)
            else:
                rows[3 * TILE + c] += pulled * d
                to_dt += pulled * u
            rows[4 * TILE + c] += to_dt
            states[own + c] = decayed
            states[own + 2 * TILE + c] += to_rate * d
            to_b += here * shown
            to_c += slope * (a * h + shown * weight)
        db[n] += to_b
        dc[n] += to_c


@numba.njit(fastmath=RELAXED, cache=True, nogil=True)
def _recompute(u, dt, b, first, last, start, width, zoh, h, states, past, rows):
    """Fill past (STRIDE, 2 N TILE) of steps first .. last - 1 as :func:`_step_back` reads it; h: (N TILE,) states
    before the first.
    """
    for t in range(first, last):
        k = t - first
        _copy(dt[t], start, width, rows)
        _copy(u[t], start, width, rows[TILE:])
        for n in range(b.shape[1]):
            weight = b[t, n]
            own, old = 3 * TILE * n, 2 * TILE * n
            for c in range(TILE):
                z = rows[c] * states[own + TILE + c]
                a = _exp(z)
                before = h[TILE * n + c]
                past[k, old + c] = before
                past[k, old + TILE + c] = a
                shown = rows[c] * rows[TILE + c]
                if zoh:
                    shown *= _phi(z, a)
                h[TILE * n + c] = a * before + shown * weight


@numba.njit(fastmath=RELAXED, cache=True, nogil=True)
def _backward_tile(u, dt, b, c_in, skip, dy, kept, start, width, zoh, du, d_dt, db, dc, d_skip, h, states, past, rows):
    """Gradients of one tile of one sequence; db, dc (L, N), d_skip (TILE,) and the rates' gradients in ``states`` are
    added to.

    kept: (chunks, N TILE), the states that forward kept. h (N TILE,), past (STRIDE, 2 N TILE), rows (5 TILE,): scratch.
    """
    length, size = b.shape
    for n in range(size):
        for c in range(TILE):
            states[3 * TILE * n + c] = 0
    for number in range((length - 1) // STRIDE, -1, -1):
        first, last = number * STRIDE, min(length, (number + 1) * STRIDE)
        _clear(h)
        if number > 0:
            for i in range(len(h)):
                h[i] = kept[number - 1, i]
        _recompute(u, dt, b, first, last, start, width, zoh, h, states, past, rows)
        for t in range(last - 1, first - 1, -1):
            _copy(dt[t], start, width, rows)
            _copy(u[t], start, width, rows[TILE:])
            _copy(dy[t], start, width, rows[2 * TILE :])
            for c in range(TILE):
                slope = rows[2 * TILE + c]
                rows[3 * TILE + c] = skip[c] * slope
                rows[4 * TILE + c] = 0
                d_skip[c] += slope * rows[TILE + c]
            _step_back(rows, states, past[t - first], b[t], c_in[t], db[t], dc[t], zoh)
            for c in range(width):
                du[t, start + c] = rows[3 * TILE + c]
                d_dt[t, start + c] = rows[4 * TILE + c]


@numba.njit(cache=True, nogil=True)
def _forward_group(u, dt, rate, b, c_in, skip, zoh, first, last, begin, end, y, states):
    """Sequences first .. last - 1 and tiles begin .. end - 1."""
    channels, size = rate.shape
    rates, h, scratch = np.zeros((size, TILE), u.dtype), np.zeros((size, TILE), u.dtype), np.zeros((4, TILE), u.dtype)
    for tile in range(begin, end):
        start = tile * TILE
        width = min(TILE, channels - start)
        for row in range(4):
            _clear(scratch[row])
        for n in range(size):
            _clear(rates[n])
        _tile_of(rate, start, width, rates)
        _copy(skip, start, width, scratch[0])
        for s in range(first, last):
            _forward_tile(
                u[s],
                dt[s],
                rates,
                b[s],
                c_in[s],
                scratch[0],
                start,
                width,
                zoh,
                y[s],
                states[s, tile],
                h,
                scratch[1],
                scratch[2],
                scratch[3],
            )


@numba.njit(cache=True, nogil=True)
def _backward_group(
    u, dt, rate, b, c_in, skip, dy, zoh, first, last, begin, end, kept, du, d_dt, db, dc, d_rate, d_skip
):
    """As :func:`_forward_group`; db, dc: (Bt, L, N), d_rate: (e, N), d_skip: (tiles, TILE), the group's own."""
    channels, size = rate.shape
    h, skips, rows = np.zeros(size * TILE, u.dtype), np.zeros(TILE, u.dtype), np.zeros(5 * TILE, u.dtype)
    states, past = np.zeros(3 * size * TILE, u.dtype), np.zeros((STRIDE, 2 * size * TILE), u.dtype)
    for tile in range(begin, end):
        start = tile * TILE
        width = min(TILE, channels - start)
        _clear(skips)
        _clear(rows)
        _clear(states)
        _copy(skip, start, width, skips)
        for c in range(width):
            for n in range(size):
                states[3 * TILE * n + TILE + c] = rate[start + c, n]
        for s in range(first, last):
            _backward_tile(
                u[s],
                dt[s],
                b[s],
                c_in[s],
                skips,
                dy[s],
                kept[s, tile],
                start,
                width,
                zoh,
                du[s],
                d_dt[s],
                db[s],
                dc[s],
                d_skip[tile],
                h,
                states,
                past,
                rows,
            )
        for c in range(width):
            for n in range(size):
                d_rate[start + c, n] = states[3 * TILE * n + 2 * TILE + c]


def _bounds(count: int, groups: int) -> np.ndarray:
    """Cut 0 .. count into at most ``groups`` ranges of nearly equal length."""
    return np.linspace(0, count, min(groups, max(count, 1)) + 1).astype(np.int64)


def _groups(u: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Bounds of the groups of sequences and of tiles, and the number of tiles."""
    tiles = -(-u.shape[2] // TILE)
    sequences = _bounds(u.shape[0], MOST_GROUPS)
    # Groups of tiles need partial sums of their own, which sequences do not: cut tiles only where sequences are few.
    return sequences, _bounds(tiles, MOST_GROUPS // (len(sequences) - 1)), tiles


def forward(u, dt, a, b, c, d, *, zoh: bool = False, keep: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return y (Bt, L, e) and the states that :func:`backward` needs, (Bt, tiles, (L - 1) // STRIDE, N, TILE).

    Without ``keep`` the states are empty.

    u, dt: (Bt, L, e); a: (e, N); b, c: (Bt, L, N); d: (e,); all C-contiguous and of one type, float32 or float64.
    """
    batch, length, _ = u.shape
    sequences, parts, tiles = _groups(u)
    steps = u.size * a.shape[1]
    if steps > STEPS * MOST_GROUPS:  # nothing is summed over groups here, so that there may be more of them
        sequences, parts = _bounds(batch, batch), _bounds(tiles, max(1, -(-steps // (STEPS * max(batch, 1)))))
    chunks = max(length - 1, 0) // STRIDE if keep else 0
    y, states = np.empty_like(u), np.empty((batch, tiles, chunks, a.shape[1], TILE), u.dtype)
    width = len(parts) - 1

    def work(group: int) -> None:
        number, part = divmod(group, width)
        _forward_group(
            u, dt, a, b, c, d, zoh, sequences[number], sequences[number + 1], parts[part], parts[part + 1], y, states
        )

    in_threads(work, (len(sequences) - 1) * width, worth=u.size * a.shape[1] > SMALL_WORK)
    return y, states


def backward(u, dt, a, b, c, d, dy, states, *, zoh: bool = False) -> tuple[np.ndarray, ...]:
    """Return the gradients of u, dt, a, b, c and d, given that of y and the states of :func:`forward`."""
    sequences, parts, tiles = _groups(u)
    groups, width, (channels, size) = len(sequences) - 1, len(parts) - 1, a.shape
    du, d_dt = np.empty_like(u), np.empty_like(u)
    db, dc = (np.zeros((width, *b.shape), u.dtype) for _ in range(2))
    d_rate, d_skip = np.zeros((groups, channels, size), u.dtype), np.zeros((groups, tiles, TILE), u.dtype)
    kept = states.reshape(*states.shape[:3], size * TILE)

    def work(group: int) -> None:
        number, part = divmod(group, width)
        _backward_group(
            u,
            dt,
            a,
            b,
            c,
            d,
            dy,
            zoh,
            sequences[number],
            sequences[number + 1],
            parts[part],
            parts[part + 1],
            kept,
            du,
            d_dt,
            db[part],
            dc[part],
            d_rate[number],
            d_skip[number],
        )

    in_threads(work, groups * width, worth=u.size * size > SMALL_WORK)
    return du, d_dt, _total(d_rate), _total(db), _total(dc), d_skip.sum(0).reshape(-1)[:channels].copy()


def _total(parts: np.ndarray) -> np.ndarray:
    return parts[0] if len(parts) == 1 else parts.sum(0)


def plain(u, dt, a, b, c, d, dy=None, *, zoh: bool = False):
    """What :func:`forward` and :func:`backward` compute, step after step in NumPy float64, all states kept.

    Returns y, or with ``dy`` (Bt, L, e) the tuple of y and the gradients of u, dt, a, b, c and d.
    """
    u, dt, a, b, c, d = (np.asarray(value, dtype=np.float64) for value in (u, dt, a, b, c, d))
    steps, z = u.shape[1], dt[..., None] * a
    decay = np.exp(z)
    phi = np.where(z == 0, 1.0, np.expm1(z) / np.where(z == 0, 1.0, z)) if zoh else np.ones_like(z)
    shown = phi * (dt * u)[..., None]
    h = np.zeros((steps + 1, u.shape[0], *a.shape))
    for t in range(steps):
        h[t + 1] = decay[:, t] * h[t] + shown[:, t] * b[:, t, None]
    y = (h[1:].swapaxes(0, 1) * c[:, :, None]).sum(-1) + d * u
    if dy is None:
        return y
    dy = np.asarray(dy, dtype=np.float64)
    g, later = np.zeros_like(z), np.zeros_like(h[0])
    for t in range(steps - 1, -1, -1):
        g[:, t] = dy[:, t, :, None] * c[:, t, None] + later
        later = decay[:, t] * g[:, t]
    pulled, through = g * b[:, :, None], g * h[:-1].swapaxes(0, 1) * decay
    # The derivatives of phi(z) dt by dt and by A: 1 and 0 for Euler, exp(z) and phi'(z) dt^2 for the zero-order hold.
    by_dt, by_rate = np.ones_like(z), np.zeros_like(z)
    if zoh:
        near = np.abs(z) < 1e-4
        safe = np.where(near, 1.0, z)
        by_dt, by_rate = decay, np.where(near, 0.5 + z / 3 + z * z / 8, (decay - phi) / safe) * dt[..., None] ** 2
    du = (pulled * phi).sum(-1) * dt + d * dy
    d_dt = (through * a + pulled * by_dt * u[..., None]).sum(-1)
    da = (through * dt[..., None] + pulled * by_rate * u[..., None]).sum((0, 1))
    return y, (du, d_dt, da, (g * shown).sum(2), (dy[..., None] * h[1:].swapaxes(0, 1)).sum(2), (dy * u).sum((0, 1)))
