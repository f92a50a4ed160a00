"""Many cases with one method: a bad one stops no other, nothing half is written, what is done is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import gather
from ctgrid.methods.denoising.methods import METHODS, Method
from ctgrid.methods.denoising.result import DenoiseResult
from ctgrid.runs.denoising.cases import denoise_cases, edges_removed, removed, write_case
from ctgrid.runs.denoising.jobs import BESIDE, JOURNAL, plan_jobs
from ctgrid.runs.denoising.settings import Request
from ctgrid.scan.volume import Volume

AFFINE = np.diag([-0.9, -0.9, 2.5, 1.0])


def asked(**changes: Any) -> Request:
    """Return a request with settings by name, the method's own too."""
    return gather(Request, changes, Request())


class Minus:
    """A method that takes 10 HU off; fails for a scan whose first voxel says so."""

    def __init__(self) -> None:
        self.error: Exception = RuntimeError("two\nlines")
        self.calls = 0

    def run(self, volume: Volume, strength: object = "auto", *, progress: object = None) -> DenoiseResult:
        self.calls += 1
        if volume.hu[0, 0, 0] == -999:
            raise self.error
        return DenoiseResult(Volume(volume.hu - 10, volume.affine), {"it": 0.5}, 33.333, {"x": 1})


@pytest.fixture
def minus(monkeypatch: pytest.MonkeyPatch) -> Minus:
    method = Minus()
    monkeypatch.setitem(METHODS, "minus", Method("minus", "", lambda loading: method, context=0, classical=True))
    return method


@pytest.fixture
def scans(tmp_path: Path, chest: Callable[..., np.ndarray]) -> Path:
    """Two good scans, a bad file and one that the method fails on, in this order."""
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "d"):
        hu = chest((3, 16, 16))
        hu[0, 0, 0] = -999 if name == "d" else -1000
        Volume(hu, AFFINE).write(tmp_path / "in" / f"{name}.nii")
    (tmp_path / "in" / "c.nii").write_bytes(b"no image")
    return tmp_path / "in"


def started(scans: Path, out: Path, **changes: Any) -> list[dict[str, Any]]:
    request = asked(method="minus", **({"picture": False} | changes))
    plan = plan_jobs([scans], out, residual=changes.get("residual"), picture=bool(changes.get("picture")))
    return denoise_cases(plan, request)


def test_a_bad_case_stops_no_other_and_says_why(minus: Minus, scans: Path, tmp_path: Path) -> None:
    entries = started(scans, tmp_path / "out")
    assert [entry["status"] for entry in entries] == ["done", "done", "failed", "failed"]
    assert str(scans / "c.nii") in entries[2]["error"]
    assert entries[3]["error"] == f"{scans / 'd.nii'}: unexpected RuntimeError: two lines"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.nii", "b.nii", JOURNAL]
    done = entries[0]
    assert (done["removed_hu"], done["noise_hu"], done["phases"]["it"], done["shape"]) == (
        10.0,
        33.33,
        0.5,
        [3, 16, 16],
    )
    listed = [json.loads(line) for line in (tmp_path / "out" / JOURNAL).read_text().splitlines()]
    assert [entry["status"] for entry in listed] == ["done", "done", "failed", "failed"]


def test_memory_that_runs_out_is_said_as_that(minus: Minus, scans: Path, tmp_path: Path) -> None:
    minus.error = MemoryError()
    error = started(scans, tmp_path / "out")[3]["error"]
    assert error.endswith("not enough memory; denoise it again with a smaller --batch-size")


def test_where_all_fail_nothing_is_left(minus: Minus, scans: Path, tmp_path: Path) -> None:
    for name in ("a.nii", "b.nii"):
        (scans / name).unlink()
    with pytest.raises(CtgridError, match=r"none of 2 scans was denoised; first: .*c\.nii"):
        started(scans, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_strict_ends_at_the_first_failure_and_keeps_what_is_done(minus: Minus, scans: Path, tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match=r"c\.nii"):
        started(scans, tmp_path / "out", strict=True)
    assert minus.calls == 2 and (tmp_path / "out" / "b.nii").exists()


def test_resuming_does_only_what_is_missing_changed_or_other(minus: Minus, scans: Path, tmp_path: Path) -> None:
    for name in ("c.nii", "d.nii"):
        (scans / name).unlink()
    out = tmp_path / "out"
    started(scans, out)
    with pytest.raises(CtgridError, match=r"exists.*--overwrite.*or --resume to keep what is done"):
        started(scans, out)
    assert [e["status"] for e in started(scans, out, resume=True)] == ["kept", "kept"] and minus.calls == 2
    (out / "b.nii").unlink()
    assert [e["status"] for e in started(scans, out, resume=True)] == ["kept", "done"] and minus.calls == 3
    for change in (lambda: (out / "a.nii").write_bytes(b"x"), lambda: Volume(np.full((3, 8, 8), 5, np.int16), AFFINE)
                   .write(scans / "a.nii", overwrite=True)):  # fmt: skip
        change()
        with pytest.raises(CtgridError, match="is listed with another input, other settings or other bytes"):
            started(scans, out, resume=True)
    with pytest.raises(CtgridError, match="other settings"):
        started(scans, out, resume=True, strength=5.0)
    (out / JOURNAL).unlink()
    with pytest.raises(CtgridError, match=r"b\.nii exists and is not listed as done|a\.nii exists and is not listed"):
        started(scans, out, resume=True)


def test_the_volume_is_written_last_with_residual_and_picture_before_it(
    minus: Minus, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that what has its name is whole; the residual is the scan less the result."""
    (job,) = plan_jobs([scans / "a.nii"], tmp_path / "x.nii.gz", residual=tmp_path / "r.nii.gz").jobs
    scan = Volume.read(scans / "a.nii")
    order: list[str] = []
    write = Volume.write
    monkeypatch.setattr(
        Volume, "write", lambda self, path, *a, **k: (order.append(path.name), write(self, path, *a, **k))[1]
    )
    write_case(job, scan, Volume(scan.hu - 10, scan.affine), overwrite=False, many=False)
    assert order == ["r.nii.gz", "x.nii.gz"] and job.picture is not None and job.picture.exists()
    assert (Volume.read(tmp_path / "r.nii.gz", hu="stored").hu == 10).all()
    assert np.array_equal(Volume.read(tmp_path / "x.nii.gz").hu, scan.hu - 10)


def test_what_was_removed_does_not_wrap() -> None:
    """16 bits hold it, clipped; floats stay floats."""
    low, high = (np.full((1, 2, 2), v, np.int16) for v in (-32768, 32767))
    rest = removed(Volume(high, AFFINE), Volume(low, AFFINE))
    assert rest.hu.dtype == np.int16 and (rest.hu == 32767).all()
    half = removed(Volume(high, AFFINE), Volume(np.full((1, 2, 2), 32766.5, np.float32), AFFINE))
    assert half.hu.dtype == np.float32 and (half.hu == 0.5).all()


def test_maps_of_trust_are_written_recorded_and_kept(
    minus: Minus, scans: Path, tmp_path: Path, trusting_model: Path
) -> None:
    """Beside each result; a map that is gone, or was never made, is no result to keep."""
    for name in ("c.nii", "d.nii"):
        (scans / name).unlink()
    out = tmp_path / "out"

    def run(**changes: Any) -> list[dict[str, Any]]:
        request = asked(method="minus", trust=BESIDE, model=str(trusting_model), **changes)
        return denoise_cases(plan_jobs([scans], out, picture=False, trust=request.trust), request)

    first = run()[0]
    names = [f"{name}{end}.nii" for name in "ab" for end in ("", "_trust", "_trust_changed")]
    assert sorted(p.name for p in out.iterdir()) == sorted([*names, JOURNAL])
    sigma, scan = Volume.read(out / "a_trust.nii", hu="stored"), Volume.read(scans / "a.nii")
    tissue = scan.hu > -890  # air is off by more
    assert sigma.hu.dtype == np.float32 and sigma.hu[tissue] == pytest.approx(5, abs=0.1)  # half of what was removed
    assert sigma.hu.min() > 4.9
    assert np.allclose(sigma.affine, scan.affine) and first["trust"]["median_hu"] == 5
    assert [Path(entry["path"]).name for entry in first["outputs"]] == names[:3]
    assert "calibrated for method detail; of minus it is a guide" in first["warnings"][-1]
    assert [e["status"] for e in run(resume=True)] == ["kept", "kept"]
    (out / "b_trust_changed.nii").unlink()
    with pytest.raises(CtgridError, match=r"b\.nii exists and is listed with .* other bytes"):
        run(resume=True)
    assert [e["status"] for e in run(resume=True, overwrite=True)] == ["kept", "done"]


def test_trust_that_cannot_be_told_is_said_before_any_work(
    minus: Minus, scans: Path, tmp_path: Path, detailed_model: Path
) -> None:
    request = asked(method="minus", trust=BESIDE, model=str(detailed_model))
    with pytest.raises(CtgridError, match="no table of trust"):
        denoise_cases(plan_jobs([scans], tmp_path / "out", trust=BESIDE), request)
    assert not minus.calls and not (tmp_path / "out").exists()


def test_edges_in_what_was_removed_are_recorded() -> None:
    """Nothing lost is 0, half of the picture as much as is left; a flat result has no edges."""
    ramp = np.zeros((20, 32, 32), np.int16)
    ramp[:, :, 16:] = 400
    noise = np.random.default_rng(0).normal(0, 10, ramp.shape).round().astype(np.int16)
    assert edges_removed(ramp + noise, ramp) == pytest.approx(0, abs=0.02)
    assert edges_removed(ramp, ramp // 2) == pytest.approx(1, abs=0.01)
    assert edges_removed(ramp, np.zeros_like(ramp)) is None
    assert edges_removed(ramp[:, :1], ramp[:, :1]) is None
