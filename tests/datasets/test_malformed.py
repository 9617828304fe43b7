"""Damaged copies of small files: every loader gives a graph or one line, and takes no memory that is not there."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from graphkit import datasets
from graphkit.core.errors import DataError
from graphkit.core.machine import peak_rss_mb

FILES = {
    "cora": [
        "planetoid-cora/ind.cora.graph",
        "planetoid-cora/ind.cora.allx",
        "planetoid-cora/ind.cora.ty",
        "planetoid-cora/ind.cora.test.index",
        "geom-gcn-splits/cora_split_0.6_0.2_0.npz",
    ],
    "minesweeper": ["heterophilous/minesweeper.npz"],
    "acm": ["graphdata/acm.npz"],
    "blogcatalog": ["blogcatalog/blogcatalog.mat"],
    "usair": ["seal-links/USAir.mat"],
    "facebook100-reed98": ["facebook100/Reed98.mat"],
    "airports-brazil": ["airports/brazil-airports.edgelist", "airports/labels-brazil-airports.txt"],
    "ppi-node2vec": ["ppi-node2vec/PPI.ungraph", "ppi-node2vec/PPI.cmty"],
    "biogrid": ["obnb-biogrid/BioGRID.edg", "obnb-biogrid/DisGeNet.gmt"],
    "ppi-yeast": ["ppi-yeast-biogrid/PPI_biogrid_yeast.edgelist"],
    "lgc-ppi-mips": ["lgc-ppi-mips/ppi_mips.graphml", "lgc-ppi-mips/ppi_mips_ground_truth.csv"],
    "twitch-ptbr": [f"twitch-explicit/PTBR/musae_PTBR_{part}" for part in ("edges.csv", "features.json", "target.csv")],
    "mutag": ["tu-gin/MUTAG/MUTAG.txt", "tu-gin/MUTAG/10fold_idx/test_idx-3.txt"],
    "enzymes-raw": [
        f"tu-raw/ENZYMES/ENZYMES_{part}.txt"
        for part in ("A", "graph_indicator", "graph_labels", "node_labels", "node_attributes")
    ],
    "ogbl-ddi": ["ogbl_ddi/raw/edge.csv.gz", "ogbl_ddi/raw/num-node-list.csv.gz", "ogbl_ddi/split/target/valid.pt"],
    "ogbl-collab": [
        "ogbl_collab/raw/edge_year.csv.gz",
        "ogbl_collab/split/time/train.pt",
        "ogbl_collab/split/time/test.pt",
    ],
    "ogbn-arxiv": [
        "ogbn_arxiv/raw/node-label.csv.gz",
        "ogbn_arxiv/raw/node-feat.csv.gz",
        "ogbn_arxiv/split/time/test.csv.gz",
    ],
}
CASES = [(name, file) for name, files in FILES.items() for file in files]


@st.composite
def damage(draw):
    """A change of some bytes: cut, flip bits, insert, delete a piece, or all of it gone."""
    kind = draw(st.sampled_from(["cut", "flip", "flip", "insert", "delete", "digit"]))
    places = draw(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=4))
    return kind, places, draw(st.binary(min_size=1, max_size=6)), draw(st.integers(0, 7))


def damaged(content, change):
    kind, places, new, bit = change
    out = bytearray(content)
    for place in places:
        at = int(place * len(out))
        if kind == "cut":
            return bytes(out[:at])
        if kind == "flip" and out:
            out[at] ^= 1 << bit
        elif kind == "insert":
            out[at:at] = new
        elif kind == "delete":
            del out[at : at + 1 + 3 * bit]
        elif kind == "digit":
            out[at : at + 1] = b"9" * (1 + bit)
    return bytes(out)


@pytest.mark.parametrize(("name", "file"), CASES)
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(change=damage())
@example(change=("cut", [0.0], b"x", 0))
@example(change=("cut", [0.5], b"x", 0))
def test_damaged_files_give_a_graph_or_one_line(tiny, tmp_path, monkeypatch, name, file, change):
    root = tmp_path / "damaged"
    # OGB folders are read as one; elsewhere the damaged file alone goes before the whole ones.
    folder = file.split("/")[0] if name.startswith("ogb") else None
    copies = [path for path in (tiny / folder).rglob("*") if path.is_file()] if folder else [tiny / file]
    for path in copies:
        target = root / path.relative_to(tiny)
        target.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes()
        target.write_bytes(damaged(content, change) if path == tiny / file else content)
    monkeypatch.setenv("GRAPHKIT_DATA", f"{root}:{tiny}")
    task = {"mutag": "graph", "enzymes-raw": "graph"}.get(name, "link" if name.startswith("ogbl") else "node")
    split = "geom-gcn-0" if "geom" in file else None
    before = peak_rss_mb()
    try:
        dataset = datasets.load(name, task=task if name not in ("usair", "ppi-yeast") else None, split=split)
        assert dataset.num_nodes < 10**6
    except DataError as problem:
        assert "\n" not in str(problem) and len(str(problem)) < 1000
    assert peak_rss_mb() - before < 400


LIES = {
    "airports/brazil-airports.edgelist": ("airports-brazil", "0 1\n2 x\n", "row 1"),
    "airports/labels-brazil-airports.txt": ("airports-brazil", "node label\n0 99999999999\n", "class numbers"),
    "ppi-node2vec/PPI.cmty": ("ppi-node2vec", "1 2\n3 four\n", "line 2"),
    "tu-gin/MUTAG/MUTAG.txt": ("mutag", "2\n1 0\n0 0\n3 1\n0 1 1\n", "truncated in graph 1 of 2"),
    "tu-raw/ENZYMES/ENZYMES_A.txt": ("enzymes-raw", "1, 2\n1, 4\n", "an edge between two graphs"),
    "twitch-explicit/PTBR/musae_PTBR_edges.csv": ("twitch-ptbr", "from,to\n0,77\n", "found node id 77, expected 0..29"),
    "planetoid-cora/ind.cora.test.index": ("cora", "3\n-1\n", "found node id -1, expected 0..29"),
    "tu-raw/ENZYMES/ENZYMES_node_attributes.txt": ("enzymes-raw", "nan, 1\n" * 60, "NaN or infinite"),
}


@pytest.mark.parametrize("file", LIES)
def test_lies_are_named(tiny, tmp_path, monkeypatch, file):
    name, content, message = LIES[file]
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(content)
    monkeypatch.setenv("GRAPHKIT_DATA", f"{tmp_path}:{tiny}")
    with pytest.raises(DataError) as problem:
        datasets.load(name)
    assert message in str(problem.value) and file.rpartition("/")[2] in str(problem.value)
