"""Wrong usage is one line and exit code 2; help and version come without the heavy libraries."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("synthesize --slices 0 --out a.nii.gz", "--slices"),
        ("synthesize --slices -3 --out a.nii.gz", "--slices"),
        ("synthesize --slices many --out a.nii.gz", "--slices"),
        ("synthesize --count 0 --out a.nii.gz", "--count"),
        ("synthesize --steps 0 --out a.nii.gz", "--steps"),
        ("synthesize --seed -1 --out a.nii.gz", "--seed"),
        ("synthesize --sampler euler --out a.nii.gz", "dpm++"),
        ("synthesize --device tpu --out a.nii.gz", "cuda:N, mps"),
        ("denoise a.nii.gz --device cuda:x --out b.nii.gz", "cuda:N, mps"),
        ("synthesize --no-such-option", "--no-such-option"),
        ("synthesize --as video --fps 1001 --out a.mp4", "--fps"),
        ("synthesize --as video --fps 0 --out a.mp4", "--fps"),
        ("simulate phantom --noise 1001 --out a.nii.gz", "--noise"),
        ("simulate phantom --noise nan --out a.nii.gz", "--noise"),
        ("denoise", "IN"),
        ("denoise a.nii.gz --out b.nii.gz --strength -4", "--strength"),
        ("denoise a.nii.gz --out b.nii.gz --strength nan", "--strength"),
        ("denoise a.nii.gz --out b.nii.gz --strength strong", "--strength"),
        ("preview a.nii.gz --out b.png --window 5", "--window"),
        ("preview a.nii.gz --out b.png --window 400,-1000", "--window"),
        ("preview a.nii.gz --out b.png --window 0,inf", "--window"),
        ("train vae --data . --out run", "codec"),
        ("train codec --data . --out run --set steps", "KEY=VALUE"),
        ("train codec --data . --out run --set steps=[1", "YAML"),
        ("nonsense", "nonsense"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(fails: Callable[..., str], line: str, word: str) -> None:
    """The line names the option and where help is to be had."""
    message = fails(*line.split(), code=2)
    assert word in message
    assert "--help" in message


def test_no_command_shows_the_help(ctgrid: Callable[..., Any]) -> None:
    """``ctgrid`` alone is a question, not a mistake."""
    result = ctgrid()
    assert result.exit_code == 0
    assert all(name in result.stdout for name in ("synthesize", "denoise", "train", "preview"))


def test_version(ctgrid: Callable[..., Any]) -> None:
    """``--version`` prints one line."""
    from importlib.metadata import version

    result = ctgrid("--version")
    assert (result.exit_code, result.stdout) == (0, f"ctgrid {version('ctgrid')}\n")


def test_help_loads_nothing_heavy() -> None:
    """Help and usage errors must feel instant."""
    code = """
import sys
from ctgrid_cli import app
try:
    app(["synthesize", "--help"])
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = {"torch", "numpy", "diffusers", "nibabel", "monai", "SimpleITK", "scipy", "PIL"} & set(sys.modules)
assert not heavy, heavy
"""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert time.perf_counter() - start < 10  # about 0.4 s; wide, because test machines are busy


def test_a_device_that_is_not_here_is_refused(
    fails: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Apple's GPUs by the name that PyTorch gives them."""
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    message = fails("synthesize", "--device", "mps", "--out", tmp_path / "a.nii.gz")
    assert "device 'mps': no GPU of an Apple processor" in message
