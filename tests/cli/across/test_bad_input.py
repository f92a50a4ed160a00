"""Every bad input is one line on stderr and exit code 1, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

UNREADABLE = ["missing", "truncated", "empty", "text", "four-d", "rgb", "nan"]


@pytest.mark.parametrize("kind", [*UNREADABLE, "mr", "one-slice"])
def test_denoise_refuses(
    kind: str, bad_scan: Callable[[str], Path], fails: Callable[..., str], fake: Any, tmp_path: Path
) -> None:
    """The line names the file; no model is loaded for it."""
    path = bad_scan(kind)
    assert str(path) in fails("denoise", path, "--out", tmp_path / "out.nii.gz")
    assert fake.calls == []


@pytest.mark.parametrize("kind", UNREADABLE)
def test_preview_refuses(kind: str, bad_scan: Callable[[str], Path], fails: Callable[..., str], tmp_path: Path) -> None:
    """A picture needs a readable volume with finite voxels."""
    path = bad_scan(kind)
    assert str(path) in fails("preview", path, "--out", tmp_path / "out.png")


@pytest.mark.parametrize("kind", ["mr", "one-slice"])
def test_preview_shows_what_denoise_refuses(
    kind: str, bad_scan: Callable[[str], Path], ctgrid: Callable[..., Any], tmp_path: Path
) -> None:
    """It helps to see why a volume was refused."""
    assert ctgrid("preview", bad_scan(kind), "--out", tmp_path / "out.png").exit_code == 0
    assert (tmp_path / "out.png").stat().st_size > 1000


COMMANDS = {
    "synthesize": ["synthesize", "--slices", "4"],
    "denoise": ["denoise", "scan.nii.gz"],
    "preview": ["preview", "scan.nii.gz"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_missing_folder(
    name: str,
    fails: Callable[..., str],
    fake: Any,
    scan: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An output folder is not invented."""
    monkeypatch.chdir(tmp_path)
    out = Path("nowhere") / ("x.png" if name == "preview" else "x.nii.gz")
    assert "nowhere" in fails(*COMMANDS[name], "--out", out)
    assert fake.calls == []


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("bad", ["x", "x.nii.gz.txt", "x.dcm"])
def test_wrong_suffix(name: str, bad: str, fails: Callable[..., str], fake: Any, scan: Path) -> None:
    """The name must say what will be written."""
    if (name, bad) == ("denoise", "x"):
        pytest.skip("a folder, which denoise fills")
    out = scan.parent / bad
    code = 2 if name == "preview" else 1  # a preview's format is chosen by its name, as by an option
    assert str(out) in fails(COMMANDS[name][0], *([scan] if name != "synthesize" else []), "--out", out, code=code)
    assert fake.calls == []


@pytest.mark.parametrize("name", COMMANDS)
def test_existing_output(name: str, fails: Callable[..., str], fake: Any, scan: Path) -> None:
    """Nothing is replaced without being asked for; the check comes before any work."""
    out = scan.parent / ("x.png" if name == "preview" else "x.nii")
    out.write_text("precious")
    message = fails(COMMANDS[name][0], *([scan] if name != "synthesize" else []), "--out", out)
    assert str(out) in message and "--overwrite" in message
    assert fake.calls == []


def test_existing_picture_stops_synthesis(fails: Callable[..., str], fake: Any, tmp_path: Path) -> None:
    """The picture is an output like any other."""
    (tmp_path / "x.png").write_text("precious")
    assert "x.png" in fails("synthesize", "--out", tmp_path / "x.nii.gz")


def test_denoise_never_writes_its_input(fails: Callable[..., str], fake: Any, scan: Path) -> None:
    """Not by its own name, not through a link, not into an input folder."""
    assert "input" in fails("denoise", scan, "--out", scan, "--overwrite")
    link = scan.with_name("link.nii.gz")
    link.symlink_to(scan)
    assert "input" in fails("denoise", scan, "--out", link, "--overwrite")
    series = scan.parent / "series"
    series.mkdir()
    assert "input" in fails("denoise", series, "--out", series / "x.nii.gz")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (RuntimeError("two\nlines"), 1, "unexpected RuntimeError: two lines (ctgrid -v ... shows the trace"),
        (MemoryError(), 1, "not enough memory"),
        (OSError(28, "No space left on device", "/tmp/x"), 1, "/tmp/x: No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_failure_inside_the_pipeline(
    error: BaseException, code: int, words: str, fails: Callable[..., str], fake: Any, tmp_path: Path
) -> None:
    """Whatever happens: one line, no volume, no record."""
    fake.fail_at, fake.error = 0, error
    assert words in fails("synthesize", "--slices", 3, "--out", tmp_path / "x.nii.gz", code=code)


def test_from_the_shell(bad_scan: Callable[[str], Path], tmp_path: Path) -> None:
    """The same in a process of its own: libraries add nothing to stderr. One scan's file is bad, the other's values."""
    kinds = ("truncated", "mr")
    args = ["denoise", *[str(bad_scan(kind)) for kind in kinds], "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "ctgrid_cli", *args],
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k != "CTGRID_DEBUG"},
    )
    assert done.returncode == 1
    assert done.stdout.count("\n") == 2 and all(kind in done.stdout for kind in kinds)
    assert done.stderr.startswith("ctgrid: ") and done.stderr.count("\n") == 1, done.stderr
    assert not list(tmp_path.glob("*out*")) and not (tmp_path / "run.json").exists()
