"""``ctgrid denoise``: geometry, number format, record. The denoising itself is tested with the library."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from ctgrid import Volume
from ctgrid.files import sha256_of


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
def test_shape_affine_and_dtype_are_the_inputs(
    dtype: type, ctgrid: Callable[..., Any], fake: Any, scan: Path, tmp_path: Path
) -> None:
    """What reads the input reads the output."""
    source, out = tmp_path / "in.nii.gz", tmp_path / "out.nii.gz"
    Volume.read(scan).write(source, dtype=dtype)
    before = source.read_bytes()
    result = ctgrid("denoise", source, "--out", out, "--strength", "30")
    assert (result.exit_code, result.stderr) == (0, "")
    a, b = nib.load(source), nib.load(out)
    assert a.shape == b.shape and a.get_data_dtype() == b.get_data_dtype() == dtype
    assert np.array_equal(a.affine, b.affine)
    assert source.read_bytes() == before
    assert fake.calls[1] == {
        "strength": 30.0,
        "seed": 0,
        "steps": 20,
        "refine_steps": 8,
        "batch_size": 8,
    }


def test_record(ctgrid: Callable[..., Any], fake: Any, scan: Path, tmp_path: Path) -> None:
    """The record tells how HU were found, what noise, and which bytes."""
    out = tmp_path / "out.nii.gz"
    result = ctgrid("denoise", scan, "--out", out, "--json")
    record = json.loads(result.stdout)
    assert record["inputs"][0]["sha256"] == sha256_of(scan)
    assert record["outputs"][0]["sha256"] == sha256_of(out)
    assert record["decisions"]["hu"]["source"] == "stored"
    assert record["decisions"]["noise_hu"] == 25.0
    assert record["settings"]["strength"] == "auto"
    assert fake.calls[1]["strength"] == "auto"
    assert (tmp_path / "run.json").is_file()


def test_hu_reading_can_be_chosen(ctgrid: Callable[..., Any], fake: Any, scan: Path, tmp_path: Path) -> None:
    """The way out of an ambiguous file."""
    result = ctgrid("denoise", scan, "--out", tmp_path / "out.nii.gz", "--hu", "header", "--json")
    assert json.loads(result.stdout)["decisions"]["hu"]["source"] == "header"
