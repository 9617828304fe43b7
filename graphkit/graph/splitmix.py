"""SplitMix64 for kernels and, on arrays, for their plain definitions: random words that depend on a seed and on places
alone.

Reference: Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014.
"""

from __future__ import annotations

import numba
import numpy as np

LEVELS = 65536  # values of 16 random bits, of which dropout takes a part
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


@numba.njit(inline="always", nogil=True)
def next_word(state):
    """(new state, word)."""
    state += np.uint64(_GOLDEN)
    word = (state ^ (state >> np.uint64(30))) * np.uint64(_FIRST)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(_SECOND)
    return state, word ^ (word >> np.uint64(31))


@numba.njit(inline="always", nogil=True)
def below(word, bound):
    """A number of 0..bound-1 from the upper half of a random word; bound < 2^32."""
    return np.int64(((word >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32))


def dropout_level(rate: float) -> tuple[int, float]:
    """How many of the :data:`LEVELS` values of 16 random bits drop an entry, and the share of entries that stays; 0 <
    rate < 1.
    """
    dropped = min(max(round(rate * LEVELS), 1), LEVELS - 1)
    return dropped, 1 - dropped / LEVELS


def next_words(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """:func:`next_word` of every entry of a uint64 array."""
    with np.errstate(over="ignore"):  # words wrap around
        states = states + np.uint64(_GOLDEN)
        words = (states ^ (states >> np.uint64(30))) * np.uint64(_FIRST)
        words = (words ^ (words >> np.uint64(27))) * np.uint64(_SECOND)
    return states, words ^ (words >> np.uint64(31))


def uniform(seed: int, places: np.ndarray) -> np.ndarray:
    """Float64 numbers in [0, 1), one for each of the given whole numbers: the same place gives the same number."""
    _, key = next_words(np.asarray([seed], dtype=np.uint64))
    _, words = next_words(key ^ np.asarray(places).astype(np.uint64))
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
