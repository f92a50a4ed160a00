"""Run ctgrid on one odd input, in this process, and note everything that is not as it must be."""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import io
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from odd.case import ANY, READ, Odd, arguments, chest
from typer.main import get_command

from ctgrid_cli import app

LIMIT_S = 60.0  # for a command, on a busy machine
WARNING = "ctgrid: warning: "
SMALL = "which no chest is"  # of the inputs here, small on purpose
UNMARKED = "written without the mark of HU"
SETTINGS = ("--protocol", "canonical", "--size", "16", "--k", "2", "--slices", "4")


class Hang(BaseException):
    """A command took too long."""


@dataclass
class Outcome:
    """What one command did.

    Attributes:
        command: "info", "convert" or "prepare".
        code: Exit code.
        said: The line on stderr, with the folder's path left out; empty where it was read.
        seconds: Wall time.
        problems: What is not as it must be.
        warnings: What it said aloud though it read the input; not how small it is, which all of these are.
    """

    command: str
    code: int
    said: str
    seconds: float
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What the table says: read, with a warning perhaps, or the line."""
        if self.code:
            return self.said
        about = {warning.partition(": ")[2] for warning in self.warnings if UNMARKED not in warning}
        return f"{READ}, but: {'; '.join(sorted(about))}" if about else READ


def examine(odd: Odd, folder: Path, limit_s: float = LIMIT_S) -> list[Outcome]:
    """Make the input in ``folder`` and run all three commands on it.

    Args:
        odd: The case.
        folder: An empty folder.
        limit_s: The most time for a command.
    """
    for name in ("in", "out", "tmp"):
        (folder / name).mkdir(parents=True)
    source, more = arguments(odd.make(folder / "in"))
    before = _state(folder / "in")
    outcomes = []
    for command in ("info", "convert", "prepare"):
        outcome = _run(command, source, more, folder, limit_s)
        _check(outcome, getattr(odd, command), folder)
        _check_warnings(outcome, odd.warns)
        if outcome.code == 0 and command == "convert" and odd.same:
            outcome.problems += _other_values(folder / "out" / "out.nii.gz")
        if outcome.code == 0 and command == "info":
            outcome.problems += _other_facts(outcome.said, odd.facts)
            outcome.said = ""
        if _state(folder / "in") != before:
            outcome.problems.append("the input was changed")
        if left := _state(folder / "tmp"):
            outcome.problems.append(f"temporary files were left: {sorted(left)}")
        outcomes.append(outcome)
    return outcomes


def warm_up(folder: Path) -> None:
    """Import all that the commands need, outside of any time limit.

    Args:
        folder: An empty folder.
    """
    from odd.nifti import image

    for outcome in examine(Odd("warm-up", image(), READ, READ, READ, True, "nifti", {}), folder, limit_s=600.0):
        if outcome.problems:
            raise AssertionError(f"{outcome.command} of a good scan: {outcome.problems}")


def _run(command: str, source: Path, more: Any, folder: Path, limit_s: float) -> Outcome:
    out = folder / "out"
    args = {
        "info": ["info", source, "--json", *more],
        "convert": ["convert", source, out / "out.nii.gz", *more],
        "prepare": ["prepare", source, "--out", out / "out.zarr", *SETTINGS, *more],
    }[command]
    start = time.perf_counter()
    problems: list[str] = []
    with _temporary_files_in(folder / "tmp"), _time_limit(limit_s, problems):
        code, stdout, stderr = _invoke([str(arg) for arg in args])
    seconds = time.perf_counter() - start
    if code == 0:
        lines = [line for line in stderr.splitlines() if SMALL not in line]
        warnings = [line.removeprefix(WARNING) for line in lines if line.startswith(WARNING)]
        if len(warnings) < len(lines) or not all(line.isprintable() for line in lines):
            problems.append(f"stderr of a success: {stderr!r}")
        return Outcome(command, 0, stdout if command == "info" else "", seconds, problems, warnings)
    if stdout:
        problems.append(f"stdout of a failure: {stdout!r}")
    if stderr.count("\n") != 1 or "Traceback" in stderr or not stderr.strip().isprintable():
        problems.append(f"not one printable line: {stderr!r}")
    if stderr.startswith("ctgrid: unexpected"):
        problems.append(f"not foreseen: {stderr!r}")
    said = stderr.strip()
    for path, name in ((f"{folder / 'in'}/", ""), (f"{folder / 'out'}/", ""), (str(folder / "in"), "folder")):
        said = said.replace(path, name)
    return Outcome(command, code, said.removeprefix("ctgrid: "), seconds, problems)


@functools.cache
def _command() -> Any:
    return get_command(app)


def _invoke(args: list[str]) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr; typer's own runner builds the whole command line anew for each call."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            _command().main(args, prog_name="ctgrid")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return code, out.getvalue(), err.getvalue()


def _check(outcome: Outcome, expected: str, folder: Path) -> None:
    """Compare with what was expected; after a failure nothing may be left."""
    if outcome.code not in (0, 1):
        outcome.problems.append(f"exit code {outcome.code}: {outcome.said}")
    if outcome.code != 0:
        if left := _state(folder / "out", names=True):
            new = sorted(name for name in left if not name.startswith(("out.nii.gz", "out.run.json")))
            outcome.problems += [f"left behind: {new}"] if new or outcome.command == "convert" else []
        if expected == READ:
            outcome.problems.append(f"refused: {outcome.said}")
        elif expected != ANY and not re.search(expected, outcome.said):
            outcome.problems.append(f"says {outcome.said!r}, not {expected!r}")
    elif expected not in (READ, ANY):
        outcome.problems.append(f"was read; expected {expected!r}")


def _check_warnings(outcome: Outcome, expected: str | None) -> None:
    """Compare what was said aloud with what was expected: of a success at least that, and nothing else."""
    if outcome.code != 0 or expected == ANY:
        return
    others = [w for w in outcome.warnings if UNMARKED not in w and not (expected and re.search(expected, w))]
    outcome.problems += [f"warns: {others}"] if others else []
    if expected and not outcome.warnings:
        outcome.problems.append(f"does not warn of {expected!r}")


def _other_values(path: Path) -> list[str]:
    import nibabel

    image: Any = nibabel.load(path)  # type: ignore[attr-defined]
    found, wanted = np.sort(image.get_fdata(), axis=None), np.sort(chest(), axis=None)
    if found.shape == wanted.shape and np.abs(found - wanted).max() <= 0.5:
        return []
    return [f"the values are others: {found.size} from {found[0]:g} to {found[-1]:g} HU"]


def _other_facts(stdout: str, facts: dict[str, Any]) -> list[str]:
    try:
        said = json.loads(stdout)
    except ValueError:
        return [f"no JSON: {stdout[:200]!r}"]
    return [f"{key} is {said.get(key)}, not {value}" for key, value in facts.items() if said.get(key) != value]


def _state(folder: Path, names: bool = False) -> dict[str, Any]:
    """Return what is in a folder: kind, size, time and, of small files, content."""

    def of(path: Path) -> Any:
        status = path.lstat()
        whole = path.is_file() and not path.is_symlink() and os.access(path, os.R_OK) and status.st_size < 1 << 20
        return (status.st_mode, status.st_size, status.st_mtime_ns, path.read_bytes() if whole else None)

    found = sorted(Path(parent) / name for parent, folders, files in os.walk(folder) for name in (*folders, *files))
    return {path.relative_to(folder).as_posix(): None if names else of(path) for path in found}


@contextlib.contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextlib.contextmanager
def _time_limit(limit_s: float, problems: list[str]) -> Iterator[None]:
    """Interrupt what waits or computes for too long; end the process where even that does not help."""

    def stop(number: int, frame: Any) -> None:
        problems.append(f"took more than {limit_s:g} s")
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    faulthandler.dump_traceback_later(3 * limit_s, exit=True, file=sys.__stderr__ or sys.stderr)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
