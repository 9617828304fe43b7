"""Progress on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from typing import Any

SECONDS_BETWEEN_LINES = 30.0


@contextlib.contextmanager
def reporter() -> Iterator[Any]:
    """Yield a function for :func:`graphkit.runs.execution.execute` that shows what it reports."""
    logger = logging.getLogger("graphkit")
    if logger.level >= logging.ERROR:
        yield lambda event: None
    elif sys.stderr.isatty() and logger.level > logging.DEBUG:
        with _Bar() as bar:
            yield bar
    else:
        yield _Lines(logger)


@contextlib.contextmanager
def stages() -> Iterator[Any]:
    """Yield a function of (stage, done, total, note=""): a bar on a terminal, a line now and then elsewhere."""
    logger = logging.getLogger("graphkit")
    if logger.level >= logging.ERROR:
        yield lambda stage, done, total, note="": None
        return
    if sys.stderr.isatty():
        from tqdm import tqdm

        bars: dict[str, Any] = {}

        def show(stage, done, total, note=""):
            if stage not in bars:
                bars[stage] = tqdm(total=total, desc=stage, leave=False, file=sys.stderr)
            bars[stage].set_postfix_str(note, refresh=False)
            bars[stage].update(done - bars[stage].n)

        try:
            yield show
        finally:
            for bar in bars.values():
                bar.close()
        return
    last = time.monotonic()

    def line(stage, done, total, note=""):
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            logger.info("%s: %s of %s%s", stage, f"{done:,}", f"{total:,}", note and f", {note}")
            last = time.monotonic()

    yield line


def _text(event: dict[str, Any]) -> str:
    shown = [
        f"{part} {name} {value:.4f}" for part in ("valid", "test") for name, value in list(event[part].items())[:1]
    ]
    loss = "" if event["loss"] is None else f" loss {event['loss']:.4f}"
    return f"seed {event['seed']} epoch {event['epoch']}/{event['epochs']}{loss} {' '.join(shown)}"


class _Lines:
    """An evaluation line at most every half minute; every one of them with -v."""

    def __init__(self, logger: logging.Logger):
        self.logger, self.last = logger, time.monotonic()

    def __call__(self, event: dict[str, Any]) -> None:
        due = time.monotonic() - self.last >= SECONDS_BETWEEN_LINES
        if event["event"] == "evaluation" and (due or self.logger.level <= logging.DEBUG):
            self.logger.info("%s, %.0f s", _text(event), event["seconds"])
            self.last = time.monotonic()
        elif event["event"] == "step" and due:
            self.logger.info(
                "seed %s epoch %s step %s loss %.4f", *(event[k] for k in ("seed", "epoch", "step", "loss"))
            )
            self.last = time.monotonic()


class _Bar:
    def __enter__(self) -> _Bar:
        from tqdm import tqdm

        self.bar, self.tqdm, self.seed = None, tqdm, None
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def __call__(self, event: dict[str, Any]) -> None:
        if event["seed"] != self.seed:
            self.__exit__()
            self.seed = event["seed"]
            self.bar = self.tqdm(
                total=event["epochs"], desc=f"seed {self.seed}", unit="epoch", leave=False, file=sys.stderr
            )
        if event["event"] == "step":
            self.bar.set_postfix_str(f"step {event['step']} loss {event['loss']:.4f}", refresh=False)
            self.bar.update(0)
        else:
            self.bar.update(event["epoch"] - self.bar.n)
            self.bar.set_postfix_str(_text(event).partition("epoch")[2].partition(" ")[2].partition(" ")[2])
