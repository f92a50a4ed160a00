"""What stops a command from outside: Ctrl-C, the end of a cluster's job, a closed terminal."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, NoReturn

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # no SIGHUP on Windows
"""Ctrl-C, what SLURM sends before it ends a job, and what a terminal that is closed sends."""


class Stopped(KeyboardInterrupt):
    """A signal that ends the command, after what was begun is put in order."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        """Keep the signal's number."""
        super().__init__()
        self.number = number

    @property
    def code(self) -> int:
        """The exit code that shells expect: 129 hung up, 130 Ctrl-C, 143 terminated."""
        return 128 + int(self.number)

    @property
    def word(self) -> str:
        """What the one line on stderr says."""
        return {1: "hung up", 15: "terminated"}.get(int(self.number), "interrupted")


class StopSignals:
    """Context in which the first of :data:`SIGNALS` only sets ``received``; a second one interrupts at once."""

    def __init__(self) -> None:
        """Start without a signal received."""
        self.number: int | None = None
        self._previous: dict[int, Any] = {}

    @property
    def received(self) -> bool:
        """Whether a signal came."""
        return self.number is not None

    def stopped(self) -> Stopped:
        """Return what to raise once all is in order: of this process's signal, or as for another process's."""
        return Stopped(signal.SIGTERM if self.number is None else self.number)

    def __enter__(self) -> StopSignals:
        """Take the signals over."""
        self._previous = _taken(self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        _given_back(self._previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        _let_go_of_terminal(number)
        if self.received:
            raise Stopped(number)
        self.number = number


@contextmanager
def signals_stop() -> Iterator[None]:
    """Let each of :data:`SIGNALS` unwind the stack as :class:`Stopped`, so that temporary files are removed."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        _let_go_of_terminal(number)
        raise Stopped(number)

    before = _taken(stop)
    try:
        yield
    finally:
        _given_back(before)


def _taken(handler: Callable[[int, FrameType | None], object]) -> dict[int, Any]:
    """Set a handler and return those before: in the main thread alone, and for no signal that is to be ignored.

    ``nohup`` has SIGHUP ignored, a shell's background job Ctrl-C.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    numbers = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in numbers}


def _given_back(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)


def _let_go_of_terminal(number: int) -> None:
    """After a hang-up send what is still said to nowhere: the terminal is gone, and words to it would be errors."""
    if number != getattr(signal, "SIGHUP", None):
        return
    for stream in (sys.__stdout__, sys.__stderr__):
        with suppress(OSError, ValueError, AttributeError):
            descriptor = stream.fileno()  # type: ignore[union-attr]
            if not _writable(descriptor):
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, descriptor)
                os.close(nothing)


def _writable(descriptor: int) -> bool:
    """Tell whether a stream still takes words; writing none of them asks."""
    try:
        os.write(descriptor, b"")
        return True
    except OSError:
        return False
