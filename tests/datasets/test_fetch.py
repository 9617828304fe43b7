"""Downloads from a server on this machine: checksum, progress, atomicity, and the message offline."""

import functools
import hashlib
import os
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from graphkit import datasets
from graphkit.core.errors import DataError
from graphkit.datasets import catalogue
from graphkit.datasets.catalogue import DataFile
from graphkit.datasets.sources import fetch, folders, ogb

REAL = os.environ.get("GRAPHKIT_DATA")  # before the fixture below takes it away
UNSEEN = {
    *(
        f"heterophilous/{name}.npz"
        for name in ("actor", "amazon_ratings", "questions", "roman_empire", "squirrel_filtered")
    ),
    "graphdata/amazon_cs.npz",
    "graphdata/coauthor_phy.npz",
}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path):
    (tmp_path / "www").mkdir()
    web = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path / "www")))
    threading.Thread(target=web.serve_forever, daemon=True).start()
    yield tmp_path / "www", f"http://127.0.0.1:{web.server_port}"
    web.shutdown()


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    monkeypatch.delenv("GRAPHKIT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def airports(server, tiny, monkeypatch):
    """The catalogue with the addresses and checksums of the tiny airport files on the server."""
    folder, address = server
    files = {}
    for name in ("brazil-airports.edgelist", "labels-brazil-airports.txt"):
        content = (tiny / "airports" / name).read_bytes()
        (folder / name).write_bytes(content)
        path = f"airports/{name}"
        files[path] = DataFile(path, len(content), hashlib.sha256(content).hexdigest(), f"{address}/{name}")
    monkeypatch.setattr(catalogue, "data_files", lambda: files)
    monkeypatch.setattr(catalogue.Entry, "version", lambda self: "v")
    return folder, files


def test_fetch_then_load(airports):
    seen = []
    paths = fetch.fetch("airports-brazil", lambda *event: seen.append(event))
    assert (
        all(folders.cache_folder() in path.parents for path in paths)
        and datasets.load("airports-brazil").num_nodes == 30
    )
    assert {name for name, _, _ in seen} == {path.name for path in paths} and all(
        done == total for _, done, total in seen
    )
    assert fetch.fetch("airports-brazil") == paths


def test_wrong_checksum_keeps_nothing(airports):
    folder, _ = airports
    (folder / "brazil-airports.edgelist").write_text("0 1\n")
    with pytest.raises(DataError, match=r"expected .* nothing was kept"):
        fetch.fetch("airports-brazil")
    assert not [path for path in folders.cache_folder().rglob("*") if path.is_file()]


def test_a_damaged_local_file_is_named(airports):
    path = fetch.fetch("airports-brazil")[0]
    path.write_text("0 1\n")
    with pytest.raises(DataError, match=r"brazil-airports.edgelist: SHA-256 differs"):
        fetch.fetch("airports-brazil")


def test_offline_says_what_to_put_where(airports, server):
    folder, files = airports
    (folder / "brazil-airports.edgelist").unlink()
    with pytest.raises(DataError) as problem:
        fetch.fetch("airports-brazil")
    target = folders.cache_folder() / "airports/brazil-airports.edgelist"
    said = str(problem.value)
    assert f"put it at {target}" in said and files["airports/brazil-airports.edgelist"].url in said
    assert (
        said.endswith(f"; also missing below {folders.cache_folder()}: airports/labels-brazil-airports.txt")
        and "\n" not in said
    )
    (folders.cache_folder() / "airports").mkdir(parents=True, exist_ok=True)
    (folders.cache_folder() / "airports/labels-brazil-airports.txt").write_text("is here")
    with pytest.raises(DataError) as problem:
        fetch.fetch("airports-brazil")
    assert str(problem.value).endswith(f"put it at {target}")


def test_ogb_zip_is_downloaded_and_unpacked_without_questions(server, tiny, monkeypatch):
    folder, address = server
    with zipfile.ZipFile(folder / "arxiv.zip", "w") as archive:
        for path in (tiny / "ogbn_arxiv").rglob("*"):
            archive.write(path, f"arxiv/{path.relative_to(tiny / 'ogbn_arxiv')}")
    facts = {**ogb.master("ogbn-arxiv"), "url": f"{address}/arxiv.zip"}
    monkeypatch.setattr(ogb, "master", lambda name: facts)
    monkeypatch.setattr(fetch, "master", lambda name: facts)
    (path,) = fetch.fetch("ogbn-arxiv")
    assert path == folders.cache_folder() / "ogbn_arxiv" and sorted(p.name for p in path.parent.iterdir()) == [
        "ogbn_arxiv"
    ]
    assert datasets.load("ogbn-arxiv", task="node").num_nodes == 30


def test_an_ogb_zip_that_is_in_the_cache_is_unpacked_and_kept(tiny, monkeypatch):
    facts = {**ogb.master("ogbn-arxiv"), "url": "http://127.0.0.1:9/none.zip"}
    monkeypatch.setattr(ogb, "master", lambda name: facts)
    monkeypatch.setattr(fetch, "master", lambda name: facts)
    folders.cache_folder().mkdir(parents=True)
    own = folders.cache_folder() / "ogbn_arxiv.zip"
    own.write_bytes(b"PK no zip")
    with pytest.raises(DataError, match=r"ogbn_arxiv\.zip: cannot be unpacked"):
        fetch.fetch("ogbn-arxiv")
    with zipfile.ZipFile(own, "w") as archive:
        for path in (tiny / "ogbn_arxiv").rglob("*"):
            archive.write(path, f"arxiv/{path.relative_to(tiny / 'ogbn_arxiv')}")
    before = own.read_bytes()
    assert fetch.fetch("ogbn-arxiv") == [folders.cache_folder() / "ogbn_arxiv"] and own.read_bytes() == before
    assert datasets.load("ogbn-arxiv", task="node").num_nodes == 30


def test_every_file_of_the_catalogue_has_size_checksum_and_address():
    for entry in catalogue.entries().values():
        needs = not entry.loader.startswith(("sources.bundled", "sources.ogb", "sources.tgb"))
        assert bool(entry.data_files()) or not needs, entry.name
        assert entry.tasks and entry.about and entry.paper and entry.licence and entry.url
        for pattern in entry.files:
            assert any(file.path.startswith(pattern.split("*")[0]) for file in entry.data_files()), pattern
    for file in catalogue.data_files().values():
        assert (len(file.sha256) == 64 and file.size > 0) or (
            file.path in UNSEEN and not file.sha256 and file.size == 0
        )
        assert " " not in file.url
        assert len(file.url.split("/")[5]) == 40  # a commit, not a branch that moves


def test_a_file_without_a_known_checksum_is_taken_as_it_comes(server, monkeypatch):
    folder, address = server
    (folder / "actor.npz").write_bytes(b"what the commit holds")
    path = "heterophilous/actor.npz"
    assert catalogue.data_files()[path].sha256 == ""
    monkeypatch.setattr(catalogue, "data_files", lambda: {path: DataFile(path, 0, "", f"{address}/actor.npz")})
    (found,) = fetch.fetch("actor")
    assert found.read_bytes() == b"what the commit holds" and fetch.fetch("actor") == [found]


@pytest.mark.data
def test_checksums_of_the_real_files(monkeypatch):
    if not REAL:
        pytest.skip("GRAPHKIT_DATA is not set; with it every file of the catalogue that is there is checked")
    monkeypatch.setenv("GRAPHKIT_DATA", REAL)
    for file in catalogue.data_files().values():
        path = folders.find(file.path)
        assert path is None or not file.sha256 or fetch.sha256(path) == file.sha256
