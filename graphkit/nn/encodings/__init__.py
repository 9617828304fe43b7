"""Positional and structural encodings of nodes: raw values by NumPy and SciPy, and the torch modules that learn from
them.

>>> from graphkit.nn import encodings
>>> [str(encoding) for encoding in encodings.parse("lappe:10:16,rwse:20,peg")]
['lappe:10:16', 'rwse:20:16', 'peg:10']
"""

from graphkit.nn.encodings.raw import arrays, compute
from graphkit.nn.encodings.specs import WORDS, Encoding, parse
from graphkit.nn.encodings.structure import Structure, structures

__all__ = ["WORDS", "Encoding", "Structure", "arrays", "compute", "parse", "structures"]
