"""Which columns of a table are the ends and the time of an interaction."""

from __future__ import annotations

from graphkit.core import reading
from graphkit.io.blob import Blob

ENDS = (
    ("src", "dst"),
    ("source", "target"),
    ("from", "to"),
    ("u", "v"),
    ("head", "tail"),
    ("source_id", "target_id"),
    ("src_id", "dst_id"),
    ("from_id", "to_id"),
    ("fromnodeid", "tonodeid"),
    ("node1", "node2"),
    ("node_1", "node_2"),
    ("id1", "id2"),
    ("id_1", "id_2"),
    ("user", "item"),
    ("user_id", "item_id"),
    ("sender", "receiver"),
    ("follower", "followee"),
    ("citing", "cited"),
    ("protein1", "protein2"),
    ("gene1", "gene2"),
    ("source_node", "target_node"),
    ("node_a", "node_b"),
)
SOURCES, TARGETS = (tuple(pair[side] for pair in ENDS) for side in (0, 1))
TIMES = ("time", "timestamp", "ts", "t", "unixtime", "unix_time", "date", "datetime")
# Beside the words for the ends of edges: users and items, as in the tables of interactions.
EVENT_SOURCES = (*SOURCES, "user", "user_id")
EVENT_TARGETS = (*TARGETS, "i", "item", "item_id")


def interactions(blob: Blob, names: list[str] | None) -> list[int] | None:
    """Numbers of the ends' columns of a table of interactions that is read as a graph, and a note on it; None for any
    other table.
    """
    lower = [name.strip().lower() for name in names or []]
    pick = [
        next((lower.index(word) for word in words if word in lower), None)
        for words in (EVENT_SOURCES, EVENT_TARGETS, TIMES)
    ]
    if None in pick or len(set(pick)) < 3:
        return None
    ends, rest = (
        [names[place] for place in pick[:2]],
        [name for place, name in enumerate(names) if place not in pick[:2] and name],
    )
    reading.note(
        blob.name,
        f"a table of events: {' and '.join(map(repr, ends))} are the ends of edges; {', '.join(rest)} are not used",
    )
    return pick[:2]
