"""Worker processes at the other end of nameless pipes: their deaths touch nobody, and nothing listens."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from ctgrid import CtgridError
from ctgrid.data.store.cluster import run_jobs
from ctgrid.data.store.one import StoreJob
from ctgrid.data.store.workers import failed, run_on_workers

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def answer_or_die(job: StoreJob) -> dict[str, Any]:
    """Work for processes: they must be able to import it."""
    if job.case.name.startswith("deadly"):
        os.kill(os.getpid(), signal.SIGKILL)
    if job.case.name == "odd":
        raise ZeroDivisionError("two\nlines")
    if job.case.name == "full":
        raise CtgridError("cannot write the store")
    return {"name": job.case.name, "status": "ok", "pid": os.getpid()}


def test_local_workers_listen_nowhere_and_their_deaths_touch_nobody(jobs: Callable[..., Iterator[StoreJob]]) -> None:
    psutil = pytest.importorskip("psutil")
    rows, most = [], 0
    others = set(psutil.Process().children(recursive=True))  # of other tests, such as a browser that stays open
    for row in run_jobs(jobs("a", "deadly", "odd", "b", "c"), workers=2, work=answer_or_die):
        rows.append(row)
        processes = [psutil.Process(), *(set(psutil.Process().children(recursive=True)) - others)]
        most = max(most, len(processes))
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # a worker that is dying just now
                assert [c for c in process.net_connections("inet") if c.status == "LISTEN"] == []
                assert [c for c in process.net_connections("unix") if c.laddr] == []  # nor under a name
    assert most > 2
    by_name = {row["name"]: row for row in rows}
    assert {name for name, row in by_name.items() if row["status"] == "ok"} == {"a", "b", "c"}
    assert "worker process died 3 times" in by_name["deadly"]["reason"]
    assert by_name["odd"]["reason"] == "unexpected ZeroDivisionError: two lines"
    assert os.getpid() not in {row.get("pid") for row in rows}


def test_what_concerns_all_jobs_ends_them(jobs: Callable[..., Iterator[StoreJob]]) -> None:
    psutil = pytest.importorskip("psutil")
    with pytest.raises(CtgridError, match="cannot write the store"):
        list(run_jobs(jobs("a", "full", *"bcdefgh"), workers=2, work=answer_or_die))
    assert not [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]


def test_without_jobs_no_process_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctgrid.data.store.workers._Worker", None)
    assert list(run_on_workers(iter(()), 4, answer_or_die)) == []


def test_a_job_that_came_to_nothing_has_a_row(jobs: Callable[..., Iterator[StoreJob]]) -> None:
    (job,) = jobs("a")
    row = failed(job, "why")
    assert (row["name"], row["status"], row["reason"]) == ("a", "failed", "why") and row["input"] == job.case.key
