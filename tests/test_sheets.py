"""Every built-in method has all its parts: sheet, citation, presets and claims that fit its options, and a test."""

from __future__ import annotations

import ast
import configparser
import dataclasses
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from graphkit import datasets
from graphkit.claims import sheets as claim_sheets
from graphkit.cli.embed import command as embed_command
from graphkit.cli.methods import markdown_table
from graphkit.cli.options import config_options
from graphkit.cli.train import command as train
from graphkit.core import registry
from graphkit.core.config import Config, field_types, flag_name
from graphkit.core.errors import UsageError
from graphkit.datasets.generators import synthetic
from graphkit.methods.kinds import Analysis, Clusterer, Counter, Embedder
from graphkit.training.learner import Learner, LinkLearner

ROOT = Path(__file__).resolve().parent.parent
SHEETS = [sheet for sheet in registry.sheets() if not sheet.plug_in]
WORDS = [(name, sheet) for sheet in SHEETS for name in sheet.names]
TAKES = {"directed", "weighted", "attributed", "featureless", "inductive", "multi_graph"}
PRESETS = [
    (name, preset, dataset) for name, sheet in WORDS for preset, values in sheet.presets.items() for dataset in values
]
CLAIMS = [(sheet, key) for sheet in SHEETS for key in sheet.claims]


def word_id(part):
    return part if isinstance(part, str) else part.title if isinstance(part, registry.Sheet) else None


def test_every_module_with_a_method_has_a_sheet_and_is_found():
    folder = ROOT / "graphkit" / "methods"
    learners = "EventVectorsLearner|Learner|LinkLearner|Reweighted|StreamLearner|SupervisedLearner"
    bases = f"Analysis|Clusterer|Counter|Embedder|{learners}"
    form = re.compile(rf"^class \w+\(({bases})\)", re.MULTILINE)
    with_method = {path for path in folder.glob("*/*/*.py") if form.search(path.read_text())}
    assert with_method and with_method == {sheet.folder / "method.py" for sheet in SHEETS}
    assert {sheet.folder for sheet in SHEETS} == {path.parent for path in folder.glob("*/*/sheet.yaml")}
    assert {path.name for path in folder.rglob("*.yaml")} <= {"sheet.yaml", "presets.yaml", "claims.yaml"}


@pytest.mark.parametrize("sheet", SHEETS, ids=word_id)
def test_options_lie_apart_and_import_core_alone(sheet):
    name = next(iter(sheet.names))
    assert registry.method(name).Config is registry.config_class(name)
    tree = ast.parse((sheet.folder / "config.py").read_text())
    imported = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    modules = {getattr(node, "module", None) or node.names[0].name for node in imported}
    assert all(module.startswith("graphkit.core.") or module in sys.stdlib_module_names for module in modules), modules


def test_words_belong_to_one_sheet():
    words = [name for name, _ in WORDS]
    assert len(words) == len(set(words))
    assert sorted(words) == [name for name in registry.names() if not registry.sheet(name).plug_in]


@pytest.mark.parametrize("sheet", SHEETS, ids=word_id)
def test_sheet_says_all_it_must(sheet):
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) for name in sheet.names)
    summary = " ".join(sheet.summary.split())
    assert summary[0].isupper() and summary.endswith(".") and 20 <= len(summary) <= 160
    for key in ("title", "authors", "venue"):
        assert str(sheet.paper[key]).strip()
    assert 1900 < int(sheet.paper["year"]) < 2100
    assert all(str(sheet.paper[key]).startswith("https://") for key in ("url", "code") if key in sheet.paper)
    assert "url" in sheet.paper
    assert set(sheet.takes) == TAKES and all(isinstance(value, bool) for value in sheet.takes.values())
    assert sheet.result in ("exact", "random") and sheet.memory
    assert (sheet.task in ("node", "link", "graph", "labels", "events")) == ("learner" in sheet.kinds)


@pytest.mark.parametrize("name, sheet", WORDS, ids=word_id)
def test_class_fits_its_sheet(name, sheet):
    method = registry.method(name)
    kinds = {"analysis": Analysis, "clusterer": Clusterer, "counter": Counter, "embedder": Embedder}
    kinds["learner"] = LinkLearner if sheet.task == "link" else Learner
    assert issubclass(method, kinds[sheet.kinds[0]]) and issubclass(method.Config, Config)
    assert inspect.getdoc(method) != inspect.getdoc(kinds[sheet.kinds[0]]), "the class needs a docstring of its own"
    for key, value in registry.resolve_config(name, preset=None).to_dict().items():
        fixed = sheet.names[name] or {}
        assert value == fixed.get(key, value)


@pytest.mark.parametrize("name, sheet", WORDS, ids=word_id)
def test_options_do_not_collide_with_the_common_ones(name, sheet):
    own = [flag for made in config_options(registry.method(name).Config) for flag in (*made.opts, *made.secondary_opts)]
    every = (
        train.verb.command(name).params
        if "learner" in sheet.kinds
        else [*config_options(registry.method(name).Config), *embed_command.params]
    )
    flags = [flag for param in every for flag in (*param.opts, *param.secondary_opts)] + [
        "--help",
        "-h",
        "-q",
        "-v",
        "--quiet",
    ]
    assert set(own) <= set(flags)
    assert sorted(flags) == sorted(set(flags))


@pytest.mark.parametrize("name, sheet", WORDS, ids=word_id)
def test_every_option_says_what_it_means(name, sheet):
    for item in dataclasses.fields(registry.method(name).Config):
        text = item.metadata["help"]
        assert len(text) > 8 and not text.endswith("."), f"{flag_name(item)}: {text!r}"


def test_an_option_has_one_type_in_all_methods():
    seen = {}
    for name, _ in WORDS:
        config = registry.method(name).Config
        for item in dataclasses.fields(config):
            scalar, many, _ = field_types(config)[item.name]
            known = seen.setdefault(item.name, (scalar, many, name))
            assert known[:2] == (scalar, many), f"{flag_name(item)} of {name} and of {known[2]} differ"


@pytest.mark.parametrize("name, preset, dataset", PRESETS, ids=str)
def test_preset_makes_a_config_of_a_known_data_set(name, preset, dataset):
    sheet = registry.sheet(name)
    assert dataset in datasets.names() or dataset in synthetic.GENERATORS
    if sheet.leaves_out(name, preset, dataset):
        with pytest.raises(UsageError, match=f"--preset {preset} has no published options of {name} on {dataset}"):
            registry.resolve_config(name, dataset, preset=preset)
        return
    config = registry.resolve_config(name, dataset, preset=preset).to_dict()
    for key, value in {**sheet.preset(name, preset, dataset), **(sheet.names[name] or {})}.items():
        assert config[key] == (list(value) if isinstance(value, (list, tuple)) else value)
    unknown = set((sheet.presets[preset][dataset] or {}).get("only", {})) - set(sheet.names)
    assert not unknown, f"only: {unknown} are no words of the sheet"


@pytest.mark.parametrize("sheet, key", CLAIMS, ids=word_id)
def test_claim_can_be_run(sheet, key):
    claim = sheet.claims[key]
    claim_sheets.check(f"{sheet.title}/claims.yaml: claim {key}", claim)
    assert claim["paper"], "the paper's figure, or why there is none: {from: ...}"
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", key)
    if claim.get("smoke"):
        assert claim_sheets.seconds(claim["budget"]) <= 60


def test_methods_that_are_no_baselines_have_a_smoke_claim_and_a_full_one():
    for name in ("fastrp", "ncnc"):
        smoke = [bool(claim.get("smoke")) for claim in registry.sheet(name).claims.values()]
        assert any(smoke) and not all(smoke), name


@pytest.mark.parametrize("sheet", SHEETS, ids=word_id)
def test_method_has_a_test(sheet):
    folder = ROOT / "tests" / "methods" / sheet.family
    text = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("test_*.py"))
    assert re.search(rf"\b{sheet.class_name}\b|[\"']({'|'.join(map(re.escape, sheet.names))})[\"']", text), (
        f"no test in {folder} names it"
    )


def test_families_are_installed():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert all((folder / "__init__.py").exists() for sheet in SHEETS for folder in (sheet.folder, sheet.folder.parent))
    assert "*.yaml" in setup["options.package_data"]["*"]


def test_table_of_methods_in_the_documentation_is_fresh():
    done = subprocess.run(
        [sys.executable, "-m", "graphkit.cli.main", "methods", "--markdown"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    assert done.stdout == page, "docs/methods.md is stale; run: graphkit methods --markdown > docs/methods.md"
    assert all(f"`{name}`" in page for name, _ in WORDS)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert markdown_table() in readme, (
        "the README's table of methods is stale; it is the first table of docs/methods.md"
    )
