"""Worker processes of this machine, each at the other end of a pipe that has no name.

Nothing listens: no port, no socket in the file system. What comes out of a pipe is unpickled, which runs code, so
nobody else may have one.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from ctgrid.base.errors import CtgridError, one_line
from ctgrid.base.lean import uncollected
from ctgrid.data.store.one import StoreJob
from ctgrid.data.store.report import Row

MOST_DEATHS = 3
"""A scan whose workers died this often is given up."""

Work = Callable[[StoreJob], Row]
_CALM = {"ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1", "PYTHONWARNINGS": "ignore"}
_PATIENCE_S = 5


def run_on_workers(jobs: Iterator[StoreJob], workers: int, work: Work) -> Iterator[Row]:
    """Yield the row of each job as it is finished, each worker at one job at a time.

    A worker that dies is replaced, and its job done again; see :data:`MOST_DEATHS`.

    Args:
        jobs: What is to be done; taken one by one.
        workers: Processes.
        work: What to do with a job; importable.

    Raises:
        CtgridError: What a job raised that concerns all of them: the store cannot be written.
    """
    again: deque[StoreJob] = deque()
    deaths: Counter[str] = Counter()
    busy: dict[Any, _Worker] = {}
    idle: list[_Worker] = []

    def take() -> StoreJob | None:
        return again.popleft() if again else next(jobs, None)

    try:
        while True:
            while len(busy) < workers and (job := take()) is not None:
                worker = idle.pop() if idle else _Worker(work)
                worker.give(job)
                busy[worker.connection] = worker
            if not busy:
                return
            for connection in wait(list(busy)):
                worker = busy.pop(connection)
                job = worker.job
                try:
                    answer = worker.answer()
                except (EOFError, OSError):
                    worker.stop()
                    deaths[job.case.key] += 1
                    if deaths[job.case.key] < MOST_DEATHS:
                        again.append(job)
                        continue
                    reason = f"its worker process died {MOST_DEATHS} times (killed, or out of memory)"
                    yield failed(job, reason)
                    continue
                idle.append(worker)
                if isinstance(answer, CtgridError):
                    raise answer
                yield failed(job, answer) if isinstance(answer, str) else answer
    finally:
        for worker in (*busy.values(), *idle):
            worker.stop()


def failed(job: StoreJob, reason: str) -> Row:
    """Return the row of a job that came to nothing.

    Args:
        job: The job.
        reason: One line.
    """
    return {"name": job.case.name, "input": job.case.key, "status": "failed", "reason": reason, "seconds": None}


class _Worker:
    """One process, and this end of its pipe."""

    def __init__(self, work: Work) -> None:
        context = multiprocessing.get_context("spawn")  # forkserver would listen on a socket
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work), name="ctgrid-worker", daemon=True)
        with _calm():
            self.process.start()
        theirs.close()  # else its end would never be seen
        self._job: StoreJob | None = None

    @property
    def job(self) -> StoreJob:
        assert self._job is not None
        return self._job

    def give(self, job: StoreJob) -> None:
        self._job = job
        with suppress(OSError):  # dead already: seen when it is waited for
            self.connection.send(job)

    def answer(self) -> Any:
        return self.connection.recv()

    def stop(self) -> None:
        """End the process, at once: what it had begun lies under a hidden name and is removed."""
        self.connection.close()
        self.process.kill()
        self.process.join(_PATIENCE_S)


def _serve(connection: Connection, work: Work) -> None:
    """Do jobs until the pipe ends; leave Ctrl-C to the process that started this one, and say nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with suppress(EOFError, OSError):
        loading: AbstractContextManager[None] = uncollected()  # the first job imports what all need
        while True:
            job = connection.recv()
            try:
                with loading:
                    answer: Row | CtgridError | str = work(job)
            except CtgridError as error:
                answer = error
            except Exception as error:
                answer = one_line(f"unexpected {type(error).__name__}: {error}")
            connection.send(answer)
            loading = nullcontext()


@contextmanager
def _calm() -> Iterator[None]:
    """Start a process with Ctrl-C ignored from its first moment, and quiet: it inherits that, and only that."""
    kept = {name: os.environ.get(name) for name in _CALM}
    os.environ.update(_CALM)
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, before)
        for name, value in kept.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
