"""A folder of tiny files in the format of every loader, and access to the real ones where they are."""

import gzip
import json
import pickle
from collections import defaultdict

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

N = 30


def ring(n=N):
    """Edges of a ring with a few chords: 0-1, 1-2, ..., and i to i + 7."""
    i = np.arange(n)
    return np.concatenate([np.stack([i, (i + 1) % n], 1), np.stack([i, (i + 7) % n], 1)])


def symmetric(edges, n=N):
    matrix = sp.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(n, n))
    return sp.csr_matrix(((matrix + matrix.T) > 0).astype(np.float32))


def planetoid(root):
    rng = np.random.default_rng(0)
    folder = root / "planetoid-cora"
    folder.mkdir()
    features = sp.csr_matrix((rng.random((N, 6)) < 0.4).astype(np.float32))
    labels = np.eye(3, dtype=np.int32)[np.arange(N) % 3]
    lists = defaultdict(list)
    for u, v in ring():
        lists[int(u)].append(int(v))
        lists[int(v)].append(int(u))
    test = np.array([24, 22, 20, 21, 23, 25, 29, 28, 27, 26])
    parts = {
        "x": features[:6],
        "y": labels[:6],
        "allx": features[:20],
        "ally": labels[:20],
        "tx": features[test],
        "ty": labels[test],
        "graph": lists,
    }
    for name, value in parts.items():
        (folder / f"ind.cora.{name}").write_bytes(pickle.dumps(value, protocol=2))
    (folder / "ind.cora.test.index").write_text("".join(f"{k}\n" for k in test))
    (root / "geom-gcn-splits").mkdir()
    for k in range(10):
        order = np.random.default_rng(k).permutation(N)
        masks = {
            name: np.isin(np.arange(N), part)
            for name, part in zip(("train_mask", "val_mask", "test_mask"), np.split(order, [14, 22]))
        }
        np.savez(root / f"geom-gcn-splits/cora_split_0.6_0.2_{k}.npz", **masks)
    return {"features": features.toarray(), "labels": labels.argmax(1)}


def archives(root):
    rng = np.random.default_rng(1)
    (root / "heterophilous").mkdir()
    masks = np.zeros((3, 10, N), dtype=bool)
    for k in range(10):
        for part, ids in enumerate(np.split(rng.permutation(N), [15, 22])):
            masks[part, k, ids] = True
    np.savez_compressed(
        root / "heterophilous/minesweeper.npz",
        node_features=rng.random((N, 4)).astype(np.float32),
        node_labels=np.arange(N) % 2,
        edges=ring(),
        train_masks=masks[0],
        val_masks=masks[1],
        test_masks=masks[2],
    )
    (root / "graphdata").mkdir()
    attributes = sp.csr_matrix(rng.integers(0, 2, (N, 5)).astype(np.float32))
    np.savez(
        root / "graphdata/acm.npz",
        adj_matrix=np.array(symmetric(ring()), dtype=object),
        node_attr=np.array(attributes, dtype=object),
        node_label=(np.arange(N) % 2 + 1).astype(np.int32),
    )
    return attributes.toarray()


def matlab(root):
    network = sp.csc_matrix(symmetric(ring()).astype(np.float64))
    group = sp.csc_matrix(np.eye(4)[np.arange(N) % 4])
    info = np.tile(
        np.array([[1, 1, 5, 0, 9, 2006, 3], [2, 2, 6, 1, 0, 2007, 4], [1, 0, 5, 1, 9, 2008, 3]]), (N // 3, 1)
    )
    for name, variables in (
        ("blogcatalog/blogcatalog.mat", {"network": network, "group": group}),
        ("seal-links/USAir.mat", {"net": network}),
        ("facebook100/Reed98.mat", {"A": network, "local_info": info.astype(np.uint16)}),
    ):
        (root / name).parent.mkdir()
        scipy.io.savemat(root / name, variables, do_compression=True)


def lines(rows, sep=" "):
    return "".join(sep.join(map(str, row)) + "\n" for row in rows)


def texts(root):
    edges = ring()
    files = {
        "airports/brazil-airports.edgelist": lines(edges),
        "airports/labels-brazil-airports.txt": "node label\n" + lines((k, k % 4) for k in range(N)),
        "ppi-node2vec/PPI.ungraph": lines([*edges, (3, 3)], "\t"),
        "ppi-node2vec/PPI.cmty": lines([range(0, N, 2), range(0, N, 3), range(N)], "\t"),
        "obnb-biogrid/BioGRID.edg": lines([(1000 + u, 1000 + v) for u, v in ring(60)], "\t"),
        "obnb-biogrid/DisGeNet.gmt": lines(
            [("D1", "first", *range(1000, 1060)), ("D2", "small", *range(1000, 1010))], "\t"
        ),
        "ppi-yeast-biogrid/PPI_biogrid_yeast.edgelist": lines([(*edge, "{}") for edge in edges] + [(5, "-", "{}")]),
        "lgc-ca-grqc/ca-GrQc-cc.csv": "Source Target Weight\n" + lines((u, v, 1) for u, v in edges),
        "lgc-minnesota/minnesota.edgelist": lines((u, v, 1) for u, v in edges),
        "lgc-ppi-mips/ppi_mips_ground_truth.csv": lines([("n0", "c:1.0"), ("n1", "c:1.0"), ("n2", "d:0.5")], "\t"),
        "lgc-ppi-mips/ppi_mips.graphml": '<?xml version="1.0" encoding="UTF-8"?>\n<graphml>\n'
        '<key attr.name="weight" attr.type="double" for="edge" id="weight"/><graph id="G" edgedefault="undirected">'
        + "".join(f'<node id="n{k}"/>\n' for k in range(5))
        + "".join(
            f'<edge source="n{k}" target="n{k + 1}"><data key="weight">{k + 0.5}</data></edge>\n' for k in range(4)
        )
        + "</graph></graphml>\n",
        "twitch-explicit/PTBR/musae_PTBR_edges.csv": "from,to\n" + lines(edges, ","),
        "twitch-explicit/PTBR/musae_PTBR_target.csv": "id,days,mature,views,partner,new_id\n"
        + lines(((900 + k, 1, k % 3 == 0, 5, False, N - 1 - k) for k in range(N)), ","),
        "twitch-explicit/PTBR/musae_PTBR_features.json": json.dumps({str(k): [k, 100 + k] for k in range(N)}),
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def graph_sets(root):
    folder = root / "tu-gin/MUTAG"
    (folder / "10fold_idx").mkdir(parents=True)
    triangle, path = "3 {}\n0 2 1 2\n1 2 0 2\n1 2 0 1\n", "3 {}\n0 1 1\n1 2 0 2\n0 1 1\n"
    (folder / "MUTAG.txt").write_text("20\n" + "".join((triangle if k % 2 else path).format(k % 2) for k in range(20)))
    for k in range(10):
        (folder / f"10fold_idx/test_idx-{k + 1}.txt").write_text(f"{2 * k}\n{2 * k + 1}\n")
    folder = root / "tu-raw/ENZYMES"
    folder.mkdir(parents=True)
    base = np.array([[1, 2], [2, 1], [2, 3], [3, 2]])
    files = {
        "A": "".join(f"{u}, {v}\n" for k in range(20) for u, v in base + 3 * k),
        "graph_indicator": "".join(f"{k + 1}\n" * 3 for k in range(20)),
        "graph_labels": "".join(f"{k % 2 + 1}\n" for k in range(20)),
        "node_labels": "".join(f"{k % 3}\n" for k in range(60)),
        "node_attributes": "".join(f" {k}.5, -1.25\n" for k in range(60)),
    }
    for name, text in files.items():
        (folder / f"ENZYMES_{name}.txt").write_text(text)


def gz(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as file:
        file.write(lines(rows, ","))


def legacy_torch(path, value):
    """The form that torch.save had before 1.6: magic number, protocol, system info, then the object."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        for item in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, value):
            pickle.dump(item, file, protocol=2)


def ogb_folders(root):
    import torch

    root_ddi = root / "ogbl_ddi"
    edges = ring()
    gz(root_ddi / "raw/edge.csv.gz", edges)
    gz(root_ddi / "raw/num-node-list.csv.gz", [(N,)])
    gz(root_ddi / "raw/num-edge-list.csv.gz", [(len(edges),)])
    held = {"valid": [[0, 3], [1, 4]], "test": [[2, 5], [3, 6], [4, 8]]}
    for part, pairs in held.items():
        value = {"edge": np.array(pairs), "edge_neg": np.array([[0, 10], [1, 11], [2, 12]])}
        legacy_torch(root_ddi / f"split/target/{part}.pt", value)
    (root_ddi / "RELEASE_v1.txt").write_text("v1\n")
    collab = root / "ogbl_collab"
    gz(collab / "raw/edge.csv.gz", [*edges, edges[0]])  # the same pair in two years
    gz(collab / "raw/num-node-list.csv.gz", [(N,)])
    gz(collab / "raw/num-edge-list.csv.gz", [(len(edges) + 1,)])
    gz(collab / "raw/node-feat.csv.gz", [(k / 10, -k) for k in range(N)])
    gz(collab / "raw/edge_weight.csv.gz", [(k % 3 + 1,) for k in range(len(edges) + 1)])
    gz(collab / "raw/edge_year.csv.gz", [(2000 + k,) for k in range(len(edges) + 1)])
    train = np.concatenate([edges, edges[:1]])
    (collab / "split/time").mkdir(parents=True)
    torch.save(
        {
            "edge": torch.from_numpy(train),
            "weight": torch.arange(len(train)) % 3 + 1,
            "year": torch.arange(len(train)) + 2000,
        },
        collab / "split/time/train.pt",
    )
    for part, pairs in held.items():
        torch.save(
            {
                "edge": np.array(pairs),
                "weight": np.ones(len(pairs), int),
                "year": np.full(len(pairs), 2018),
                "edge_neg": np.array([[0, 10], [1, 11], [2, 12]]),
            },
            collab / f"split/time/{part}.pt",
        )
    arxiv = root / "ogbn_arxiv"
    gz(arxiv / "raw/edge.csv.gz", edges)
    gz(arxiv / "raw/num-node-list.csv.gz", [(N,)])
    gz(arxiv / "raw/num-edge-list.csv.gz", [(len(edges),)])
    gz(arxiv / "raw/node-feat.csv.gz", [(k / 10, -k) for k in range(N)])
    gz(arxiv / "raw/node_year.csv.gz", [(2000 + k,) for k in range(N)])
    gz(arxiv / "raw/node-label.csv.gz", [(k % 3,) for k in range(N)])
    for part, ids in zip(("train", "valid", "test"), np.split(np.arange(N), [18, 24])):
        gz(arxiv / f"split/time/{part}.csv.gz", ids[:, None])


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A data folder with a tiny file for every loader (30 nodes, a ring with chords)."""
    root = tmp_path_factory.mktemp("tiny")
    for write in (planetoid, archives, matlab, texts, graph_sets, ogb_folders):
        write(root)
    return root


@pytest.fixture
def use_tiny(tiny, monkeypatch, tmp_path):
    """Make the tiny folder the only data folder."""
    monkeypatch.setenv("GRAPHKIT_DATA", str(tiny))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tiny


@pytest.fixture
def real(request):
    """Load a real data set, or skip with the reason where its files are not in GRAPHKIT_DATA."""
    from graphkit import datasets
    from graphkit.datasets import catalogue
    from graphkit.datasets.sources import folders

    def load(name, **options):
        missing = [file.path for file in catalogue.entry(name).data_files() if folders.find(file.path) is None]
        if missing:
            pytest.skip(f"GRAPHKIT_DATA lacks {missing[0]} of {name}")
        return datasets.load(name, **options)

    return load
