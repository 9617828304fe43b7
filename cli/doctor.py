"""graphkit doctor: what is installed, found and missing on this machine."""

from __future__ import annotations

import click

from graphkit.cli.options import echo_json, output_options, table

# extra -> (module that shows it is there, what it is for)
EXTRAS = {
    "test": ("hypothesis", "running the tests"),
    "mol": ("rdkit", "molecules from SMILES"),
    "plot": ("matplotlib", "plots"),
    "deepwalk": ("gensim", "deepwalk and node2vec"),
    "tune": ("optuna", "--tune"),
    "flow": ("igraph", "cluster improve"),
    "tgb": ("tgb", "temporal data sets of TGB"),
}


@click.command()
@output_options
def command(as_json: bool):
    """Report versions, threads, data folders and optional extras, and how to get what is missing.

    \b
    Example:
      graphkit doctor
    """
    import importlib.util

    import torch

    from graphkit.core import machine, registry
    from graphkit.datasets.sources import folders

    found = {extra: importlib.util.find_spec(module) is not None for extra, (module, _) in EXTRAS.items()}
    report = {
        "versions": machine.versions(),
        "cores": machine.available_cores(),
        "threads": torch.get_num_threads(),
        "device": machine.choose_device(None),
        "data_folders": [{"path": str(path), "exists": path.is_dir()} for path in folders.data_folders()],
        "extras": found,
        "methods": len(registry.names()),
    }
    if as_json:
        echo_json(report)
        return
    rows = [(f"{name} version", version) for name, version in report["versions"].items()]
    rows += [(name, report[name]) for name in ("cores", "threads", "device", "methods")]
    for folder in report["data_folders"]:
        rows.append(("data folder", f"{folder['path']} ({'found' if folder['exists'] else 'not there yet'})"))
    for extra, (_, purpose) in EXTRAS.items():
        missing = f"missing; pip install 'graphkit[{extra}]'"
        rows.append((f"extra {extra}", f"{'found' if found[extra] else missing} ({purpose})"))
    click.echo(table(rows, ("what", "found")))
