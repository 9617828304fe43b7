"""Errors that a user can cause or cure, each with the exit code the command line gives it."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a full disk, an exhausted quota or a limit of file size says
# What the system says of a name or place that the user may choose otherwise.
WRONG_PLACE = (
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENOENT,
    errno.ELOOP,
    errno.EINVAL,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
)


class GraphkitError(Exception):
    """Base of all expected errors; the message is one line that says what was found and what was expected."""

    exit_code = 1


class UsageError(GraphkitError):
    """An option or argument is wrong (exit code 2)."""

    exit_code = 2


class DataError(GraphkitError):
    """Data are missing or malformed (exit code 3); the message names the file, the place and what was expected."""

    exit_code = 3


class OutputError(GraphkitError):
    """A file or folder cannot be written: exit code 2 where its name or place is wrong, 1 where the machine fails, as a
    full disk does.
    """

    def __init__(self, message: str, exit_code: int = 1):
        super().__init__(message)
        self.exit_code = exit_code


class MissingExtraError(GraphkitError):
    """An optional dependency is not installed (exit code 1)."""

    def __init__(self, package: str, extra: str, purpose: str):
        super().__init__(f"{purpose} needs {package}, which is not installed; run: pip install 'graphkit[{extra}]'")


class ClaimError(GraphkitError):
    """A claim did not hold (exit code 4)."""

    exit_code = 4


class Interrupted(GraphkitError):
    """A signal stopped the work after a checkpoint was saved (exit code 130 for SIGINT, 143 otherwise)."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known words, or an empty string."""
    matches = difflib.get_close_matches(word.lower(), sorted(known), n=3, cutoff=0.6)
    if not matches:
        return ""
    return "; did you mean " + " or ".join(repr(match) for match in matches) + "?"
