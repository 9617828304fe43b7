"""Options: types, limits, lists, and the precedence of command line, file, preset and default."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from graphkit.core.config import Config, flag_name, option
from graphkit.core.errors import DataError, UsageError


@dataclass(frozen=True)
class Demo(Config):
    dim: int = option(8, "length", min=1, max=64)
    rate: float = option(0.5, "share", min=0, max=1)
    mode: str = option("mean", "pooling", choices=("mean", "sum"))
    weights: tuple[float, ...] = option((0.0, 1.0), "one per power", min=0)
    limit: int | None = option(None, "no limit where absent", min=1)
    normalize: bool = option(True, "scale rows")


def test_values_are_read_from_text_and_numbers():
    demo = Demo.from_mapping({"dim": "16", "weights": "0,0,2.5", "limit": 3, "normalize": False})
    assert (demo.dim, demo.weights, demo.limit, demo.normalize) == (16, (0.0, 0.0, 2.5), 3, False)
    assert Demo.from_mapping(demo.to_dict()) == demo


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dim": 0}, "--dim is 0, expected a value between 1 and 64"),
        ({"dim": 65}, "--dim is 65, expected a value between 1 and 64"),
        ({"dim": 2.5}, "--dim is 2.5, expected an integer"),
        ({"dim": True}, "--dim is True, expected an integer"),
        ({"dim": None}, "--dim is empty, expected an integer"),
        ({"rate": "much"}, "--rate is 'much', expected a number"),
        ({"rate": float("nan")}, "--rate is nan, expected a number"),
        ({"mode": "men"}, "--mode is 'men', expected one of mean, sum; did you mean 'mean'?"),
        ({"weights": "1,x"}, "--weights is 'x', expected a number or several separated by commas"),
        ({"weights": [-1]}, "--weights is -1.0, expected a value of at least 0"),
        ({"limit": 0}, "--limit is 0, expected a value of at least 1"),
        ({"normalize": "yes"}, "--normalize is 'yes', expected true or false"),
        ({"dim": float("inf")}, "--dim is inf, expected an integer"),
        ({"diim": 3}, "demo: unknown option 'diim'; did you mean 'dim'?"),
        ({1: 2}, "demo: unknown option '1'"),
    ],
)
def test_wrong_values_say_what_was_expected(values, message):
    with pytest.raises(UsageError) as caught:
        Demo.from_mapping(values, origin="demo")
    assert str(caught.value) == message


def test_flags_use_dashes():
    @dataclass(frozen=True)
    class Two(Config):
        hidden_dim: int = option(1, "")
        num_layers: int = option(1, "", flag="--layers")

    assert [flag_name(Two.__dataclass_fields__[name]) for name in ("hidden_dim", "num_layers")] == [
        "--hidden-dim",
        "--layers",
    ]


def test_precedence(tmp_path):
    from graphkit.core import registry

    file = tmp_path / "options.yaml"
    published = registry.resolve_config("ncn", "cora")
    default = registry.resolve_config("ncn", "cora", preset=None)
    assert published.hidden_dim == 256 and published.predictor_lr == 0.0024
    assert default.predictor_lr != published.predictor_lr
    file.write_text("hidden_dim: 32\nepochs: 7\n")
    mixed = registry.resolve_config("ncn", "cora", {"epochs": 3}, file)
    assert (mixed.hidden_dim, mixed.epochs, mixed.predictor_lr) == (32, 3, 0.0024)
    # config.yaml of a run folder is a configuration file too
    file.write_text("method: ncn\nconfig: {hidden_dim: 48}\n")
    assert registry.resolve_config("ncn", None, {}, file).hidden_dim == 48
    file.write_text("- 1\n")
    with pytest.raises(DataError, match="found list, expected a mapping"):
        registry.resolve_config("ncn", None, {}, file)
    file.write_text("config: 5\n")
    with pytest.raises(DataError, match="config is 5, expected a mapping of options"):
        registry.resolve_config("ncn", None, {}, file)
    with pytest.raises(UsageError, match="--preset is 'papper'"):
        registry.resolve_config("ncn", "cora", preset="papper")


def test_an_existing_path_becomes_absolute(tmp_path, monkeypatch):
    @dataclass(frozen=True)
    class Named(Config):
        lists: str = option("", "", path=True)
        word: str = option("", "")

    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    found = Named(lists="there", word="there")
    assert found.lists == str(tmp_path / "there") and found.word == "there"
    assert Named(lists="absent").lists == "absent" and Named().lists == ""
