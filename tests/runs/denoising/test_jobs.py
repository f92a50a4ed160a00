"""Where results go, decided before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ctgrid import CtgridError, Volume
from ctgrid.runs.denoising.jobs import plan_jobs

AFFINE = np.diag([-0.9, -0.9, 2.5, 1.0])


@pytest.fixture
def inputs(tmp_path: Path, chest: Callable[..., np.ndarray]) -> Path:
    """Like-named scans of several kinds below one folder."""
    volume = Volume(chest((3, 16, 16)), AFFINE)
    for name in ("in/one/scan.nii.gz", "in/two/scan.nii", "in/two/b.mha", "in/series"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        volume.write(tmp_path / name)
    return tmp_path / "in"


def test_names_keep_their_inputs(inputs: Path, tmp_path: Path) -> None:
    """Suffixes too; like-named ones get their folder's name in front; residuals of DICOM are NIfTI."""
    plan = plan_jobs([inputs], tmp_path / "out", residual=tmp_path / "rest")
    assert plan.many and plan.folders == [tmp_path / "out"]
    assert [job.out.name for job in plan.jobs] == ["one__scan.nii.gz", "series", "b.mha", "two__scan.nii"]
    assert [job.residual.name for job in plan.jobs if job.residual] == [
        *("one__scan.nii.gz", "series.nii.gz", "b.mha", "two__scan.nii")
    ]
    assert plan.jobs[2].picture == tmp_path / "out" / "b_compared.png"
    assert not (tmp_path / "out").exists()


def test_one_scan(inputs: Path, tmp_path: Path) -> None:
    """Into a file, or a folder; a series into a folder of its own files."""
    scan = inputs / "two" / "b.mha"
    plan = plan_jobs([scan], tmp_path / "x.nii.gz", picture=False)
    assert not plan.many and plan.jobs[0].outputs == [tmp_path / "x.nii.gz"]
    assert plan_jobs([scan], tmp_path / "x").jobs[0].out == tmp_path / "x" / "b.mha"
    series = plan_jobs([inputs / "series"], tmp_path / "x")
    assert not series.many and series.jobs[0].outputs == [tmp_path / "x", tmp_path / "x_compared.png"]


def test_nothing_is_written_twice(inputs: Path, tmp_path: Path) -> None:
    """A residual is no result: neither as a file nor in the same folder."""
    out = tmp_path / "x.nii.gz"
    with pytest.raises(CtgridError, match=r"x\.nii\.gz would be written twice; choose another --residual or --out"):
        plan_jobs([inputs / "two" / "b.mha"], out, residual=out)
    with pytest.raises(CtgridError, match="would be written twice"):
        plan_jobs([inputs], tmp_path / "y", residual=tmp_path / "y")


def test_inputs_are_safe(inputs: Path, tmp_path: Path) -> None:
    """From outputs, residuals and folders, through links too; unknown suffixes are refused."""
    scan = inputs / "one" / "scan.nii.gz"
    (tmp_path / "link").symlink_to(inputs)
    for out, residual in (
        (scan, None),
        (tmp_path / "link" / "one" / "scan.nii.gz", None),
        (tmp_path / "x.nii", scan),
        (inputs / "one", None),
    ):
        with pytest.raises(CtgridError, match="is the input"):
            plan_jobs([scan], out, residual=residual)
    with pytest.raises(CtgridError, match="lies inside the input folder"):
        plan_jobs([inputs], tmp_path / "link" / "new")
    for name in ("x.dcm", "x.txt", "x.zip"):
        with pytest.raises(CtgridError, match=f"cannot write .*{name}"):
            plan_jobs([scan], tmp_path / name)
