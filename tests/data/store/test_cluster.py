"""Many processes make the store that one makes, and workers may die."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctgrid import CtgridError
from ctgrid.data.store import Store, StoreSettings
from ctgrid.data.store.cluster import Access, run_jobs
from ctgrid.data.store.one import StoreJob
from ctgrid.data.store.prepare import prepare
from ctgrid.data.store.report import read_report, tally
from ctgrid.data.store.tls import security

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def test_one_worker_works_in_this_process_and_only_as_asked(jobs: Callable[..., Iterator[StoreJob]]) -> None:
    begun: list[str] = []

    def work(job: StoreJob) -> dict[str, Any]:
        begun.append(job.case.name)
        return {"pid": os.getpid()}

    rows = run_jobs(jobs("a", "b", "c"), work=work)
    assert next(rows) == {"pid": os.getpid()} and begun == ["a"]
    rows.close()
    assert begun == ["a"]


def test_no_scheduler_is_said(jobs: Callable[..., Iterator[StoreJob]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctgrid.data.store.cluster._REACH_S", 0.2)
    for address in (
        "tcp://127.0.0.1:1",
        "nonsense://127.0.0.1:1",
        "nonsense://x",
        "null",
        "",
        "tls://a b:3",
        "tls://h:٣é",
    ):
        with pytest.raises(CtgridError, match="cannot reach the Dask scheduler"):
            list(run_jobs(jobs("a"), scheduler=address, access=Access(insecure=True)))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "127.0.0.1:8786", "ucx://10.0.0.5:8786"])
def test_a_scheduler_that_anyone_can_reach_is_not_used(jobs: Callable[..., Iterator[StoreJob]], address: str) -> None:
    with pytest.raises(CtgridError, match=r"has no TLS.*--insecure"):
        list(run_jobs(jobs("a"), scheduler=address))


KILLED = """
import json, multiprocessing, os, signal, sys
from pathlib import Path
from ctgrid.data.store import StoreSettings
from ctgrid.data.store.prepare import prepare

fork, killed = multiprocessing.get_context("fork"), []
multiprocessing.get_context = lambda name: fork  # workers spawned import for seconds; test_workers.py has such

def kill_one(row):
    if not killed:
        one, other = multiprocessing.active_children()
        killed.append(one.pid)
        os.kill(one.pid, signal.SIGKILL)

folder, out = map(Path, sys.argv[1:3])
rows = prepare([folder], out, StoreSettings(**json.loads(sys.argv[3])), workers=2, on_row=kill_one)
assert killed
print(json.dumps(rows))
"""


def test_a_worker_killed_midway_loses_and_doubles_nothing(
    scans: Callable[..., Path], tmp_path: Path, digest: Callable[[Path], dict[str, str]], small: StoreSettings,
    forked: Any,
) -> None:  # fmt: skip
    folder = scans(*(f"scan-{n:02}" for n in range(12)), slices=10)
    done = forked(KILLED, folder, tmp_path / "X.zarr", json.dumps(small.as_dict())).wait()
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert tally(rows)["ok"] == 12
    assert sorted(row["name"] for row in read_report(tmp_path / "X.report.jsonl")) == [row["name"] for row in rows]
    prepare([folder], tmp_path / "whole.zarr", small)
    assert digest(tmp_path / "X.zarr") == digest(tmp_path / "whole.zarr")


@pytest.mark.slow
def test_a_cluster_that_is_there_is_used_and_a_scan_that_kills_is_given_up(
    scans: Callable[..., Path], tmp_path: Path, small: StoreSettings, jobs: Callable[..., Iterator[StoreJob]]
) -> None:
    from distributed import LocalCluster

    def deadly(job: StoreJob) -> dict[str, Any]:
        import os

        if job.case.name == "deadly":
            os.kill(os.getpid(), 9)
        return {"name": job.case.name, "status": "ok"}

    access, quiet = Access(tmp_path / "tls"), {"dashboard_address": None, "silence_logs": 50}
    trusted = {"security": security(access.tls), "protocol": "tls://"}
    with LocalCluster(n_workers=1, threads_per_worker=1, **quiet, **trusted) as cluster:
        address = cluster.scheduler_address
        with pytest.raises(CtgridError, match="cannot reach"):
            list(run_jobs(jobs("a"), scheduler=address, access=Access(tmp_path / "others")))
        rows = prepare([scans("a", "b", slices=10)], tmp_path / "X.zarr", small, scheduler=address, access=access)
        assert tally(rows)["ok"] == 2 and Store.open(tmp_path / "X.zarr").names() == ["a", "b"]
        cluster.scheduler.allowed_failures = 0
        found = list(run_jobs(jobs("a", "deadly", "b"), scheduler=address, work=deadly, access=access))
    status = {row["name"]: row["status"] for row in found}
    assert status["deadly"] == "failed" and set(status) == {"a", "b", "deadly"}
    assert "worker process died" in next(row["reason"] for row in found if row["name"] == "deadly")
