"""Files that commands write: their mode, and what is said where they cannot be written."""

from __future__ import annotations

import os
import resource
import stat

import pytest

EMBED = ("embed", "--method", "randne", "--dataset", "digits", "--dim", "16")
LONG = "x" * 300
# Words of commands whose outputs are far larger than LIMIT; OUT is the file or folder, with the ending after it.
WRITERS = [
    *[(*EMBED, "-o", f"OUT.{ending}") for ending in ("npy", "npz", "parquet", "tsv", "txt")],
    (*EMBED, "--out", "OUT"),
    *[
        ("data", "convert", "digits", f"OUT.{ending}")
        for ending in ("csv", "mtx", "npz", "graphml", "bin", "parquet", "csv.gz", "graph")
    ],
    *[("encode", "--pe", "rwse:16", "--dataset", "digits", "-o", f"OUT.{ending}") for ending in ("npz", "tsv")],
    *[("count", "orbits", "--dataset", "digits", "-o", f"OUT.{ending}") for ending in ("tsv", "csv", "parquet")],
    *[
        ("count", "orbit-adjacency", "--dataset", "digits", "--orbits", "1:4-5", "--format", kind, "-o", "OUT")
        for kind in ("npz", "mtx", "tsv", "parquet")
    ],
    ("train", "largegt", "--prepare-only", "--dataset", "digits", "--k", "8", "--out", "OUT"),
    (
        "train",
        "lagnn",
        "--generator-only",
        "--dataset",
        "digits",
        "--select",
        "none",
        "--generator-steps",
        "2",
        "--out",
        "OUT",
    ),
    ("train", "gcn", "--dataset", "digits", "--epochs", "2", "--out", "OUT"),
    ("train", "cn", "--dataset", "python-imports", "--save-predictions", "--out", "OUT"),
]
LIMIT = 3000


def with_target(words, target):
    return [word.replace("OUT", str(target)) if word.startswith("OUT") else word for word in words]


def name_of(words):
    return "-".join(
        [*words[:2], *(word.strip("OUT.") for word in words[-1:]), *(words[-3:-2] if "--format" in words else ())]
    )


@pytest.fixture
def limit():
    """A function that lets no file of this process grow beyond a size: what a full disk is to a writer, without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("words", WRITERS, ids=name_of)
def test_full_disk_is_one_line_and_leaves_nothing_half_written(tmp_path, command, limit, words):
    """And without the limit the same files are there, with the mode that the umask gives."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    umask = os.umask(0o027)
    try:
        assert command(*with_target(words, whole / "out"))[0] == 0
    finally:
        os.umask(umask)
    expected = files_below(whole)
    large = [name for name in expected if (whole / name).stat().st_size > LIMIT]
    assert large, {name: (whole / name).stat().st_size for name in expected}
    modes = {name: stat.S_IMODE((whole / name).stat().st_mode) for name in expected}
    assert modes == dict.fromkeys(expected, 0o640)
    limit(LIMIT)
    code, out, err = command(*with_target(words, cut / "out"))
    limit(resource.RLIM_INFINITY)
    lines = [line for line in err.splitlines() if "error" in line]
    assert code == 1 and out == "" and len(lines) == 1 and lines[0].endswith("cannot be written: File too large"), err
    left = files_below(cut)
    unfinished = {"out/partial.json"} if words[0] == "train" else set()  # what --resume goes on from
    assert set(left) - unfinished <= set(expected) - set(large), left
    assert all((cut / name).stat().st_size <= LIMIT for name in left)


@pytest.mark.parametrize("ending", ["csv", "mtx", "npz", "graphml", "bin", "parquet", "csv.gz"])
def test_full_device_is_one_line(tmp_path, command, ending):
    """DGL's writer says so by an error of its own, and the device is no file that has a temporary one beside it."""
    (tmp_path / f"full.{ending}").symlink_to("/dev/full")
    code, out, err = command("data", "convert", "karate", tmp_path / f"full.{ending}")
    assert (
        (code, out) == (1, "")
        and len(err.splitlines()) == 1
        and err.endswith("cannot be written: No space left on device\n")
    ), err


@pytest.mark.parametrize("words", WRITERS, ids=name_of)
def test_name_that_is_too_long_is_wrong_usage(tmp_path, command, words):
    code, out, err = command(*with_target(words, tmp_path / LONG))
    assert code == 2 and out == "" and len(err.splitlines()) == 1 and "File name too long" in err and len(err) < 400, (
        err
    )
    assert not files_below(tmp_path)


@pytest.mark.parametrize(
    "words", [*WRITERS[:6:5], WRITERS[12], ("train", "cn", "--dataset", "karate", "--out", "OUT")], ids=name_of
)
def test_file_in_place_of_a_folder_is_wrong_usage(tmp_path, command, words):
    (tmp_path / "file").write_text("mine")
    code, _, err = command(*with_target(words, tmp_path / "file" / "out"))
    assert code == 2 and len(err.splitlines()) == 1 and "Not a directory" in err, err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write anywhere")
@pytest.mark.parametrize("words", WRITERS[:6], ids=name_of)
def test_folder_without_permission_is_wrong_usage(tmp_path, command, words):
    tmp_path.chmod(0o500)
    code, _, err = command(*with_target(words, tmp_path / "out"))
    assert code == 2 and len(err.splitlines()) == 1 and "Permission denied" in err, err


@pytest.mark.parametrize(
    "words",
    [
        ("train", "cn", "--edges"),
        ("data", "info"),
        ("runs", "show"),
        ("predict",),
        ("evaluate", "embedding", "--dataset", "karate"),
        ("train", "cn", "--dataset", "karate", "--splits"),
        ("train", "gcn", "--dataset", "karate", "--config"),
    ],
    ids=lambda words: " ".join(words),
)
def test_long_name_of_an_input_is_one_line(command, words):
    code, _, err = command(*words, LONG)
    assert code in (2, 3) and len(err.splitlines()) == 1 and "internal" not in err, err


def test_changed_and_not_finite_models_are_refused(tmp_path, command):
    from safetensors.torch import load_file, save_file

    run, model = tmp_path / "run", tmp_path / "run" / "model.safetensors"
    assert command("train", "gcn", "--dataset", "karate", "--epochs", "2", "--out", run)[0] == 0
    code, expected, err = command("predict", run)
    assert (code, err) == (0, "")
    data = bytearray(model.read_bytes())
    data[-1] ^= 1  # one bit of one weight
    model.write_bytes(data)
    code, out, err = command("predict", run)
    assert (code, out) == (3, "") and len(err.splitlines()) == 1 and "checksum differs" in err and str(model) in err
    # A run of before has no checksum: it is taken as it is, with a line, and its weights must be finite all the same.
    import json

    data[-1] ^= 1
    model.write_bytes(data)
    result = json.loads((run / "result.json").read_text())
    del result["models"]
    (run / "result.json").write_text(json.dumps(result))
    code, out, err = command("predict", run)
    assert (code, out) == (0, expected) and len(err.splitlines()) == 1 and "no checksum" in err
    assert command("--strict", "predict", run)[0] == 3
    state = load_file(model)
    first = next(iter(state))
    state[first].view(-1)[0] = float("nan")
    save_file(state, model)
    code, out, err = command("predict", run)
    assert (code, out) == (3, "") and "not finite" in err.splitlines()[-1] and first in err


def test_generator_of_numbers_that_are_not_finite_is_refused(tmp_path, command):
    from graphkit.methods.node.lagnn.cvae import CVAE, save_generator

    model = CVAE(64, hidden=3, latent=2)
    next(model.parameters()).data.fill_(float("inf"))
    save_generator(tmp_path / "g.safetensors", model)
    code, _, err = command(
        "train",
        "lagcn",
        "--dataset",
        "digits",
        "--generator",
        tmp_path / "g.safetensors",
        "--epochs",
        "1",
        "--generator-hidden",
        "3",
        "--latent-dim",
        "2",
        "--out",
        tmp_path / "run",
    )
    assert code == 3 and "not finite" in err and not (tmp_path / "run").exists()
