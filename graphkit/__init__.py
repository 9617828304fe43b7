"""Published graph-learning methods on your own graph, each with the claims of its paper.

The library half of graphkit: it prints nothing and calls no exit; the command line stands on it.
"""

from graphkit._version import __version__

__all__ = ["__version__"]
