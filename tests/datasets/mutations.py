"""Damages valid files of every reader and reads them, in a process of its own: ``python mutations.py FIRST COUNT
FOLDER``.

Case k depends on k alone: it takes the reader k modulo their number, changes its file in one to four places (bits,
bytes, pieces cut, doubled, moved or filled, digits and words that claim much) and reads it as the command line does.
Before each case its number goes to FOLDER/case. A line on stdout for a case that raised something else than a DataError
or UsageError, whose message has more than one line, or that took more memory than the budget of :data:`LIMIT` and what
small files take besides, or more time than :data:`SECONDS`.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gzip
import io
import json
import os
import random
import resource
import sys
import warnings
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

LIMIT = 64 << 20
SECONDS = 60.0
ADDRESSES = 6 << 30
N = 40
WORDS = [
    b"99999999999",
    b"-1",
    b"1e308",
    b"nan",
    b"4294967295",
    b"18446744073709551616",
    b"\xff\xfe",
    b"\0",
    b'"',
    b"'",
    b"#",
    b"\n",
    b",",
]


def edges():
    return [(k, (k * 7 + 1) % N) for k in range(N)] + [(k, (k + 1) % N) for k in range(N)]


def text(rows, mark=",", head=None):
    lines = ([head] if head else []) + [mark.join(map(str, row)) for row in rows]
    return ("\n".join(lines) + "\n").encode()


def made(write: Callable) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def matrix():
    import numpy as np
    import scipy.sparse

    src, dst = np.array(edges()).T
    return scipy.sparse.csr_matrix((np.arange(1.0, len(src) + 1), (src, dst)), shape=(N, N))


def dgl_file(folder: Path, many: bool) -> bytes:
    import dgl
    import torch

    src, dst = map(list, zip(*edges()))
    graph = dgl.graph((src + dst, dst + src))
    graph.ndata["feat"], graph.ndata["label"] = torch.ones(N, 3), torch.arange(N) % 3
    labels = {"labels": torch.arange(20) % 2} if many else None
    dgl.save_graphs(str(folder / "made.bin"), [graph] * 20 if many else [graph], labels)
    return (folder / "made.bin").read_bytes()


def graphml() -> bytes:
    parts = [f'<node id="n{k}"/>' for k in range(N)]
    parts += [f'<edge source="n{u}" target="n{v}"><data key="w">{u}.5</data></edge>' for u, v in edges()]
    key = '<key id="w" for="edge" attr.name="weight" attr.type="double"/>'
    graph = f'<graph edgedefault="undirected">{"".join(parts)}</graph>'
    return f'<?xml version="1.0"?>\n<graphml>{key}{graph}</graphml>'.encode()


def table_of(columns) -> bytes:
    import pyarrow
    import pyarrow.parquet

    return made(lambda out: pyarrow.parquet.write_table(pyarrow.table(columns), out))


def own_files(folder: Path) -> dict[str, tuple[str, bytes, dict]]:
    """Name -> (file name, content, what to do with it): a graph by itself, or a file about the nodes of one."""
    import numpy as np
    import scipy.io
    import scipy.sparse

    src, dst = map(list, zip(*edges()))
    pairs = sorted({(min(edge), max(edge)) for edge in edges() if edge[0] != edge[1]})
    ids = [f"n{k}" for k in range(N)]
    named = [(ids[u], ids[v]) for u, v in edges()]
    events = text([(u, v, 1000 + k, 0) for k, (u, v) in enumerate(edges())], head="src,dst,time,label")
    features = np.arange(N * 3.0).reshape(N, 3)
    triples = {
        f"{part}.txt": text([(u, "r", v) for u, v in edges()[k::3]], "\t")
        for k, part in enumerate(("train", "valid", "test"))
    }
    return {
        "csv": ("x.csv", text([(u, v, 0.5) for u, v in edges()], head="src,dst,weight"), {}),
        "names": ("x.csv", text(named), {}),
        "blanks": ("x.edgelist", text(edges(), " "), {}),
        "tsv.gz": ("x.tsv.gz", gzip.compress(text(edges(), "\t")), {}),
        "Parquet": ("x.parquet", table_of({"src": src, "dst": dst}), {}),
        "Parquet of names": ("x.parquet", table_of({"src": [u for u, _ in named], "dst": [v for _, v in named]}), {}),
        "mtx": ("x.mtx", made(lambda out: scipy.io.mmwrite(out, matrix())), {}),
        "npz": ("x.npz", made(lambda out: scipy.sparse.save_npz(out, matrix())), {}),
        "mat": ("x.mat", made(lambda out: scipy.io.savemat(out, {"network": matrix()}, do_compression=False)), {}),
        "mat packed": (
            "x.mat",
            made(lambda out: scipy.io.savemat(out, {"network": matrix()}, do_compression=True)),
            {},
        ),
        "GraphML": ("x.graphml", graphml(), {}),
        "DGL": ("x.bin", dgl_file(folder, False), {}),
        "DGL set": ("x.bin", dgl_file(folder, True), {"task": "graph"}),
        "graph6": ("x.g6", b"DQc\nDRo\nD~{\n" * 9, {"many": True}),
        "events": ("x.csv", events, {"task": "events"}),
        "events in Parquet": (
            "x.parquet",
            table_of({"src": src, "dst": dst, "time": list(range(len(src)))}),
            {"task": "events"},
        ),
        "features npy": ("f.npy", made(lambda out: np.save(out, features)), {"role": "features"}),
        "features npz": ("f.npz", made(lambda out: np.savez_compressed(out, features=features)), {"role": "features"}),
        "features csv": (
            "f.csv",
            text(((k, *row) for k, row in enumerate(features)), head="id,a,b,c"),
            {"role": "features"},
        ),
        "features mat": (
            "f.mat",
            made(lambda out: scipy.io.savemat(out, {"features": features})),
            {"role": "features"},
        ),
        "features Parquet": ("f.parquet", table_of({"id": list(range(N)), "a": features[:, 0]}), {"role": "features"}),
        "labels csv": ("l.csv", text([(k, f"c{k % 3}") for k in range(N)], head="id,label"), {"role": "labels"}),
        "labels npy": ("l.npy", made(lambda out: np.save(out, np.arange(N) % 3)), {"role": "labels"}),
        "labels Parquet": (
            "l.parquet",
            table_of({"id": list(range(N)), "label": [f"c{k % 3}" for k in range(N)]}),
            {"role": "labels"},
        ),
        "node split": (
            "s.csv",
            text([(k, ("train", "valid", "test")[k % 3]) for k in range(N)], head="id,part"),
            {"role": "splits"},
        ),
        "link split": (
            "s.csv",
            text([(*edge, ("valid", "test")[k % 2]) for k, edge in enumerate(pairs[:20])], head="src,dst,part"),
            {"role": "splits", "task": "link"},
        ),
        **{f"triples {name}": (name, content, {"beside": triples}) for name, content in triples.items()},
    }


# Catalogue files, in the form that conftest's tiny data folder has: (data set, task or None, its files).
CATALOGUE = [
    (
        "cora",
        "node",
        [
            "planetoid-cora/ind.cora.graph",
            "planetoid-cora/ind.cora.allx",
            "planetoid-cora/ind.cora.ty",
            "planetoid-cora/ind.cora.test.index",
        ],
    ),
    ("minesweeper", "node", ["heterophilous/minesweeper.npz"]),
    ("acm", None, ["graphdata/acm.npz"]),
    ("blogcatalog", None, ["blogcatalog/blogcatalog.mat"]),
    ("facebook100-reed98", None, ["facebook100/Reed98.mat"]),
    ("ppi-node2vec", None, ["ppi-node2vec/PPI.ungraph", "ppi-node2vec/PPI.cmty"]),
    ("biogrid", None, ["obnb-biogrid/DisGeNet.gmt"]),
    ("lgc-ppi-mips", None, ["lgc-ppi-mips/ppi_mips.graphml"]),
    (
        "twitch-ptbr",
        None,
        ["twitch-explicit/PTBR/musae_PTBR_features.json", "twitch-explicit/PTBR/musae_PTBR_target.csv"],
    ),
    ("mutag", "graph", ["tu-gin/MUTAG/MUTAG.txt"]),
    (
        "enzymes-raw",
        "graph",
        [
            "tu-raw/ENZYMES/ENZYMES_A.txt",
            "tu-raw/ENZYMES/ENZYMES_graph_indicator.txt",
            "tu-raw/ENZYMES/ENZYMES_node_attributes.txt",
        ],
    ),
    (
        "ogbl-ddi",
        "link",
        ["ogbl_ddi/raw/edge.csv.gz", "ogbl_ddi/raw/num-node-list.csv.gz", "ogbl_ddi/split/target/valid.pt"],
    ),
    ("ogbl-collab", "link", ["ogbl_collab/split/time/train.pt", "ogbl_collab/raw/edge_year.csv.gz"]),
    (
        "ogbn-arxiv",
        "node",
        ["ogbn_arxiv/raw/node-feat.csv.gz", "ogbn_arxiv/raw/node-label.csv.gz", "ogbn_arxiv/split/time/test.csv.gz"],
    ),
]


def unpacked_change(content: bytes, generator: random.Random) -> bytes:
    """The content of gzip or zip damaged inside, so that the damage reaches the reader behind; others as they are."""
    if content.startswith(b"\x1f\x8b"):
        return gzip.compress(changed(gzip.decompress(content), generator))
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        chosen = generator.choice(old.namelist())
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, changed(part, generator) if name == chosen else part)
    return out.getvalue()


def changed(content: bytes, generator: random.Random) -> bytes:
    out = bytearray(content)
    for _ in range(generator.choice([1, 1, 1, 1, 2, 4])):
        at, kind = generator.randrange(len(out) + 1), generator.randrange(9)
        if generator.random() < 0.3:
            at = min(at, generator.randrange(200))  # headers
        stop = min(at + generator.choice([1, 2, 4, 8, 64, 1000]), len(out))
        if kind == 0:
            del out[at:]
        elif kind == 1 and at < len(out):
            out[at] ^= 1 << generator.randrange(8)
        elif kind == 2:
            out[at:at] = generator.randbytes(generator.randrange(1, 9))
        elif kind == 3:
            del out[at:stop]
        elif kind == 4:
            out[at:at] = out[at:stop] * generator.randrange(1, 4)
        elif kind == 5:
            out[at:stop] = bytes([generator.choice([0, 255, 127, 128, 48, 57])]) * (stop - at)
        elif kind == 6:
            out[at:stop] = generator.choice(WORDS)
        elif kind == 7:
            digits = [place for place, letter in enumerate(out) if 48 <= letter <= 57]
            if digits:
                place = generator.choice(digits)
                out[place : place + 1] = generator.choice([b"9" * 9, b"-7", b"x", b"", b"2147483648", b"1e99", b"0"])
        else:
            other = generator.randrange(len(out) + 1)
            out[at:stop] = out[other : other + stop - at]
    return bytes(out)


def damaged(content: bytes, generator: random.Random) -> bytes:
    packed = content.startswith((b"\x1f\x8b", b"PK"))
    return unpacked_change(content, generator) if packed and generator.random() < 0.6 else changed(content, generator)


def read_own(folder: Path, name: str, content: bytes, how: dict) -> None:
    from graphkit import datasets
    from graphkit.core.read_options import ReadOptions

    place = folder / "own"
    place.mkdir(exist_ok=True)
    for old in place.iterdir():
        old.unlink()
    for other, whole in how.get("beside", {}).items():
        (place / other).write_bytes(whole)
    (place / name).write_bytes(content)
    if "role" not in how:
        target = place if "beside" in how else place / name
        datasets.load(str(target), task=how.get("task"), many=how.get("many", False))
        return
    (place / "graph.csv").write_bytes(text(edges(), head="src,dst"))
    (place / "y.csv").write_bytes(text([(k, f"c{k % 2}") for k in range(N)], head="id,label"))
    options = {how["role"]: str(place / name)}
    if how["role"] == "splits":
        options["labels"] = str(place / "y.csv")
    task = how.get("task", "node" if how["role"] != "features" else None)
    datasets.load(str(place / "graph.csv"), task=task, read=ReadOptions(**options))


def read_catalogue(folder: Path, tiny: Path, name: str, task: str | None, file: str, content: bytes) -> None:
    from graphkit import datasets

    top = tiny / file.split("/")[0]
    root = folder / "damaged"
    sources = [path for path in top.rglob("*") if path.is_file()]
    for path in sources:
        target = root / path.relative_to(tiny)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if path == tiny / file else path.read_bytes())
    os.environ["GRAPHKIT_DATA"] = f"{root}:{tiny}"
    datasets.load(name, task=task)


def cases(folder: Path, tiny: Path) -> list[tuple[str, bytes, Callable[[bytes], None]]]:
    """(title, valid content, function that reads the content) of every reader."""
    found = []
    for title, (name, content, how) in own_files(folder).items():
        found.append((title, content, lambda content, name=name, how=how: read_own(folder, name, content, how)))
    for name, task, files in CATALOGUE:
        for file in files:
            whole = (tiny / file).read_bytes()
            found.append((file, whole, partial(read_catalogue, folder, tiny, name, task, file)))
    return found


def main(first: int, count: int, folder: Path) -> None:
    import logging

    from graphkit.core.errors import DataError, UsageError
    from graphkit.core.machine import peak_rss_mb
    from graphkit.io import budget

    logging.getLogger("graphkit").addHandler(logging.NullHandler())
    logging.getLogger("graphkit").propagate = False
    warnings.simplefilter("ignore")
    every = cases(folder, folder / "tiny")
    budget.set_limit(LIMIT)
    for title, content, read in every:
        try:
            read(content)
        except Exception as problem:
            print(f"valid file {title}: {type(problem).__name__}: {problem}")
    with open("/proc/self/statm", encoding="ascii") as stream:
        most = int(stream.read().split()[0]) * resource.getpagesize() + ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    before, read_whole = peak_rss_mb(), 0
    for number in range(first, first + count):
        title, content, read = every[number % len(every)]
        (folder / "case").write_text(f"{number} {title}", encoding="utf-8")
        faulthandler.dump_traceback_later(SECONDS, exit=True, file=sys.__stderr__)
        try:
            read(damaged(content, random.Random(number)))
            read_whole += 1
        except (DataError, UsageError) as problem:
            said = str(problem)
            if "\n" in said or len(said) > 2000 or "llocate" in said or "MemoryError" in said:
                print(f"{number} {title}: message {said[:300]!r}")
        except BaseException as problem:
            place = problem.__traceback__
            while place.tb_next is not None:
                place = place.tb_next
            where = f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}"
            print(f"{number} {title}: {type(problem).__name__} {str(problem)[:200]!r} at {where}")
        faulthandler.cancel_dump_traceback_later()
        peak = peak_rss_mb()
        if (peak - before) * 2**20 > 2 * LIMIT:
            print(f"{number} {title}: memory {peak - before:.0f} MiB")
            before = peak
    print(json.dumps({"read": read_whole, "of": count, "readers": len(every), "memory_mib": int(peak - before)}))
    (folder / "case").write_text("done", encoding="utf-8")


if __name__ == "__main__":
    faulthandler.enable()
    with contextlib.redirect_stderr(io.StringIO()):
        main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
