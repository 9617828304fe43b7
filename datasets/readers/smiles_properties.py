"""Properties of an RDKit molecule that serve as targets."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

from graphkit.core.errors import GraphkitError


def logp(mol: Any) -> float:
    """Octanol-water partition coefficient, estimated from atoms (Wildman and Crippen, 1999)."""
    from rdkit.Chem import Crippen

    return Crippen.MolLogP(mol)


def synthetic_accessibility(mol: Any) -> float:
    """SA score, 1 (easy to make) to 10 (Ertl and Schuffenhauer, 2009), by the program that comes with RDKit."""
    return _sascorer().calculateScore(mol)


def long_cycle(mol: Any) -> float:
    """Atoms beyond six in the largest ring; 0 where there is no larger ring."""
    return float(max((len(ring) - 6 for ring in mol.GetRingInfo().AtomRings() if len(ring) > 6), default=0))


@functools.cache
def _sascorer() -> Any:
    from rdkit.Chem import RDConfig

    path = Path(RDConfig.RDContribDir) / "SA_Score" / "sascorer.py"
    if not path.exists():
        raise GraphkitError(f"{path}: not found; the SA score comes with RDKit's wheels, run: pip install rdkit")
    spec = importlib.util.spec_from_file_location("sascorer", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
