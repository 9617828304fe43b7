"""Fixed-size tables of recent neighbours: which slots a batch of events writes, and which keys two nodes' tables share.

A table has M slots for each of n nodes. A key, the number of another node, belongs in one slot; where the slot holds
another key the newcomer takes its place with probability alpha. All writes of a batch are judged by what the slots held
before it, and the last of several to a slot stays, so that the outcome depends on the stream and a seed alone.
"""

from __future__ import annotations

import functools
import random

import numba
import numpy as np

from graphkit.graph import splitmix

EMPTY = -1


@functools.lru_cache
def multiplier(seed: int) -> int:
    """The s of NAT's polynomial: what Python's generator, seeded so, draws from 0..100, made odd, modulo 100.

    a s + a^2 (s + 1) modulo a power of two is a permutation if and only if s is odd (Rivest 2001): with an even s the
    keys reach 7 of 32 slots, and none of them for long.
    """
    return (random.Random(seed).randint(0, 100) | 1) % 100


def slots_of(keys: np.ndarray, size: int, seed: int, rule: str) -> np.ndarray:
    """(W,) int64 slot of each key in a table of ``size`` slots a node.

    rule ``paper``: (a s + a^2 (s + 1)) mod size with a the key from 1 on and s the :func:`multiplier` of the seed; a
    permutation of the keys where the size is a power of two, and less even elsewhere. rule ``mix``: the remainder of a
    well-mixed word.
    """
    if rule == "paper":
        s, a = multiplier(seed), keys + 1
        return (a * s + a * a * (s + 1)) % size
    _, start = splitmix.next_words(np.asarray([seed], dtype=np.uint64))
    _, words = splitmix.next_words(start ^ keys.astype(np.uint64))
    return ((words >> np.uint64(1)).astype(np.int64)) % size


@numba.njit(cache=True, nogil=True)
def judge_writes(held, nodes, keys, slots, draws, alpha, owner, keep):
    """Mark in ``keep`` (W,) the writes that stay; return (tried, met another key, dropped by the draw).

    held: (n, M) int64 keys before the batch, :data:`EMPTY` where there is none. A key below 0 is no write. owner: (n
        M,) int64 scratch.
    """
    size, tried, met, dropped = held.shape[1], 0, 0, 0
    for w in range(len(keys)):
        keep[w] = False
        if keys[w] < 0:
            continue
        tried += 1
        there = held[nodes[w], slots[w]]
        if there != EMPTY and there != keys[w]:
            met += 1
            if draws[w] >= alpha:
                dropped += 1
                continue
        keep[w] = True
        owner[nodes[w] * size + slots[w]] = w
    for w in range(len(keys)):
        keep[w] = keep[w] and owner[nodes[w] * size + slots[w]] == w
    return tried, met, dropped


@numba.njit(cache=True, nogil=True)
def join_keys(keys, bits):
    """Group the equal keys in each row of (P, S) keys; return (group (P, S), code (G,), row (G,)).

    bits: (S,) int64, a power of two for each column; the code of a group is their sum, and its row that of its key. A
    group is numbered by its first place; empty places are in group -1.
    """
    rows, width = keys.shape
    table_size = 1
    while table_size < 2 * width:
        table_size *= 2
    table, mark = np.empty(table_size, np.int64), np.full(table_size, -1, np.int64)
    group = np.full((rows, width), -1, np.int64)
    code, row = np.zeros(rows * width, np.int64), np.zeros(rows * width, np.int64)
    number, place_group = 0, np.empty(table_size, np.int64)
    for r in range(rows):
        for c in range(width):
            key = keys[r, c]
            if key < 0:
                continue
            place = (key * 0x9E3779B1) & (table_size - 1)
            while mark[place] == r and table[place] != key:
                place = (place + 1) & (table_size - 1)
            if mark[place] != r:
                mark[place], table[place], place_group[place] = r, key, number
                row[number] = r
                number += 1
            group[r, c] = place_group[place]
            code[group[r, c]] += bits[c]
    return group, code[:number].copy(), row[:number].copy()


@numba.njit(cache=True, nogil=True)
def last_of_each(nodes, owner, keep):
    """Mark in ``keep`` (W,) the last occurrence of every node; owner: (n,) int64 scratch."""
    for w in range(len(nodes)):
        owner[nodes[w]] = w
    for w in range(len(nodes)):
        keep[w] = owner[nodes[w]] == w
