"""kill -9 at any step of the work on the file system, then the same command again: the same store, bit for bit."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ctgrid.data.store import StoreSettings
from ctgrid.data.store.prepare import prepare
from ctgrid.data.store.report import read_report
from ctgrid_cli import app

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

SCRIPT = """
import json, os, signal, sys
from pathlib import Path
from ctgrid.data.store import StoreSettings
from ctgrid.data.store.prepare import prepare

scans, folder, settings = Path(sys.argv[1]), Path(sys.argv[2]), StoreSettings(**json.loads(sys.argv[3]))

def run(out, last_step):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    steps = 0
    def watch(event, args):
        nonlocal steps
        if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir") and str(folder) in str(args[0]):
            steps += 1
            if steps == last_step:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)
    prepare([scans], out, settings)
    os._exit(0)

ends = []
for last_step in range(1, 1000, int(sys.argv[4])):
    out = folder / f"{last_step}.zarr"
    ends.append(run(out, last_step))
    if ends[-1]:
        assert run(out, 10**9) == 0
    else:
        break
print(ends)
"""


def test_killed_at_any_step_and_run_again(
    scans: Callable[..., Path],
    small: StoreSettings,
    tmp_path: Path,
    digest: Callable[[Path], dict[str, str]],
    forked: Any,
) -> None:
    folder = scans("a", "b", slices=10)
    prepare([folder], tmp_path / "whole.zarr", small)
    (tmp_path / "killed").mkdir()
    done = forked(SCRIPT, folder, tmp_path / "killed", json.dumps(small.as_dict()), 17).wait()
    assert done.returncode == 0, done.stderr
    ends = eval(done.stdout)
    assert len(ends) >= 5 and set(ends[:-1]) == {-signal.SIGKILL} and ends[-1] == 0
    stores = sorted((tmp_path / "killed").glob("*.zarr"))
    assert len(stores) == len(ends)
    for store in stores:
        assert digest(store) == digest(tmp_path / "whole.zarr"), store.name
        rows = read_report(store.with_suffix(".report.jsonl"))
        assert sorted(row["name"] for row in rows) == ["a", "b"] and {row["status"] for row in rows} == {"ok"}
        assert len(store.with_suffix(".report.jsonl").read_text(encoding="utf-8").splitlines()) == 2
    left = {path.name for path in (tmp_path / "killed").iterdir() if path.name.startswith(".")}
    assert not left, left


COMMAND = """
import json, os, signal, sys
from ctgrid_cli import app
out, puts = sys.argv[sys.argv.index("--out") + 1], 0
def watch(event, args):
    global puts
    if event == "os.rename" and os.path.dirname(args[1]) == out:
        puts += 1
        if puts == 4:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
app(sys.argv[1:])
"""


def test_the_command_killed_goes_on_where_it_was(
    scans: Callable[..., Path], tmp_path: Path, digest: Callable[[Path], dict[str, str]], forked: Any
) -> None:
    folder = scans(*(f"train_{n}_a_1" for n in range(6)))
    out = tmp_path / "X.zarr"
    arguments = ["prepare", str(folder), "--out", str(out), "--size", "16"]
    killed = forked(COMMAND, *arguments).wait()
    assert killed.returncode == -signal.SIGKILL and (out / ".partial").is_dir()
    done = {path.name: path.stat().st_mtime_ns for path in out.glob("train_*")}
    assert len(done) == 3
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 0 and "3 already there" in again.stdout, again.output
    assert {name: (out / name).stat().st_mtime_ns for name in done} == done
    prepare([folder], tmp_path / "whole.zarr", StoreSettings(size=16))
    assert digest(out) == digest(tmp_path / "whole.zarr")
