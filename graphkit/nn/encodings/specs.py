"""The words of ``--pe``: which encodings, with how many columns, of which learned width."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.errors import UsageError, did_you_mean

LARGEST = 4096
ELSTATIC_COLUMNS = 10


@dataclass(frozen=True)
class Word:
    """What a word stands for: the raw values it needs and its published sizes.

    raw: kind of raw values. k: default number of their columns. dim: default learned width, 0 where nothing is
        concatenated.
    fixed: the number of columns is no choice, so that the first number after the word is the width.
    """

    raw: str
    k: int
    dim: int
    about: str
    fixed: bool = False


WORDS = {
    "lappe": Word("lap", 10, 16, "Laplacian eigenvectors and eigenvalues, L = D - A"),
    "lappe-sym": Word("lap-sym", 10, 16, "the same of the normalised Laplacian"),
    "lappe-mean": Word(
        "lap-mean", 10, 16, "the same of L over the mean degree: the vectors of L, eigenvalues around 1"
    ),
    "signnet-mlp": Word("lap", 8, 8, "SignNet, the frequencies side by side"),
    "signnet-ds": Word("lap", 37, 28, "SignNet, summed over frequencies"),
    "rwse": Word("rwse", 16, 16, "return probabilities of random walks of 1..K steps"),
    "rwcols": Word(
        "rwcols", 16, 16, "probability that a walk from elsewhere ends here, summed over starts, 1..K steps"
    ),
    "rwrows": Word("rwrows", 16, 16, "probability that a walk from here ends elsewhere, 1..K steps"),
    "hkdiag": Word("hkdiag", 16, 16, "diagonal of the heat kernel at times 1..K"),
    "elstatic": Word("elstatic", ELSTATIC_COLUMNS, 16, "ten statistics of electrostatic potentials", fixed=True),
    "peg": Word("lap", 10, 0, "gates of the local layer from distances of eigenvectors"),
}


@dataclass(frozen=True)
class Encoding:
    """One encoding: its word, ``k`` raw columns, and the learned width ``dim`` (0: nothing is concatenated)."""

    name: str
    k: int
    dim: int

    @property
    def raw(self) -> str:
        """Name of the raw values, which two encodings of equal k can share."""
        return f"{WORDS[self.name].raw}:{self.k}"

    @property
    def key(self) -> str:
        """Where a graph holds the raw values: ``ndata[key]``."""
        return "_pe_" + self.raw.replace(":", "_")

    def __str__(self) -> str:
        numbers = [self.dim] if WORDS[self.name].fixed else [self.k, self.dim] if self.dim else [self.k]
        return ":".join(map(str, [self.name, *numbers]))


def parse(text: str) -> list[Encoding]:
    """Read ``NAME[:K[:DIM]],...``, e.g. ``lappe:10:16,rwse:20:28,elstatic:8,peg:10``; ``none`` or nothing is no
    encoding.

    Raises :class:`UsageError` for an unknown name, a number out of range or an encoding named twice.
    """
    parts = [part.strip() for part in text.split(",")]
    if parts in ([""], ["none"]):
        return []
    found = [_one(part) for part in parts]
    names = [encoding.name for encoding in found]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--pe {text}: found {name} {names.count(name)} times, expected once")
    return found


def _one(part: str) -> Encoding:
    name, *texts = part.split(":")
    if name not in WORDS:
        raise UsageError(f"--pe: found {name!r}{did_you_mean(name, WORDS) or ', expected one of ' + ', '.join(WORDS)}")
    word = WORDS[name]
    form = f"{name}[:DIM]" if word.fixed else f"{name}[:K[:DIM]]" if word.dim else f"{name}[:K]"
    most = 1 if word.fixed or not word.dim else 2
    if len(texts) > most or not all(text.isdigit() and 1 <= int(text) <= LARGEST for text in texts):
        raise UsageError(f"--pe: found {part!r}, expected {form} with numbers of 1..{LARGEST}")
    numbers = [int(text) for text in texts]
    k, dim = [word.k, *numbers] if word.fixed and numbers else [*numbers, *(word.k, word.dim)[len(numbers) :]]
    return Encoding(name, k, dim)
