"""The progress bar, on stderr and only where a person looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ctgrid.base.progress import Progress


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Yield a callback ``(phase, done, total)`` that draws one line, gone at the end.

    Nothing is drawn where stderr is a file or a pipe, so logs hold no control characters.
    """
    from rich import progress as rich_progress
    from rich.console import Console

    console = Console(stderr=True)
    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeElapsedColumn(),
        rich_progress.TimeRemainingColumn(),
    )
    with rich_progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
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
