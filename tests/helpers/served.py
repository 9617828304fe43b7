"""Command lines in processes of their own, without the seconds in which each would import torch and DGL again.

:func:`graphkit` asks a server for a command line. The server, started once per test process, has imported the libraries
and forks for each command: the command has its own memory, environment, folder, streams and exit code. What depends on
how a process starts (which modules a command imports, variables that libraries read while they load, memory limits,
signals) is tested with processes started afresh.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

LIBRARIES = ("numpy", "scipy.sparse.linalg", "numba", "torch", "torch._dynamo", "dgl", "sklearn.metrics", "networkx", "pandas", "pyarrow")
STREAMS = ("stdin", "stdout", "stderr")

_server: subprocess.Popen | None = None


def graphkit(*words, stdin: str | None = None, timeout: float = 300) -> subprocess.CompletedProcess:
    """Run ``graphkit WORDS`` in the present folder and environment, with its output captured as text."""
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / name for name in STREAMS}
        if stdin is None:
            files["stdin"] = Path(os.devnull)
        else:
            os.mkfifo(files["stdin"])  # a pipe, as behind another command
            threading.Thread(target=_feed, args=(files["stdin"], stdin), daemon=True).start()
        request = {"words": [str(word) for word in words], "cwd": os.getcwd(), "environment": dict(os.environ), "timeout": timeout,
                   "streams": [str(files[name]) for name in STREAMS]}  # fmt: skip
        code = _ask(request)
        out, err = (files[name].read_text() for name in ("stdout", "stderr"))
    if code is None:
        raise subprocess.TimeoutExpired(["graphkit", *request["words"]], timeout, out, err)
    return subprocess.CompletedProcess(["graphkit", *request["words"]], code, out, err)


def _feed(pipe: Path, text: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # a command need not read all
        pipe.write_text(text)


def _ask(request: dict) -> int | None:
    global _server
    if _server is None or _server.poll() is not None:
        _server = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        atexit.register(_server.stdin.close)
    _server.stdin.write(json.dumps(request) + "\n")
    _server.stdin.flush()
    answer = _server.stdout.readline()
    assert answer, "the server of commands has died"
    return json.loads(answer)


def serve() -> None:
    """Answer each line of stdin, a request, with a line: the exit code, or null where the time was over."""
    import importlib

    os.environ.setdefault("DGLBACKEND", "pytorch")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print while they load is no answer
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()  # a collection in a child would copy every page
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            answers.close()
            return command(request)
        answers.write(json.dumps(_wait(child, request["timeout"])) + "\n")
        answers.flush()


def _wait(child: int, timeout: float) -> int | None:
    import signal
    import time

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
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for number, (path, flags) in enumerate(zip(request["streams"], (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT))):
        opened = os.open(path, flags, 0o600)
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
    os._exit(code)  # to take the libraries down again, object by object, would cost a second


if __name__ == "__main__":
    serve()
