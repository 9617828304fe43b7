"""The same commands on two installations of graphkit, and whether their results are equal.

    python benchmarks/same_results.py OLD/bin/graphkit NEW/bin/graphkit [--only NAME] [--data FOLDER]

Each case is a row of commands that run in a fresh folder, on one thread, once for each installation. What they write to
stdout and into the folder is compared byte for byte; of what differs from one run to the next by nature (times, memory,
versions, the command line, paths) the lines and keys named below are left out first. Where a command has another name
in the new installation, the case gives both. Prints a line for each case; exit code 1 where results differ.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EDGES = "".join(
    f"{a},{b}\n"
    for a, b in sorted({(f"p{u:02}", f"p{(u * step + 3) % 41:02}") for u in range(41) for step in (1, 2, 5)})
)
EVENTS = "u,i,ts\n" + "".join(f"a{k * 7 % 13},b{k * k % 17},{k * 3}\n" for k in range(400))
FILES = {
    "edges.csv": "from,to\n" + EDGES,
    "events.csv": EVENTS,
    "class.csv": "id,class\n" + "".join(f"p{u:02},{'red' if u < 20 else 'blue'}\n" for u in range(41)),
    "pairs.tsv": "p00\tp05\np07\tp31\np40\tp02\n",
}
LEFT_OUT = re.compile(
    r"^(revision|versions|command|date|time|ms)$|seconds|_rss|_mb$|^started|^finished|^git|^machine|^host|per_second|^source_"
)
WORDS_OF_TIME = re.compile(r"\d[\d.,:]* ?(ms|s|seconds|minutes|MB|MiB|GB|it/s|epochs/s)\b")

ROWS_OF_TIME = re.compile(r"^(seconds|peak rss mb) .*$", re.MULTILINE)


# A case is a name, with * where it needs GRAPHKIT_DATA, and its commands without the word graphkit; after => stands
# what the new installation calls the command before it.
CASES = """
ncn
    train ncn --dataset les-miserables --epochs 20 --out run
    predict run --top-k 3 --node Cosette
ncnc
    train ncnc --edges edges.csv --columns from,to --epochs 3 --out run
    predict run --pairs pairs.tsv
ncnc-cora *
    train ncnc --dataset cora --epochs 2 --batch-size 512 --out run
gcn-link
    train gcn-link --edges edges.csv --columns from,to --epochs 5 --out run
    analyze topo run -q -o table.tsv
cn
    train cn --dataset les-miserables --out run
gcn
    train gcn --dataset digits --epochs 5 --out run
    predict run
sage
    train sage --edges edges.csv --columns from,to --labels class.csv --id-column id --epochs 5 --out run
    predict run -o out.csv
sampled
    train gat --dataset digits --sampler neighbor --epochs 2 --out run
lagnn
    train lagcn --dataset sbm:n=200,k=4,features=16 --epochs 3 --generator-epochs 2 --out run
largegt
    train largegt --dataset sbm:n=400,k=4,features=16 --epochs 2 --out run
graphgps
    train graphgps --dataset csl:copies=5 --epochs 2 --out run
graph-mamba
    train graph-mamba --dataset sbm:n=100,k=2,features=8 --epochs 1 --num-layers 2 --out run
gin *
    train gin --dataset mutag --epochs 3 --out run
nat
    train nat --dataset repeats:n=60,events=2000 --epochs 2 --out run
tgn
    train tgn --dataset repeats:n=60,events=2000 --epochs 1 --out run
tgat
    train tgat --dataset events.csv --columns u,i,ts --epochs 1 --out run
jodie
    train jodie --dataset repeats:n=60,events=2000 --epochs 1 --out run
edgebank
    train edgebank --dataset events.csv --columns u,i,ts --out run
fastrp
    embed --method fastrp --edges edges.csv --columns from,to -o -
    embed --method fastrp --dataset sbm:n=3000,k=5 --out run
fastrp-blogcatalog *
    embed --method fastrp --dataset blogcatalog -o e.npy
    evaluate embedding e.npy --dataset blogcatalog --train-ratio 0.1 --shuffles 1 --C 0.1
embedders
    embed --method cleora --dataset karate --dim 8 -o cleora.tsv
    embed --method randne --dataset karate --dim 8 -o randne.tsv
    embed --method rwpmi --dataset karate --dim 8 -o rwpmi.tsv
    embed --method orbit-adjacency --dataset karate --dim 8 -o orbits.tsv
    embed --method deepwalk --dataset karate --dim 8 -o deepwalk.tsv
    embed --method node2vec --dataset karate --dim 8 -o node2vec.tsv
    evaluate embedding cleora.tsv rwpmi.tsv --dataset karate --folds 3 --shuffles 2
orbits
    count orbits --dataset les-miserables -o orbits.tsv
    count edge-orbits --dataset karate -o -
    count orbit-adjacency --dataset karate --orbits 1:4-5,2:8-8 -o matrices
    count check karate
artifacts
    sample largegt --dataset sbm:n=60,k=3,features=4 --k 5 --seed 3 --out lists -q
    => train largegt --prepare-only --dataset sbm:n=60,k=3,features=4 --k 5 --sample-seed 3 --out lists -q
    augment lagnn --dataset digits --select none --generator-steps 3 --out g.safetensors -q
    => train lagnn --generator-only --dataset digits --select none --generator-steps 3 --out g.safetensors -q
topo
    analyze topo --dataset karate --json
    analyze topo --edges edges.csv --columns from,to --hops 2 -o topo.tsv
cluster
    cluster local --edges edges.csv --columns from,to --seeds p03 --volume 60 -q --method flow
    cluster local --edges edges.csv --columns from,to --seeds p03 --volume 60 -q --method pnorm-flow
    cluster local --edges edges.csv --columns from,to --seeds p03 --volume 60 -q --method ppr-push
    cluster local --edges edges.csv --columns from,to --seeds p03 --volume 60 -q --method heat-kernel
    cluster evaluate karate --trials 2 --accuracy 0.8,0.8 --json
    cluster ncp --dataset karate -o ncp.tsv -q
encode
    encode --dataset karate --pe rwse:3
    encode --dataset karate --pe lappe:4
data
    data info edges.csv --columns from,to --json
    data convert edges.csv --columns from,to g.graph
    data info g.graph --json
    data split karate --task link -o split.tsv
claims
    reproduce cn --claim smoke-cn-karate --results results
    methods
    methods show fastrp
"""


@dataclass
class Case:
    """Commands of the old and of the new installation. data: whether they need GRAPHKIT_DATA."""

    name: str
    data: bool
    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


def cases() -> list[Case]:
    found: list[Case] = []
    for line in CASES.strip().splitlines():
        text = line.strip()
        if not line.startswith(" "):
            found.append(Case(text.rstrip("* "), text.endswith("*")))
        elif text.startswith("=>"):
            found[-1].new[-1] = text.removeprefix("=>").strip()
        else:
            found[-1].old.append(text)
            found[-1].new.append(text)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--only", action="append", help="a case; may repeat")
    parser.add_argument("--data", default=os.environ.get("GRAPHKIT_DATA"), help="the folder of real data")
    given = parser.parse_args()
    unequal = 0
    for one in cases():
        if given.only and one.name not in given.only:
            continue
        if one.data and not given.data:
            print(f"{one.name:<20} left out: needs real data")
            continue
        found = [
            run(program.absolute(), words, given.data)
            for program, words in ((given.old, one.old), (given.new, one.new))
        ]
        problems = differences(*found)
        unequal += bool(problems)
        print(
            f"{one.name:<20} {'equal' if not problems else 'DIFFERENT'}  {len(found[0])} results",
            *problems,
            sep="\n    ",
            flush=True,
        )
    return 1 if unequal else 0


def run(program: Path, commands: list[str], data: str | None) -> dict[str, Any]:
    """Name of a result -> its content, as it is compared."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for file, text in FILES.items():
            (folder / file).write_text(text)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1", "GRAPHKIT_DATA": data or ""}
        for number, command in enumerate(commands):
            done = subprocess.run(
                [program, *shlex.split(command)], cwd=folder, env=environment, capture_output=True, text=True
            )
            found[f"exit code of {command}"] = done.returncode
            found[f"stdout of {number}"] = as_text(done.stdout, folder)
            if done.returncode:
                found[f"stderr of {command}"] = as_text(done.stderr, folder)
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in FILES):
            found.update(content(path, str(path.relative_to(folder)), folder))
    return found


def content(path: Path, name: str, folder: Path) -> dict[str, Any]:
    if name.endswith(".lock"):
        return {}
    if path.suffix == ".json":
        return {name: as_data(json.loads(path.read_text()), folder)}
    if path.suffix == ".jsonl":
        return {name: [as_data(json.loads(line), folder) for line in path.read_text().splitlines()]}
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:  # members carry the time they were written
            return {
                f"{name}/{member.partition('/')[2] or member}": archive.read(member) for member in archive.namelist()
            }
    if path.suffix == ".safetensors":  # whose header has no order
        data = path.read_bytes()
        size = int.from_bytes(data[:8], "little")
        return {name: (json.loads(data[8 : 8 + size]), data[8 + size :])}
    if path.suffix in (".yaml", ".tsv", ".csv", ".txt", ".md"):
        return {name: as_text(path.read_text(), folder)}
    return {name: path.read_bytes()}


def as_text(text: str, folder: Path) -> str:
    try:
        return json.dumps(as_data(json.loads(text), folder), sort_keys=True)
    except ValueError:
        return ROWS_OF_TIME.sub("T", WORDS_OF_TIME.sub("T", text.replace(str(folder), "DIR")))


def as_data(value: Any, folder: Path) -> Any:
    """Without what differs between two runs by nature."""
    if isinstance(value, dict):
        return {key: as_data(item, folder) for key, item in value.items() if not LEFT_OUT.search(key)}
    if isinstance(value, list):
        return [as_data(item, folder) for item in value]
    return value.replace(str(folder), "DIR") if isinstance(value, str) else value


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What is in one alone, and what is not the same in both."""
    found = []
    for (name, one), (other_name, other) in zip(exit_codes(old), exit_codes(new)):
        if one or other:
            found.append(f"exit code {one} of {name}, {other} of {other_name}")
    files = [{key: value for key, value in side.items() if not key.startswith("exit code")} for side in (old, new)]
    found += [
        f"{name}: only in the {side} result"
        for side, a, b in (("old", *files), ("new", *files[::-1]))
        for name in a
        if name not in b
    ]
    return found + [
        f"{name}: {shown(files[0][name], files[1][name])}"
        for name in files[0]
        if files[0][name] != files[1].get(name, files[0][name])
    ]


def exit_codes(side: dict[str, Any]) -> list[tuple[str, int]]:
    return [(key.removeprefix("exit code of "), value) for key, value in side.items() if key.startswith("exit code")]


def shown(one: Any, other: Any) -> str:
    first, second = (str(value) for value in (one, other))
    at = next((k for k, (a, b) in enumerate(zip(first, second)) if a != b), min(len(first), len(second)))
    return f"...{first[max(at - 60, 0) : at + 60]!r} against ...{second[max(at - 60, 0) : at + 60]!r}"


if __name__ == "__main__":
    sys.exit(main())
