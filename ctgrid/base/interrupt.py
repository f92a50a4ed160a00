"""Stop between two optimizer steps, not inside one."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what SLURM sends before it ends a job."""


class StopSignals:
    """Context in which the first SIGINT or SIGTERM only sets ``received``; a second one interrupts at once."""

    def __init__(self) -> None:
        """Start without a signal received."""
        self.received = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> StopSignals:
        """Take the signals over, in the main thread only: elsewhere Python does not allow it."""
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = True
