"""numpy, torch and dgl, imported at first use.

``graphkit VERB METHOD --help`` must answer within 0.2 s, and the options come from the method's module. A method
module therefore imports its numerical libraries from here and touches them only inside functions; ``nn.Module``
classes, which need torch when they are defined, live in ``graphkit.nn`` or in a module that the method imports when
it builds its model.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType


class LazyModule(ModuleType):
    """Stands for a module and imports it when an attribute is first read."""

    def __getattr__(self, attribute: str):
        if attribute.startswith("__") and attribute != "__version__":
            raise AttributeError(attribute)
        if self.__name__.split(".")[0] == "dgl":
            # Without a named backend DGL writes a configuration file into the home folder and prints about it.
            os.environ.setdefault("DGLBACKEND", "pytorch")
        return getattr(importlib.import_module(self.__name__), attribute)


np = LazyModule("numpy")
torch = LazyModule("torch")
dgl = LazyModule("dgl")
