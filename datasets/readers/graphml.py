"""GraphML, streamed through expat. Entities and document types are refused, so that a small file cannot unfold."""

from __future__ import annotations

import logging
from xml.parsers import expat

import numpy as np

from graphkit.core.errors import did_you_mean
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.readers.assemble import EdgeTable
from graphkit.io import budget
from graphkit.io.blob import Blob

log = logging.getLogger("graphkit")

MAX_DEPTH = 100
ELEMENT = 300  # bytes that a node or an edge takes until the arrays are made
PIECE = 10_000


class GraphMLParser:
    """Collects nodes and edges in document order; ``weight`` is the ``attr.name`` of the edge weight."""

    def __init__(self, blob: Blob, weight: str | None):
        self.blob, self.weight, self.asked = blob, weight or "weight", weight is not None
        self.number: dict[str, int] = {}
        self.src: list[int] = []
        self.dst: list[int] = []
        self.weights: list[float] = []
        self.ends: list[tuple[str, str, int]] = []
        self.key, self.default, self.names = None, None, []
        self.directed, self.graphs, self.depth = False, 0, 0
        self.inside: str | None = None  # what the text being read is
        self.text: list[str] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._data
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse

    def error(self, text: str):
        """A DataError at the line being read."""
        return self.blob.error(text, self.parser.CurrentLineNumber)

    def run(self) -> None:
        """Parse the whole file."""
        try:
            self.parser.Parse(self.blob.data, True)
        except expat.ExpatError as problem:
            text = expat.ErrorString(problem.code)
            raise self.blob.error(f"not well-formed XML: {text} in column {problem.offset}", problem.lineno) from None

    def _refuse(self, *_) -> None:
        raise self.error("a document type or entity declaration, expected plain GraphML without one")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(" ")[2]
        self.depth += 1
        if self.depth == 1 and tag != "graphml":
            raise self.error(f"found <{tag}>, expected <graphml>")
        if self.depth > MAX_DEPTH:
            raise self.error(f"elements nested more than {MAX_DEPTH} deep")
        handler = getattr(self, f"_on_{tag}", None)
        if handler is not None:
            handler(attributes)

    def _on_graph(self, attributes) -> None:
        self.graphs += 1
        if self.graphs > 1:
            raise self.error("a second <graph>, expected one graph")
        self.directed = attributes.get("edgedefault") == "directed"

    def _on_hyperedge(self, attributes) -> None:
        raise self.error("a <hyperedge>, expected edges between two nodes")

    def _on_key(self, attributes) -> None:
        if attributes.get("for") not in ("edge", "all"):
            return
        name = attributes.get("attr.name", attributes.get("id", ""))
        self.names.append(name)
        if name == self.weight:
            self.key, self.inside = attributes.get("id"), "key"

    def _on_default(self, attributes) -> None:
        if self.inside == "key":
            self.inside, self.text = "default", []

    def _on_node(self, attributes) -> None:
        name = attributes.get("id")
        if name is None:
            raise self.error("a <node> without id")
        if name in self.number:
            raise self.error(f"node {name!r} is declared twice")
        self._count(len(self.number))
        self.number[name] = len(self.number)
        self.inside = "node"

    def _on_edge(self, attributes) -> None:
        if "source" not in attributes or "target" not in attributes:
            raise self.error("an <edge> without source or target")
        self._count(len(self.ends))
        self.ends.append((attributes["source"], attributes["target"], self.parser.CurrentLineNumber))
        self.weights.append(float("nan"))
        self.inside = "edge"

    def _count(self, known: int) -> None:
        if known % PIECE == 0:
            budget.take(PIECE * ELEMENT if known else 0, self.blob.name, "nodes and edges")

    def _on_data(self, attributes) -> None:
        if self.inside == "edge" and self.key is not None and attributes.get("key") == self.key:
            self.inside, self.text = "weight", []

    def _data(self, text: str) -> None:
        if self.inside in ("weight", "default"):
            self.text.append(text)

    def _end(self, tag: str) -> None:
        tag = tag.rpartition(" ")[2]
        self.depth -= 1
        if tag == "data" and self.inside == "weight":
            self.weights[-1], self.inside = self._float(), "edge"
        elif tag == "default" and self.inside == "default":
            self.default, self.inside = self._float(), "key"
        elif tag in ("key", "node", "edge"):
            self.inside = None

    def _float(self) -> float:
        text = "".join(self.text).strip()
        try:
            value = float(text)
        except ValueError:
            raise self.error(f"weight {text[:50]!r}, expected a number") from None
        if not np.isfinite(value):
            raise self.error(f"weight {text!r}, expected a finite number")
        return value


def read_graphml(blob: Blob, options: ReadOptions) -> EdgeTable:
    """Read the nodes, edges and edge weights of a GraphML file; a million edges take a few seconds."""
    parser = GraphMLParser(blob, options.weight)
    parser.run()
    if not parser.graphs:
        raise blob.error("no <graph> element, expected one")
    if parser.asked and parser.key is None:
        known = ", ".join(parser.names) or "none"
        hint = did_you_mean(parser.weight, parser.names)
        raise blob.error(f"--weight {parser.weight!r}: no such edge attribute, found {known}{hint}")
    for source, target, line in parser.ends:
        for name, into in ((source, parser.src), (target, parser.dst)):
            if name not in parser.number:
                raise blob.error(f"an edge to {name!r}, which is no node of the file", line)
            into.append(parser.number[name])
    src, dst = np.array(parser.src, dtype=np.int64), np.array(parser.dst, dtype=np.int64)
    weight = None
    if parser.key is not None:
        weight = np.array(parser.weights)
        missing = np.isnan(weight)
        if missing.any() and parser.default is None:
            line = parser.ends[int(np.argmax(missing))][2]
            raise blob.error(f"an edge without {parser.weight!r}, expected a number on every edge", line)
        weight[missing] = parser.default
    names, order = _ordered(list(parser.number))
    if order is not None:
        src, dst = order[src], order[dst]
    return EdgeTable(blob.name, src, dst, weight, names, len(parser.number), says_directed=parser.directed)


def _ordered(names: list[str]):
    """(node_ids, new number of each node or None): integer ids sorted, others in document order."""
    if not all(name.isascii() and name.isdigit() and len(name) < 19 and str(int(name)) == name for name in names):
        return np.array(names, dtype=object), None
    ids = np.array([int(name) for name in names], dtype=np.int64)
    order = np.argsort(ids)
    number = np.empty(len(ids), dtype=np.int64)
    number[order] = np.arange(len(ids))
    ids = ids[order]
    return (None if len(ids) and ids[-1] == len(ids) - 1 else ids), number
