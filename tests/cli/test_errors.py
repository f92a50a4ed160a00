"""Failures become one line and an exit code, whatever they are; libraries keep silent."""

from __future__ import annotations

import errno
import logging
import signal
import warnings
from pathlib import Path

import pytest
import typer

from ctgrid.base.errors import CtgridError, CtgridWarning
from ctgrid.base.interrupt import Stopped
from ctgrid_cli.errors import explain, one_line_failures, quiet_libraries, say, tell


def test_only_ctgrids_own_warnings_are_shown_and_each_once(capsys: pytest.CaptureFixture[str]) -> None:
    """As one line on stderr, whatever was set up for warnings around it."""
    shown = warnings.showwarning
    with quiet_libraries():
        warnings.warn("a library's", UserWarning, stacklevel=1)
        for text in ("this would\ncrawl", "another", "this would\ncrawl"):
            warnings.warn(text, CtgridWarning, stacklevel=1)
    assert capsys.readouterr().err == "ctgrid: warning: this would crawl\nctgrid: warning: another\n"
    assert warnings.showwarning is shown


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (CtgridError("a.nii is damaged"), "a.nii is damaged", 1),
        (KeyboardInterrupt(), "interrupted", 130),
        (Stopped(signal.SIGTERM), "terminated", 143),
        (Stopped(signal.SIGHUP), "hung up", 129),
        (OSError(errno.ENOSPC, "No space left on device", "x.nii"), "x.nii: No space left on device", 1),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "x: Permission denied", 1),
        (OSError("odd"), "odd", 1),
        (KeyError("k"), "unexpected KeyError: 'k' (ctgrid -v ... shows the trace)", 1),
        (RuntimeError(), "unexpected RuntimeError: no message (ctgrid -v ... shows the trace)", 1),
    ],
)
def test_every_failure_has_its_line_and_code(error: BaseException, line: str, code: int) -> None:
    assert explain(error) == (line, code)


def test_memory_that_runs_out_names_what_to_lower() -> None:
    assert explain(MemoryError(), "train")[0].startswith("not enough memory; lower --set optimisation.batch_size")
    assert explain(MemoryError(), "denoise")[0] == "not enough memory; lower --batch-size"
    assert explain(MemoryError())[0] == "not enough memory; lower --batch-size, or --size where there is one"
    said = "not enough memory for volumes of 9999 slices"
    assert explain(MemoryError(said), "synthesize")[0] == f"{said}; lower --batch-size, --size or --slices"


def test_a_full_disk_below_another_error_is_said_as_that() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "a.nii")
        except OSError as error:
            raise RuntimeError("a library's own") from error
    except RuntimeError as error:
        assert explain(error) == ("a.nii: No space left on device", 1)


def test_a_working_folder_that_went_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    error = FileNotFoundError(errno.ENOENT, "No such file or directory")
    assert "the working folder was removed" in explain(error)[0]


def test_the_command_lines_own_exits_pass_and_others_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    for own in (typer.Exit(3), typer.Abort(), typer.BadParameter("no")):
        with pytest.raises(type(own)), one_line_failures():
            raise own
    with pytest.raises(typer.Exit) as caught, one_line_failures("info"):
        raise CtgridError("two\nlines\x1b[2J")
    shown = capsys.readouterr()
    assert caught.value.exit_code == 1 and shown.out == ""
    assert shown.err.count("\n") == 1 and shown.err.startswith("ctgrid: two lines") and "\x1b" not in shown.err


def test_nothing_is_said_when_nobody_reads_on(capsys: pytest.CaptureFixture[str]) -> None:
    """As rich leaves when the reader of a pipe has gone."""
    with pytest.raises(typer.Exit) as gone, one_line_failures():
        raise SystemExit(1)
    assert gone.value.exit_code == 1 and capsys.readouterr().err == ""


def test_a_name_of_any_bytes_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("bad\udcff.nii: damaged")
    say("ctgrid denoise: --steps is odd")
    tell("two\nlines\udcff\x07")
    shown = capsys.readouterr()
    assert shown.err == "ctgrid: bad\\xff.nii: damaged\nctgrid denoise: --steps is odd\n"
    assert shown.out.startswith("two\nlines\\xff") and "\x07" not in shown.out


def test_libraries_log_nothing_meanwhile_and_have_their_level_back(logged: list[str]) -> None:
    logger = logging.getLogger("some.package")
    with pytest.raises(KeyError), quiet_libraries():
        logger.warning("lost")
        raise KeyError
    logger.warning("heard")
    assert logged == ["heard"]
