"""Another graph is read as the run's own was: directions, columns, ids, features by name; options that are given
win.
"""

from __future__ import annotations

import numpy as np
import pytest

from graphkit.cli.main import main

N = 30
FEATURES = np.random.default_rng(0).normal(size=(N, 3)).round(4)
EDGES = [(int(u), int(v)) for u, v in np.random.default_rng(1).integers(0, N, (120, 2)) if u != v]


def write(folder, name, head, rows, separator=","):
    lines = [separator.join(map(str, row)) for row in ([head] if head else []) + rows]
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    edges = [(k, f"p{v}", f"p{u}", 7) for k, (u, v) in enumerate(EDGES)]  # the target stands before the source
    write(folder, "g.csv", ("row", "to", "from", "time"), edges)
    write(folder, "turned.csv", ("row", "from", "to"), [(k, f"p{u}", f"p{v}") for k, (u, v) in enumerate(EDGES)])
    rows = [(f"p{k}", *FEATURES[k].tolist()) for k in range(N)]
    write(folder, "x.csv", ("account", "a", "b", "c"), rows)
    write(folder, "shuffled.csv", ("c", "account", "a", "b"), [(c, node, a, b) for node, a, b, c in rows[::-1]])
    write(folder, "other-names.csv", ("id", "x", "y", "z"), rows)
    write(folder, "y.csv", ("account", "class"), [(f"p{k}", "odd" if k % 2 else "even") for k in range(N)])
    words = [
        "train",
        "sage",
        "--edges",
        "g.csv",
        "--columns",
        "from,to",
        "--directed",
        "--features",
        "x.csv",
        "--labels",
        "y.csv",
    ]
    words = [str(folder / word) if word.endswith(".csv") else word for word in words]
    with pytest.raises(SystemExit) as stop:
        main(
            [
                *words,
                "--id-column",
                "account",
                "--epochs",
                "15",
                "--hidden-dim",
                "8",
                "--out",
                str(folder / "run"),
                "-q",
            ]
        )
    assert stop.value.code == 0
    return folder


def table(text):
    return {
        row[0]: (row[1], [float(p) for p in row[2:]]) for row in (line.split("\t") for line in text.splitlines()[1:])
    }


def same(found, expected):
    return set(found) == set(expected) and all(
        found[node][1] == pytest.approx(expected[node][1], abs=1e-5) for node in expected
    )


def test_the_same_files_give_the_same_labels(command, folder):
    """At the commit before, --directed and --columns were forgotten: other edges, other labels."""
    code, out, err = command("predict", folder / "run")
    assert code == 0, err
    own = table(out)
    code, out, err = command("predict", folder / "run", "--graph", folder / "g.csv", "--features", folder / "x.csv")
    assert code == 0 and same(table(out), own), err
    assert "g.csv: read as the graph of" in err and "--columns from,to --directed" in err
    code, out, err = command(
        "predict", folder / "run", "--graph", folder / "turned.csv", "--features", folder / "x.csv"
    )
    assert code == 0 and same(table(out), own), err


def test_options_that_are_given_win_and_are_told(command, folder):
    own = table(command("predict", folder / "run")[1])
    words = ("predict", folder / "run", "--graph", folder / "g.csv", "--features", folder / "x.csv")
    code, out, err = command(*words, "--undirected")
    assert code == 0, err
    assert not same(table(out), own)
    assert "read with --undirected, the graph of" in err and "run with --directed" in err
    code, out, err = command(*words, "--columns", "to,from")
    assert code == 0 and not same(table(out), own) and "read with --columns to,from" in err


def test_a_graph_of_another_kind_is_refused(command, folder):
    code, out, err = command("predict", folder / "run", "--dataset", "karate")
    assert code == 3 and out == ""
    assert "karate: is undirected, expected a graph that is directed, as that of" in err


def test_columns_of_the_run_that_the_file_lacks_are_named_as_such(command, folder, tmp_path):
    path = write(tmp_path, "g.csv", ("a", "b"), [(f"p{u}", f"p{v}") for u, v in EDGES])
    code, _, err = command("predict", folder / "run", "--graph", path, "--features", folder / "x.csv")
    assert (
        code == 3
        and "--columns 'from': no such column" in err
        and "--columns is the run's, give it for this graph" in err
    )
    code, out, err = command(
        "predict", folder / "run", "--graph", path, "--features", folder / "x.csv", "--columns", "a,b"
    )
    assert code == 0 and same(table(out), table(command("predict", folder / "run")[1])), err


def test_features_go_by_their_names(command, folder):
    own = table(command("predict", folder / "run")[1])
    code, out, err = command(
        "predict", folder / "run", "--graph", folder / "g.csv", "--features", folder / "shuffled.csv"
    )
    assert code == 0 and same(table(out), own), err
    assert "its columns of features are taken by their names, which stand in another order" in err
    code, out, err = command(
        "predict", folder / "run", "--graph", folder / "g.csv", "--features", folder / "other-names.csv"
    )
    assert code == 0 and same(table(out), own), err
    assert "its features have other names than in training ('x' for 'a'): taken by order" in err
    code, _, err = command(
        "predict", folder / "run", "--graph", folder / "g.csv", "--features", folder / "shuffled.csv", "--strict"
    )
    assert code == 3 and "refused by --strict" in err
