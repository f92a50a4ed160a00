"""Both main commands with the embedded model itself, as small as it goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid import Volume

pytest.importorskip("ctgrid.methods.synthesis.pipeline")
pytest.importorskip("ctgrid.methods.denoising.pipeline")
QUICK = ["--steps", 2, "--refine-steps", 1, "--device", "cpu"]


def test_synthesize_gives_what_is_asked_for(ctgrid: Callable[..., Any], tmp_path: Path) -> None:
    """Exactly the slices asked for; another seed gives another volume, the same one the same (test_tutorials.py)."""
    made = []
    for name, seed in (("a", 1), ("b", 2)):
        out = tmp_path / f"{name}.nii.gz"
        result = ctgrid("synthesize", "--slices", 18, "--size", 128, "--seed", seed, *QUICK, "--out", out)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        made.append(out.read_bytes())
    assert made[0] != made[1]
    assert Volume.read(tmp_path / "a.nii.gz").shape == (18, 128, 128)
    record = json.loads((tmp_path / "b.run.json").read_text(encoding="utf-8"))
    assert record["dit_token_passes"] > 0
    assert sum(record["phases"].values()) == pytest.approx(record["seconds"], rel=0.3, abs=0.3)
    assert record["model"]


def test_denoise_keeps_the_grid(ctgrid: Callable[..., Any], scan: Path, tmp_path: Path) -> None:
    """Shape, affine and dtype of the input, finite HU."""
    out = tmp_path / "out.nii.gz"
    result = ctgrid("denoise", scan, *QUICK, "--out", out)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    before, after = Volume.read(scan), Volume.read(out)
    assert before.shape == after.shape
    assert np.array_equal(before.affine, after.affine)
    assert before.native_dtype == after.native_dtype
    assert json.loads((tmp_path / "out.run.json").read_text(encoding="utf-8"))["decisions"]["noise_hu"] >= 0
