"""Kills at any moment, full disks, two at once, signals, folders that go: nothing lost, nothing half, one line."""

from __future__ import annotations

import importlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytestmark = [
    pytest.mark.hostile,
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes"),
]
NAMES = ["prepare", "train", "phantoms", "denoise", "convert", "report"]


@pytest.fixture(scope="session")
def commands() -> ModuleType:
    """The table of long commands."""
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        return importlib.import_module("commands")
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="session")
def scans_in(commands: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small scans that all commands read."""
    return Path(commands.inputs(tmp_path_factory.mktemp("hostile") / "data"))


@pytest.fixture(scope="session")
def whole(commands: ModuleType, scans_in: Path, forked: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function that gives what a command makes undisturbed, and its seconds."""
    known: dict[str, tuple[dict[str, str], float]] = {}

    def result(name: str) -> tuple[dict[str, str], float]:
        if name not in known:
            out, started = tmp_path_factory.mktemp(name), time.monotonic()
            ended = forked(commands.COMMAND, *commands.COMMANDS[name].begin(scans_in, out)).wait()
            assert ended.returncode == 0, ended.stderr
            known[name] = commands.digest(out), time.monotonic() - started
        return known[name]

    return result


def run(commands: ModuleType, forked: Any, name: str, scans_in: Path, out: Path, again: bool = False) -> Any:
    """Start a command."""
    long = commands.COMMANDS[name]
    return forked(commands.COMMAND, *long.begin(scans_in, out), *(long.again if again else ()))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_killed_and_run_again_is_the_same(
    name: str, commands: ModuleType, scans_in: Path, whole: Any, forked: Any, tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    wanted, seconds = whole(name)
    seed = request.config.getoption("--hostile-seed")
    for number in range(max(1, request.config.getoption("--hostile-cases") // 12)):
        draw, out = random.Random(f"{name} {seed} {number}"), tmp_path / str(number)
        out.mkdir()
        for _ in range(draw.choice((1, 2)) if number else 1):
            process = run(commands, forked, name, scans_in, out, again=any(out.iterdir()))
            time.sleep(draw.uniform(0, seconds))
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        ended = run(commands, forked, name, scans_in, out, again=any(out.iterdir())).wait()
        assert ended.returncode == 0, (number, ended.stderr)
        assert commands.digest(out) == wanted, number


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_is_named_and_leaves_nothing_half(
    name: str, commands: ModuleType, scans_in: Path, whole: Any, forked: Any, tmp_path: Path
) -> None:
    """Files may not grow beyond 900 bytes; then the disk has room again."""
    wanted, _ = whole(name)
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900)); " + commands.COMMAND
    ended = forked(code, *commands.COMMANDS[name].begin(scans_in, tmp_path)).wait()
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert "File too large" in ended.stderr, ended.stderr
    hidden = [p.name for p in tmp_path.rglob("*") if p.name.startswith(".")]
    assert hidden == []
    ended = run(commands, forked, name, scans_in, tmp_path, again=any(tmp_path.iterdir())).wait()
    assert ended.returncode == 0, ended.stderr
    assert commands.digest(tmp_path) == wanted


HOLD = """
import sys, time; from pathlib import Path; from ctgrid.base.locks import owned
with owned(Path(sys.argv[1]), "train"):
    print("held", flush=True); time.sleep(300)
"""


@pytest.mark.parametrize(
    ("name", "folder"),
    [("prepare", "X.zarr"), ("train", "run"), ("phantoms", "p"), ("denoise", "d"), ("convert", "series")],
)
def test_the_second_of_two_at_once_is_refused(
    name: str, folder: str, commands: ModuleType, scans_in: Path, forked: Any, tmp_path: Path
) -> None:
    holder = forked(HOLD, tmp_path / folder)
    assert holder.line() == "held"
    ended = run(commands, forked, name, scans_in, tmp_path).wait()
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1 and f"(process {holder.pid} on " in ended.stderr, ended.stderr
    assert not (tmp_path / folder).exists()
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert run(commands, forked, name, scans_in, tmp_path).wait().returncode == 0
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(("number", "word"), [(signal.SIGHUP, "hung up"), (signal.SIGTERM, "terminated")])
def test_training_that_is_told_to_stop_keeps_its_work(
    number: signal.Signals, word: str, commands: ModuleType, scans_in: Path, forked: Any, tmp_path: Path
) -> None:
    arguments = ["train", "codec", "--data", scans_in / "in", "--out", tmp_path / "run", *commands.TRAIN]
    process = forked(commands.COMMAND, *arguments, "--set=optimisation.checkpoint_every=100000", "--max-steps=100000")
    last = time.monotonic() + 120
    while not (tmp_path / "run" / "log.jsonl").exists() and time.monotonic() < last:
        time.sleep(0.02)
    os.kill(process.pid, number)
    ended = process.wait()
    assert ended.returncode == 128 + number and ended.stderr.endswith(f"ctgrid: {word}\n"), ended.stderr
    steps = len((tmp_path / "run" / "log.jsonl").read_text().splitlines())
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == [f"step_{steps:08d}"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"


BOTH = """
import json, sys
from ctgrid_cli import app
for words in json.loads(sys.argv[1]):
    try:
        app(words)
    except SystemExit as end:
        assert not end.code, words
"""


def test_a_name_of_any_bytes_stops_no_batch(commands: ModuleType, scans_in: Path, tmp_path: Path) -> None:
    """Bad bytes and umlauts among good names, where the file system's encoding is ASCII; records are UTF-8."""
    folder, outs = tmp_path / "in", {"prepare": "X.zarr", "denoise": "d"}
    folder.mkdir()
    for scan in (b"bad\xff.nii.gz", "größe.nii.gz".encode(), b"good.nii.gz"):
        shutil.copy(scans_in / "in" / "a.nii.gz", os.fsencode(folder) + b"/" + scan)
    (folder / "damaged.nii.gz").write_bytes(b"\0")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "OMP_NUM_THREADS": "1"}
    lines = []
    for name in outs:
        (tmp_path / name).mkdir()
        lines.append([str(word) for word in commands.COMMANDS[name].begin(tmp_path, tmp_path / name)])
    done = subprocess.run(  # one process of its own for both: the encoding is fixed at its start
        [sys.executable, "-c", BOTH, json.dumps(lines)], env=os.environ | ascii_only, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for name, out in outs.items():
        made = {os.fsencode(path.name).decode("utf-8").partition(".")[0] for path in (tmp_path / name / out).iterdir()}
        assert {"bad-xff", "größe", "good"} <= made
        records = [path for path in (tmp_path / name).rglob("*.json*") if path.name != "zarr.json"]
        assert len(records) >= 2
        text = "".join(path.read_bytes().decode("utf-8") for path in records)
        assert "bad\\\\xff" in text and "\\ud" not in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["info", "IN/bad\udcff.nii.gz"], "out"),
        (["info", "IN/bad\udcff.nii.gz", "--json"], "out"),
        (["split", "IN", "--out", "OUT/s.yaml"], "OUT/s.yaml"),
        (["report", "IN", "--out", "OUT/r.html"], "OUT/r.html"),
        (["evaluate", "denoising", "--clean", "IN/bad\udcff.nii.gz", "--methods", "nlm", "--noise", "gaussian:30",
          "--out", "OUT/e"], "OUT/e/results.json"),
    ],
    ids=["info", "info --json", "split", "report", "evaluate"],
)  # fmt: skip
def test_names_of_any_bytes_are_told_as_text(
    arguments: list[str], told: str, commands: ModuleType, scans_in: Path, forked: Any, tmp_path: Path
) -> None:
    """What is written and printed is UTF-8, and names the file by its bytes."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    for source, scan in (("a", b"bad\xff.nii.gz"), ("b", b"good.nii.gz")):
        shutil.copy(scans_in / "in" / f"{source}.nii.gz", os.fsencode(folder) + b"/" + scan)
    given = [one.replace("IN", str(folder)).replace("OUT", str(out)) for one in arguments]
    ended = forked(commands.COMMAND, *given).wait()
    assert ended.returncode == 0, ended.stderr
    texts = (path for path in out.rglob("*") if path.suffix in (".json", ".jsonl", ".md", ".html", ".yaml", ".csv"))
    written = [path.read_bytes().decode("utf-8") for path in texts]
    shown = ended.stdout if told == "out" else Path(told.replace("OUT", str(out))).read_text(encoding="utf-8")
    assert re.search(r"bad(\\{1,2}|-)xff", shown), shown[:2000]
    assert not any("\\udcff" in text for text in (ended.stdout, ended.stderr, *written))


@pytest.mark.parametrize("name", ["prepare", "denoise"])
def test_a_folder_that_is_removed_midway_is_noticed(
    name: str, commands: ModuleType, scans_in: Path, forked: Any, tmp_path: Path
) -> None:
    """What is left is not told as a success, and not made again silently."""
    folder = tmp_path / {"prepare": "X.zarr", "denoise": "d"}[name]
    first = {"prepare": "a", "denoise": "a.nii.gz"}[name]
    process = run(commands, forked, name, scans_in, tmp_path)
    last = time.monotonic() + 60
    while not (folder / first).exists() and time.monotonic() < last:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGSTOP)
    gone = len([p for p in folder.iterdir() if p.name[0] in "abc"]) < 3
    if gone:
        shutil.rmtree(folder)
    os.kill(process.pid, signal.SIGCONT)
    ended = process.wait()
    if gone:
        assert ended.returncode == 1 and "while ctgrid" in ended.stderr, ended.stderr
