"""DGL samplers by name, and the ones that methods add."""
