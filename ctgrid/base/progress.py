"""How long work reports on itself: a plain callback, so that the library never prints."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""``progress(phase, done, total)``; ``done`` runs from 0 to ``total``."""


def silent(phase: str, done: int, total: int) -> None:
    """Report nothing; the default."""


def unheard(warning: str) -> None:
    """Take a warning that nobody listens to; the default where a caller may be told of one.

    Args:
        warning: One sentence.
    """


def titled(progress: Progress, title: str) -> Progress:
    """Return the callback with a title before every phase."""
    return lambda phase, done, total: progress(f"{title}: {phase}", done, total)
