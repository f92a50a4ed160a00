"""Where results go, decided before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ctgrid import CtgridError, Volume
from ctgrid.runs.denoising.jobs import BESIDE, plan_jobs

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
    with pytest.raises(
        CtgridError, match=r"x\.nii\.gz would be written twice; choose another --residual, --trust or --out"
    ):
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


def test_maps_of_trust_lie_beside_results_or_where_they_are_wanted(inputs: Path, tmp_path: Path) -> None:
    """Each with the map of changes beside it; of a series, a series unless a file is named."""
    scan, series = inputs / "two" / "b.mha", inputs / "series"

    def of(*sources: Path, out: Path | None = tmp_path / "x", trust: Path) -> list[tuple[Path | None, Path | None]]:
        return [(job.trust, job.changed) for job in plan_jobs(list(sources), out, trust=trust).jobs]

    where = inputs / "two"
    assert of(scan, out=None, trust=BESIDE) == [
        (where / "b_denoised_trust.mha", where / "b_denoised_trust_changed.mha")
    ]
    assert of(scan, out=tmp_path / "c.nii.gz", trust=tmp_path / "t.nii") == [
        (tmp_path / "t.nii", tmp_path / "t_changed.nii")
    ]
    assert of(series, trust=BESIDE) == [(tmp_path / "x_trust", tmp_path / "x_trust_changed")]
    assert of(series, trust=tmp_path / "t.d") == [(tmp_path / "t.d", tmp_path / "t.d_changed")]
    assert of(series, trust=tmp_path / "t.nii.gz")[0][1] == tmp_path / "t_changed.nii.gz"
    assert [trust.name for trust, _ in of(inputs, trust=BESIDE) if trust] == [
        *("one__scan_trust.nii.gz", "series_trust", "b_trust.mha", "two__scan_trust.nii")
    ]
    for several in ((inputs,), (scan, series)):
        folders = {trust.parent for trust, _ in of(*several, trust=tmp_path / "maps") if trust}
        assert folders == {tmp_path / "maps"}
    beside = of(scan, series, out=None, trust=BESIDE)
    assert beside[1] == (inputs / "series_denoised_trust", inputs / "series_denoised_trust_changed")
    with pytest.raises(CtgridError, match="a map of trust must end in"):
        of(scan, out=tmp_path / "c.nii.gz", trust=tmp_path / "t")
    with pytest.raises(CtgridError, match="is a file; the maps of trust of several scans go into a folder"):
        of(inputs, trust=tmp_path / "t.nii.gz")
    with pytest.raises(CtgridError, match="is the input"):
        of(scan, out=tmp_path / "c.nii.gz", trust=scan)
    with pytest.raises(CtgridError, match="would be written twice"):
        of(scan, out=tmp_path / "c.nii.gz", trust=tmp_path / "c.nii.gz")


def test_maps_of_trust_are_no_scans_to_denoise(inputs: Path) -> None:
    """Where they lie beside their scan; by themselves they are, like any result."""
    made = [inputs / "two" / f"b_denoised{end}.mha" for end in ("", "_trust", "_trust_changed")]
    for path in made:
        Volume.read(inputs / "two" / "b.mha").write(path)
    plan = plan_jobs([inputs])
    assert plan.earlier == made and len(plan.jobs) == 4
    assert [job.source for job in plan_jobs([made[1]]).jobs] == [made[1]]
