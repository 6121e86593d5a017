"""One progress bar on a terminal, a line now and then in a log; both on stderr, so stdout stays for results."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
LOG_EVERY_S = 30.0  # between lines when stderr is not a terminal


def say(line: str) -> None:
    """Print one line on stderr without tearing a running bar apart."""
    if _bars:
        _bars[-1](line)
    else:
        print(line, file=sys.stderr, flush=True)


_bars: list[Callable[[str], None]] = []  # how to print above the innermost running bar


@contextmanager
def bar(label: str, total: int | None, done: int = 0) -> Iterator[Callable[[int], None]]:
    """A progress display; the value is a function that advances it by a number of steps."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as shown:
            task = shown.add_task(label, total=total, completed=done)
            _bars.append(lambda line: console.print(line, markup=False, highlight=False))
            try:
                yield lambda steps: shown.advance(task, steps)
            finally:
                _bars.pop()
        return
    start = last = time.monotonic()
    count = done

    def advance(steps: int) -> None:
        nonlocal count, last
        count += steps
        now = time.monotonic()
        if now - last >= LOG_EVERY_S:
            last = now
            of = "" if total is None else f"/{total}"
            rate = (count - done) / (now - start)
            print(f"{label or 'work'}: {count}{of}, {rate:.2f}/s", file=sys.stderr, flush=True)

    yield advance


def progress(iterable: Iterable[T], label: str = "", total: int | None = None) -> Iterator[T]:
    """Yield the items of `iterable` while showing how many are done."""
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    with bar(label, total) as advance:
        for item in iterable:
            yield item
            advance(1)
