"""Command lines in processes of their own, without the seconds in which each would import torch and DGL again.

:func:`graphkit` asks a server for a command line. The server, started once per test process, has imported the libraries
and forks for each command: the command has its own memory, environment, folder, streams and exit code. What depends on
how a process starts (which modules a command imports, variables that libraries read while they load, memory limits) is
tested with processes started afresh.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

LIBRARIES = (
    "numpy",
    "scipy.sparse.linalg",
    "numba",
    "torch",
    "torch._dynamo",
    "dgl",
    "sklearn.metrics",
    "networkx",
    "pandas",
    "pyarrow",
)
STREAMS = ("stdin", "stdout", "stderr")


class Server:
    """A process that forks for each command; the addresses and the seed of Python's hashes are the server's."""

    def __init__(self, **environment: str):
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        atexit.register(self.close)

    def start(self, *words, environment: dict[str, str] | None = None, streams: tuple = (os.devnull,) * 3) -> int:
        """Begin a command line in the present folder; returns the number of its process. streams: the files of 0, 1 and
        2.
        """
        environment = dict(os.environ) if environment is None else environment
        streams = [str(path) for path in streams]
        return self._ask(
            {"words": [str(word) for word in words], "cwd": os.getcwd(), "environment": environment, "streams": streams}
        )

    def wait(self, number: int, timeout: float = 900) -> int | None:
        """The exit code of a command that was started, below 0 for a signal; None where it was ended because its time
        was over.
        """
        return self._ask({"wait": number, "timeout": timeout})

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)

    def _ask(self, request: dict) -> int | None:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the server of commands has died"
        return json.loads(answer)


server = functools.lru_cache(maxsize=1)(Server)


def graphkit(*words, stdin: str | None = None, timeout: float = 300) -> subprocess.CompletedProcess:
    """Run ``graphkit WORDS`` in the present folder and environment, with its output captured as text."""
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / name for name in STREAMS}
        if stdin is None:
            files["stdin"] = Path(os.devnull)
        else:
            os.mkfifo(files["stdin"])  # a pipe, as behind another command
            threading.Thread(target=_feed, args=(files["stdin"], stdin), daemon=True).start()
        code = server().wait(server().start(*words, streams=tuple(files.values())), timeout)
        out, err = (files[name].read_text() for name in ("stdout", "stderr"))
    words = ["graphkit", *map(str, words)]
    if code is None:
        raise subprocess.TimeoutExpired(words, timeout, out, err)
    return subprocess.CompletedProcess(words, code, out, err)


def _feed(pipe: Path, text: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # a command need not read all
        pipe.write_text(text)


def serve() -> None:
    """Answer each line of stdin: the number of a process that was begun, or the exit code of one that was waited
    for.
    """
    import importlib

    os.environ.setdefault("DGLBACKEND", "pytorch")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print while they load is no answer
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()  # a collection in a child would copy every page
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            answer = _wait(request["wait"], request["timeout"])
        elif not (answer := os.fork()):
            command(request)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _wait(child: int, timeout: float) -> int | None:
    end = time.monotonic() + timeout
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(0.005)


def command(request: dict) -> None:
    """In the child: become the command."""
    code = 70
    try:
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["environment"])
        for number, path in enumerate(request["streams"]):
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND if number else os.O_RDONLY, 0o600)
            os.dup2(opened, number)
            os.close(opened)
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
        import graphkit.cli.main

        sys.argv = [graphkit.cli.main.__file__, *request["words"]]
        try:
            graphkit.cli.main.main()
        except SystemExit as stop:
            code = stop.code or 0
        sys.stdout.flush()
        atexit._run_exitfuncs()
    finally:
        os._exit(code)  # to take the libraries down again, object by object, would cost a second


if __name__ == "__main__":
    serve()
