"""One thread that does jobs in order, while the main thread computes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Full, Queue
from types import TracebackType

Errand = Callable[[], None]
_PATIENCE_S = 10.0


class Background:
    """Do jobs one after the other in a thread; the first failure is raised where the next job is handed over.

    Used as a context, which waits for the jobs handed over: also after a failure of its block, but not for long.
    """

    def __init__(self, depth: int = 4) -> None:
        """Keep at most ``depth`` jobs waiting."""
        self._jobs: Queue[Errand | None] = Queue(depth)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="ctgrid-writer", daemon=True)

    def put(self, job: Errand) -> None:
        """Hand a job over; wait where too many are waiting already.

        Raises:
            BaseException: what an earlier job raised.
        """
        self._check()
        self._jobs.put(job)

    def __enter__(self) -> Background:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the jobs; raise what a job raised, unless the block raised first."""
        if error is None:
            self._jobs.put(None)
            self._thread.join()
            self._check()
            return
        with suppress(Full):
            self._jobs.put(None, timeout=_PATIENCE_S)
        self._thread.join(_PATIENCE_S)

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        """Run until told to stop; after a failure only empty the queue, so that nobody waits forever."""
        while (job := self._jobs.get()) is not None:
            if self._error is not None:
                continue
            try:
                job()
            except BaseException as error:
                self._error = error
