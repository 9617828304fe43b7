"""What the tests of commands share."""

import pytest

from graphkit.cli.main import main


@pytest.fixture
def command(capsys):
    """Run a command line in this process; returns (exit code, stdout, stderr)."""

    def call(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        return (stop.value.code, *capsys.readouterr())

    return call
