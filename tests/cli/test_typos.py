"""A mistyped word gets the word that was meant, in one line, with the design's exit code, before anything is
computed.
"""

from __future__ import annotations

import pytest

from graphkit.cli.main import main

METHODS, OPTIONS, DATA, VALUES = (
    [
        (["embed", "--method", "fastpr", "--dataset", "karate"], "unknown embedder 'fastpr'; did you mean 'fastrp'?"),
        (["train", "ncncc", "--dataset", "karate"], "unknown learner 'ncncc'; did you mean 'ncnc'"),
        (["train", "fastrp", "--dataset", "karate"], "unknown learner 'fastrp'"),
        (["methods", "show", "cleroa"], "unknown method 'cleroa'; did you mean 'cleora'?"),
        (["reproduce", "fastrpp"], "unknown method 'fastrpp'; did you mean 'fastrp'?"),
        (["trian", "ncn"], "unknown command 'trian'; did you mean 'train'?"),
        (["data", "lst"], "did you mean 'list'?"),
        (["data", "xyzzy"], "see: graphkit data --help"),
    ],
    [
        (["embed", "--method", "fastrp", "--dataset", "karate", "--strenght", "0"], "--strength"),
        (["embed", "--metod", "fastrp", "--dataset", "karate"], "--method"),
        (["train", "ncn", "--dataset", "karate", "--hiden-dim", "8"], "--hidden-dim"),
        (["train", "ncn", "--datset", "karate"], "--dataset"),
        (["reproduce", "ncnc", "--clame", "x"], "--claim"),
        (["data", "list", "--avaliable"], "--available"),
    ],
    [
        (
            ["data", "info", "blogcatalogue"],
            "unknown data set 'blogcatalogue', and no such file; did you mean 'blogcatalog'",
        ),
        (["train", "cn", "--dataset", "krate"], "unknown data set 'krate', and no such file; did you mean 'karate'"),
        (["data", "info", "ogbl-did"], "unknown data set 'ogbl-did'"),
        (["train", "cn", "--dataset", "smb:n=10"], "did you mean 'sbm:'"),
        (["train", "cn", "--edges", "nowhere.csv"], "nowhere.csv"),
    ],
    [
        (["train", "ncn", "--dataset", "karate", "--epochs", "-1"], "--epochs is -1, expected a value of at least 0"),
        (
            ["train", "ncn", "--dataset", "karate", "--edge-dropout", "2"],
            "--edge-dropout is 2.0, expected a value between 0 and 0.99",
        ),
        (["train", "ncn", "--dataset", "karate", "--conv", "puregnc"], "'puregcn'"),
        (
            ["train", "ncn", "--dataset", "karate", "--preset", "papr"],
            "--preset is 'papr', expected one of paper, heart, none",
        ),
        (["train", "ncn", "--dataset", "karate", "--seed", "1", "--seeds", "2"], "--seed and --seeds"),
        (["train", "ncn"], "--dataset and --edges: found neither"),
        (["train", "ncn", "--dataset", "karate", "--edges", "x.csv"], "--dataset and --edges: found both"),
        (["embed", "--method", "fastrp", "--dataset", "karate", "--dim", "many"], "'many' is not a valid integer"),
        (["methods", "--kind", "embeder"], "'embedder'"),
    ],
)
CASES = [(words, 2, text) for words, text in METHODS + OPTIONS + VALUES] + [(words, 3, text) for words, text in DATA]


@pytest.mark.parametrize(
    "words, code, message", CASES, ids=lambda part: " ".join(part)[:60] if isinstance(part, list) else ""
)
def test_typo(words, code, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(words)
    found = capsys.readouterr()
    assert stop.value.code == code, found.err
    assert found.out == ""
    lines = found.err.splitlines()
    errors = [line for line in lines if line.startswith("graphkit: error: ")]
    # What is called by its words alone prints its help, and then the error.
    assert errors == lines[-1:] and (len(lines) == 1 or lines[0].startswith("Usage: "))
    assert message in errors[0]
    assert list(tmp_path.iterdir()) == []
