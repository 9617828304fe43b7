"""The csv loader against pandas: ``read_csv`` and ``factorize``, the usual way from a csv to node numbers.

    python benchmarks/bench_csv_loader.py [--rows 1000000,10000000] [--repeats 3] [--json]

Three loaders read the same file, each in a process of its own so that its peak memory is its own:
``graphkit`` (file to numbered edges, ids checked), ``pandas`` (file to numbered edges, nothing checked) and
``graphkit graph`` (file to a DGLGraph: also without duplicates and loops, with both directions). Prints best and median
seconds, the growth of the resident set above the imports, and the ratio to pandas, as a markdown table or JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LOADERS = ("graphkit", "pandas", "graphkit graph")


def make(path: Path, rows: int, kind: str) -> None:
    """Write a random graph of average degree 20, in blocks."""
    import numpy as np
    import pandas

    rng = np.random.default_rng(0)
    for start in range(0, rows, 1_000_000):
        pairs = rng.integers(0, rows // 10, (min(1_000_000, rows - start), 2))
        table = pandas.DataFrame(pairs, columns=["src", "dst"])
        if kind == "string":
            table = "user_" + table.astype(str)
        table.to_csv(path, index=False, header=start == 0, mode="w" if start == 0 else "a")


def measure(loader: str, path: str, repeats: int) -> dict:
    """Time a loader in this process; the first call is the warm-up and not counted."""
    import numpy as np
    import pandas

    if loader == "pandas":

        def load():
            table = pandas.read_csv(path)
            codes, ids = pandas.factorize(np.concatenate((table["src"], table["dst"])))
            return codes[: len(table)], codes[len(table) :], ids

    else:
        import logging

        import dgl  # noqa: F401 (its import is not the loader's time or memory)
        import pyarrow.csv  # noqa: F401

        from graphkit.core.read_options import ReadOptions
        from graphkit.datasets.readers.files import read_edges, read_graph
        from graphkit.io.formats import read_blob

        logging.getLogger("graphkit").setLevel(logging.ERROR)
        if loader == "graphkit":

            def load():
                return read_edges(read_blob(path), ReadOptions())

        else:

            def load():
                return read_graph(path)

    before, seconds = _peak(), []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        load()
        seconds.append(time.perf_counter() - start)
    return {"best": min(seconds[1:]), "median": statistics.median(seconds[1:]), "peak_mb": _peak() - before}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(rows_of_kinds, repeats: int) -> list[dict]:
    """Measure every loader on every file."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, rows in rows_of_kinds:
            path = Path(folder) / "edges.csv"
            make(path, rows, kind)
            group = []
            for loader in LOADERS:
                command = [sys.executable, __file__, "--child", loader, str(path), "--repeats", str(repeats)]
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                megabytes = round(path.stat().st_size / 1e6, 1)
                group.append({"ids": kind, "edges": rows, "file_mb": megabytes, "loader": loader, **json.loads(output)})
            pandas = next(row for row in group if row["loader"] == "pandas")
            results += [{**row, "times_pandas": pandas["best"] / row["best"]} for row in group]
    return results


def main() -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="1000000,10000000", help="edges of the files with integer ids")
    parser.add_argument("--string-rows", default="1000000", help="edges of the files with string ids")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(*arguments.child, arguments.repeats)))
        return
    files = [("integer", int(rows)) for rows in arguments.rows.split(",") if rows]
    files += [("string", int(rows)) for rows in arguments.string_rows.split(",") if rows]
    results = run(files, arguments.repeats)
    if arguments.json:
        print(json.dumps({"cores": os.cpu_count(), "results": results}, indent=2))
        return
    print(f"{os.cpu_count()} cores, best and median of {arguments.repeats}\n")
    print("| ids | edges | file MB | loader | best s | median s | peak MB | speed-up over pandas |")
    print("|---|---:|---:|---|---:|---:|---:|---:|")
    for row in results:
        print(
            f"| {row['ids']} | {row['edges']:,} | {row['file_mb']} | {row['loader']} | {row['best']:.2f} |"
            f" {row['median']:.2f} | {row['peak_mb']:.0f} | {row['times_pandas']:.1f} |"
        )


if __name__ == "__main__":
    main()
