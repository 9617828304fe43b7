"""The names of orbit adjacencies: keys (hops, orbit of the row, orbit of the column), and the graphlets they belong
to.
"""

from __future__ import annotations

from graphkit.core.errors import UsageError

ONE_HOP = (
    (1, 0, 0),
    (1, 1, 2),
    (1, 3, 3),
    (1, 4, 5),
    (1, 5, 5),
    (1, 6, 7),
    (1, 8, 8),
    (1, 9, 11),
    (1, 10, 10),
    (1, 10, 11),
    (1, 12, 13),
    (1, 13, 13),
    (1, 14, 14),
)
FURTHER = ((2, 1, 1), (2, 12, 12), (2, 9, 10), (2, 8, 8), (2, 4, 5), (2, 6, 6), (3, 4, 4))
KEYS = ONE_HOP + FURTHER
# Orbits of the nodes of each graphlet.
GRAPHLETS = {
    "G0": (0,),
    "G1": (1, 2),
    "G2": (3,),
    "G3": (4, 5),
    "G4": (6, 7),
    "G5": (8,),
    "G6": (9, 10, 11),
    "G7": (12, 13),
    "G8": (14,),
}


def keys_of(text: str, transposes: bool = False) -> list[tuple[int, int, int]]:
    """The keys that a text such as ``all``, ``G3`` or ``1:4-5,2:8-8`` names, each once; raises :class:`UsageError`.

    ``all`` and graphlets mean the 20 of :data:`KEYS`, or all 28 with ``transposes``.
    """
    every = list(dict.fromkeys(key for h, a, b in KEYS for key in ((h, a, b), (h, b, a))))
    known = {name_of(key): [key] for key in every}
    meant = every if transposes else list(KEYS)
    groups = {"all": meant, **{name: [key for key in meant if key[1] in orbits] for name, orbits in GRAPHLETS.items()}}
    found: list[tuple[int, int, int]] = []
    for name in (part.strip() for part in text.split(",")):
        if name not in known and name not in groups:
            raise UsageError(f"--orbits {text}: found {name!r}, expected all, G0 to G8 or some of {', '.join(known)}")
        found += known.get(name) or groups[name]
    return list(dict.fromkeys(found))


def name_of(key: tuple[int, int, int]) -> str:
    """The name of a key, such as 1:4-5."""
    return f"{key[0]}:{key[1]}-{key[2]}"
