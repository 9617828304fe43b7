"""Settings that all tests share."""

import os

from hypothesis import settings

# A process started from the checkout must import the installed package, not the folder beside it.
os.environ["PYTHONSAFEPATH"] = "1"

# Examples are the same on every run, and a slow machine is no failure.
settings.register_profile("graphkit", deadline=None, derandomize=True)
settings.load_profile("graphkit")
