"""How work shows that it goes on, on stderr: a bar where a person looks at it, a line of each phase in a log."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ctgrid.base.progress import Progress

QUICK_SECONDS = 3.0
"""Work that is done, or refused, sooner says nothing in a log."""
OFTEN_SECONDS = 30.0
"""A phase in a log says where it is so often."""
_COUNTED = re.compile(r"\d+(?=/\d)|(?<=seed )\d+")
"""What tells a scan, volume or seed from the next in the words of a phase."""


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Yield a callback ``(phase, done, total)`` that draws a bar, gone at the end; in a log, :func:`phase_lines`.

    A log holds no control characters.
    """
    from rich.console import Console

    from .errors import say

    console = Console(stderr=True)
    if not console.is_terminal:
        yield phase_lines(say)
        return
    from rich import progress as rich_progress

    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeElapsedColumn(),
        rich_progress.TimeRemainingColumn(),
    )
    with rich_progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        current = ""

        def report(phase: str, done: int, total: int) -> None:
            nonlocal current
            if phase != current:
                current = phase
                bar.reset(task, description=phase, total=total, completed=done)
            else:
                bar.update(task, total=total, completed=done)

        yield report


def phase_lines(say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> Progress:
    """Return a callback that says a line when a phase begins, and every half minute where it is.

    Phases that come again for every scan or volume, in whatever number, are said once. Nothing is said before
    :data:`QUICK_SECONDS`; then all that began until then.

    Args:
        say: takes a line.
        clock: seconds.
    """
    begin = clock()
    said: set[str] = set()
    waiting: list[str] = []
    last = begin

    def report(phase: str, done: int, total: int) -> None:
        nonlocal last
        now = clock()
        kind = _COUNTED.sub("", phase)
        if kind not in said or now - last >= OFTEN_SECONDS:
            said.add(kind)
            last = now
            waiting.append(f"{now - begin:.0f} s: {phase}" + (f", {done} of {total}" if total > 1 else ""))
        if now - begin >= QUICK_SECONDS:
            for line in waiting:
                say(line)
            waiting.clear()

    return report
