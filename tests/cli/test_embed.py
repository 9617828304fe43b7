"""graphkit embed as its user meets it: real processes, pipes, files, exit codes."""

import json
import subprocess
import sys

import numpy as np
import pytest
from served import graphkit

EDGES = "src,dst\nann,bob\nbob,cy\ncy,ann\ncy,dan\n"
OPTIONS = ["--method", "fastrp", "--dim", "4", "--weights", "0,1,1"]


def test_pipe_in_tsv_out_with_the_users_ids():
    done = graphkit("embed", *OPTIONS, "--edges", "-", "-o", "-", stdin=EDGES)
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert lines[0] == ["id", "dim_0", "dim_1", "dim_2", "dim_3"]
    assert sorted(line[0] for line in lines[1:]) == ["ann", "bob", "cy", "dan"]
    assert done.stderr.splitlines()[-1].startswith("fastrp on stdin: 4 nodes, 4 dimensions")


def test_the_width_of_powers_side_by_side_is_said():
    done = graphkit("embed", "--method", "fastrp", "--dim", "16", "--edges", "-", "-o", "-", stdin=EDGES)
    assert done.returncode == 0 and len(done.stdout.splitlines()[0].split("\t")) == 65
    lines = done.stderr.splitlines()
    assert any(
        line.endswith("without --weights its 4 powers of 16 dimensions stand side by side: 64 columns")
        for line in lines
    )
    assert lines[-1].startswith("fastrp on stdin: 4 nodes, 64 dimensions")


def test_stops_cleanly_when_the_reader_goes_away():
    # Far more output than a pipe holds.
    command = (
        f"{sys.executable} -m graphkit.cli.main embed {' '.join(OPTIONS)} --dataset sbm:n=20000,k=4 -o - | head -n 2"
    )
    script = f"set -o pipefail; {command}; echo status ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines()[0].startswith("id\tdim_0")
    assert done.stdout.splitlines()[-1] == "status 0"
    assert "Traceback" not in done.stderr and "rror" not in done.stderr


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (("--dataset", "karate", "--labels", "nothere", "--columns", "5,6"), "--columns, --labels: found with karate"),
        (
            ("--dataset", "barabasi:n=50,m=2", "--directed", "--self-loops", "keep"),
            "--directed, --self-loops: found with barabasi",
        ),
    ],
)
def test_options_of_reading_are_refused_for_data_of_the_catalogue(tmp_path, words, flags):
    done = graphkit("embed", *OPTIONS, *words, "-o", tmp_path / "v.npy")
    assert done.returncode == 2 and flags in done.stderr and done.stderr.count("\n") == 1


def test_json_and_run_folder(tmp_path):
    out, run = tmp_path / "v.npy", tmp_path / "run"
    done = graphkit("embed", *OPTIONS, "--dataset", "karate", "-o", out, "--json", "--out", run, "--seed", 3)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    expected = {"method": "fastrp", "dataset": "karate", "seeds": [3], "nodes": 34, "dim": 4, "edges": 156}
    assert {key: result[key] for key in expected} == expected
    assert result["config"]["weights"] == [0, 1, 1] and result["seconds"] > 0 and result["peak_rss_mb"] > 0
    assert np.load(out).shape == (34, 4)
    assert json.loads((run / "result.json").read_text())["dataset_checksum"]
    again = graphkit("embed", *OPTIONS, "--dataset", "karate", "-o", tmp_path / "w.npy", "--seed", 3)
    assert again.returncode == 0
    np.testing.assert_array_equal(np.load(tmp_path / "w.npy"), np.load(out))


def test_memory_limit_writes_the_same_file(tmp_path):
    options = ["--method", "fastrp", "--dim", 160, "--weights", "0,1,1", "--dataset", "barabasi:n=2000,m=3"]
    plain = graphkit("embed", *options, "-o", tmp_path / "a.npy")
    limited = graphkit("embed", *options, "-o", tmp_path / "b.npy", "--memory-limit", "2.5MB")
    assert plain.returncode == limited.returncode == 0, plain.stderr + limited.stderr
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_help_lists_methods_and_a_methods_options():
    listed = graphkit("embed", "--help").stdout
    for name in ("fastrp", "cleora", "randne", "spectral", "deepwalk", "node2vec"):
        assert name in listed
    own = graphkit("embed", "--method", "fastrp", "--help").stdout
    for flag in (
        "--dim",
        "--weights",
        "--strength",
        "--projection",
        "--s ",
        "--no-normalize",
        "--no-standardize",
        "--variant",
        "--self-influence",
        "--property-ratio",
        "--tune",
        "--tune-objective",
        "--memory-limit",
    ):
        assert flag in own
    own = " ".join(own.split())
    assert "Very Sparse Random Projection" in own and "blogcatalog" in own
    assert "--iterations" in graphkit("embed", "--method=cleora", "--help").stdout


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom graphkit.cli.main import main\ntry: main(['embed', '--method', 'fastrp', '--help'])\nexcept"
        " SystemExit: pass\nprint(sorted({'numpy', 'torch', 'dgl', 'numba', 'scipy', 'pandas', 'pyarrow'} &"
        " set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    "words, code, message",
    [
        (["--method", "fastrpp", "--dataset", "karate"], 2, "unknown embedder 'fastrpp'; did you mean 'fastrp'?"),
        (["--dataset", "karate"], 2, "Missing option '--method'"),
        (["--method", "fastrp", "--dataset", "karate", "--dim", "0"], 2, "--dim is 0, expected a value of at least 1"),
        (["--method", "fastrp", "--dataset", "karate", "--weights", "a,b"], 2, "--weights is 'a', expected a number"),
        (
            ["--method", "fastrp", "--dataset", "karate", "-o", "v.foo"],
            2,
            "found the ending '.foo', expected one of .npy",
        ),
        (["--method", "fastrp", "--dataset", "karate", "--json"], 2, "both write to stdout"),
        (["--method", "fastrp"], 2, "--dataset and --edges: found neither"),
        (["--method", "fastrp", "--edges", "/no/such/file.csv"], 3, "/no/such/file.csv"),
    ],
)
def test_errors_are_one_line_with_their_exit_code(words, code, message):
    done = graphkit("embed", *words)
    assert done.returncode == code
    assert message in done.stderr and len(done.stderr.strip().splitlines()) == 1 and not done.stdout
