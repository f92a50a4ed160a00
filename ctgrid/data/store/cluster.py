"""Run jobs: in this process, on processes of this machine, or on a Dask cluster that others started."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctgrid.base.errors import CtgridError, one_line, reason_of
from ctgrid.base.extras import require
from ctgrid.base.machine import version_of
from ctgrid.data.store.one import StoreJob, prepare_case
from ctgrid.data.store.report import Row
from ctgrid.data.store.tls import security
from ctgrid.data.store.workers import failed, run_on_workers

if TYPE_CHECKING:
    from distributed import Client, Future

_REACH_S = 15
_GONE = "the Dask scheduler is gone; run the same command again to go on where it stopped"
_LEAST_WINDOW = 16
_PER_THREAD = 2
_ADDRESS = re.compile(r"(?:[a-z]+://)?(?:\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[\w.-]+):[0-9]{1,5}")
"""Dask itself takes other texts as names of hosts, and looks for them for long."""
_CONFIG = {"distributed.comm.timeouts.connect": f"{_REACH_S}s"}


@dataclass(frozen=True)
class Access:
    """How a Dask scheduler is reached.

    Attributes:
        tls: Folder of the certificates; None takes :func:`ctgrid.data.store.tls.default_folder`.
        insecure: Whether one without TLS will do.
    """

    tls: Path | None = None
    insecure: bool = False


USUAL = Access()
"""With TLS, by the certificates in the usual place."""


def run_jobs(
    jobs: Iterable[StoreJob],
    workers: int = 1,
    scheduler: str | None = None,
    work: Callable[[StoreJob], Row] = prepare_case,
    access: Access = USUAL,
) -> Generator[Row, None, None]:
    """Yield the row of each job as it is finished; closing the iterator early drops what is not.

    A worker that dies takes nothing with it but its own volume in flight, which another does again; a scan
    whose workers die three times is given up as failed.

    Args:
        jobs: What is to be done; taken one by one, a few ahead of the work.
        workers: Worker processes on this machine; 1 works in this process.
        scheduler: The address of a Dask scheduler, instead of ``workers``.
        work: What to do with a job; it must be importable on the workers.
        access: How the scheduler is reached.

    Raises:
        CannotWrite: The store cannot be written.
        CtgridError: The scheduler is not there or goes away, is open to anyone, or a worker cannot see the store.
    """
    if scheduler is None:
        yield from map(work, jobs) if workers == 1 else run_on_workers(iter(jobs), workers, work)
        return
    jobs = iter(jobs)
    first = list(islice(jobs, 1))
    with _client(scheduler, access) as client, _cluster_there():
        if first:
            _check_workers(client, first[0].store)
        yield from _pump(client, chain(first, jobs), work)


def _pump(client: Client, jobs: Iterator[StoreJob], work: Callable[[StoreJob], Row]) -> Iterator[Row]:
    """Keep a few jobs for each thread in flight, whatever the number of jobs."""
    running: dict[str, tuple[StoreJob, Future]] = {}
    finished = require("distributed").as_completed(loop=client.loop, raise_errors=False)

    def submit(count: int) -> None:
        for job in islice(jobs, max(0, count)):
            key = f"prepare-{job.case.name}"
            future = client.submit(work, job, key=key, pure=False)
            running[key] = job, future
            finished.add(future)

    try:
        submit(_window(client))
        while running:
            future = next(finished)
            job, _ = running.pop(str(future.key))
            row = _row_of(future, job)
            future.release()
            submit(_window(client) - len(running))
            yield row
    finally:
        if running:
            client.cancel([future for _, future in running.values()], force=True)


def _window(client: Client) -> int:
    """Return how many jobs may be in flight, by the threads that the cluster has now."""
    threads = sum(worker["nthreads"] for worker in client.scheduler_info(n_workers=-1)["workers"].values())
    return max(_LEAST_WINDOW, _PER_THREAD * threads)


def _row_of(future: Future, job: StoreJob) -> Row:
    """Return a job's row; where its worker died too often, that is the reason.

    Raises:
        CtgridError: The store cannot be written, or the cluster is gone.
    """
    if future.status == "finished":
        return future.result()
    if future.status != "error":
        raise CtgridError(_GONE)
    error = future.exception()
    if isinstance(error, CtgridError):
        raise error
    if isinstance(error, require("distributed").KilledWorker):
        return failed(job, f"its worker process died {error.allowed_failures + 1} times (killed, or out of memory)")
    return failed(job, one_line(f"unexpected {type(error).__name__}: {error}"))


@contextmanager
def _cluster_there() -> Iterator[None]:
    """Say in one line that the cluster went away, however the client noticed it."""
    from asyncio import CancelledError

    client, comm = require("distributed.client"), require("distributed.comm")
    try:
        yield
    except (CancelledError, client.ClosedClientError, comm.CommClosedError, TimeoutError) as error:
        raise CtgridError(_GONE) from error


@contextmanager
def _client(scheduler: str, access: Access) -> Iterator[Client]:
    """Yield a client of the cluster."""
    settings, distributed = require("dask.config"), require("distributed")
    secured = scheduler.startswith("tls://")
    if not secured and not access.insecure:
        raise CtgridError(
            f"the Dask scheduler {scheduler} has no TLS: whoever reaches it runs code as you; start it with TLS "
            f"(docs/prepare.md shows how) and give its tls:// address, or pass --insecure"
        )
    if not _ADDRESS.fullmatch(scheduler):
        raise CtgridError(f"cannot reach the Dask scheduler {one_line(scheduler)}: expected tls://HOST:PORT")
    with ExitStack() as stack:
        stack.enter_context(settings.set(_CONFIG))
        stack.enter_context(_quiet())
        try:
            trusted = {"security": security(access.tls)} if secured else {}
            client = distributed.Client(scheduler, timeout=_REACH_S, set_as_default=False, **trusted)
        except (CtgridError, MemoryError):
            raise
        except Exception as error:  # an address that is none fails in any way that it likes
            raise CtgridError(f"cannot reach the Dask scheduler {scheduler}: {reason_of(error)}") from error
        yield stack.enter_context(client)


def _check_workers(client: Client, store: Path) -> None:
    """Make sure that the workers there are by now have this ctgrid and see the store.

    Raises:
        CtgridError: One does not.
    """
    mine = version_of("ctgrid")
    try:
        answers: dict[str, Any] = client.run(_probe, str(store))
    except (ImportError, AttributeError, OSError, require("distributed").KilledWorker) as error:
        raise CtgridError(f"the Dask workers cannot run ctgrid {mine}: {error}; install it there") from error
    for worker, (version, sees) in sorted(answers.items()):
        if version != mine:
            raise CtgridError(f"the Dask worker {worker} has ctgrid {version}, this is {mine}; install the same")
        if not sees:
            raise CtgridError(f"the Dask worker {worker} does not see {store}; use a folder that all machines share")


def _probe(store: str) -> tuple[str | None, bool]:
    return version_of("ctgrid"), Path(store).is_dir()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's log lines off the terminal while a cluster works."""
    families = ("distributed", "tornado", "asyncio")
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in families]
    loggers = [logging.getLogger(name) for name in {*families, *names}]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
