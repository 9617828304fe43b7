"""Settings that all tests share."""

import logging
import os

import pytest
from hypothesis import settings

# A process started from the checkout must import the installed package, not the folder beside it.
os.environ["PYTHONSAFEPATH"] = "1"
# Several test processes share the cores: a thread that waits must not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Examples are the same on every run, and a slow machine is no failure.
settings.register_profile("graphkit", deadline=None, derandomize=True)
settings.load_profile("graphkit")


@pytest.fixture(autouse=True)
def fresh_log():
    """A command that an earlier test ran in this process has set up the logger for its own stderr: start from a
    library's.
    """
    log = logging.getLogger("graphkit")
    log.handlers.clear()
    log.propagate = True
    log.setLevel(logging.NOTSET)
