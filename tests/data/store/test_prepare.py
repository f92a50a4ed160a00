"""Preparing: each scan gets its row, nothing is done twice, nothing is overwritten unasked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from ctgrid import CtgridError
from ctgrid.base.locks import owned
from ctgrid.data.store import Store, StoreSettings
from ctgrid.data.store import prepare as module
from ctgrid.data.store.prepare import prepare
from ctgrid.data.store.report import read_report, tally
from ctgrid.scan.volume import Volume

Scans = Callable[..., Path]


def by_name(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Return name to status."""
    return {row["name"]: row["status"] for row in rows}


def test_every_scan_gets_its_row(scans: Scans, tmp_path: Path) -> None:
    folder = scans("train_1_a_1", "broken", "also")
    scans("thin", slices=20)
    (folder / "broken.nii.gz").write_bytes((folder / "also.nii.gz").read_bytes()[:900])
    seen: list[tuple[str, int, int]] = []
    rows = prepare([folder], tmp_path / "X.zarr", StoreSettings(size=16), progress=lambda *step: seen.append(step))
    assert by_name(rows) == {"also": "ok", "broken": "failed", "thin": "skipped", "train_1_a_1": "ok"}
    reasons = {row["name"]: row["reason"] for row in rows}
    assert "20 slices" in reasons["thin"] and "damaged" in reasons["broken"] and reasons["also"] is None
    assert sorted(read_report(tmp_path / "X.report.jsonl"), key=lambda row: row["name"]) == rows
    assert seen[-1] == ("preparing", 4, 4)
    store = Store.open(tmp_path / "X.zarr")
    assert store.names() == ["also", "train_1_a_1"]
    volume = store.volume("train_1_a_1")
    assert volume.shape == (201, 16, 16) and volume.record["hu"]["source"] == "stored"
    assert volume.record["source"]["name"] == "train_1_a_1.nii.gz" and len(volume.record["source"]["sha256"]) == 64
    assert str(tmp_path) not in json.dumps(volume.record)
    back, scan = volume.to_volume(), Volume.read(folder / "train_1_a_1.nii.gz")
    assert back.shape == scan.shape and np.abs(back.hu - np.clip(scan.hu, -1000, 1000)).mean() < 15


def test_what_is_done_is_not_done_again(
    scans: Scans, small: StoreSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "X.zarr"
    prepare([scans("a", "b")], out, small)
    worked: list[str] = []
    run = module.run_jobs

    def watched(jobs: Any, *rest: Any, **more: Any) -> Any:
        jobs = list(jobs)
        worked.extend(job.case.name for job in jobs)
        return run(jobs, *rest, **more)

    monkeypatch.setattr(module, "run_jobs", watched)
    prepare([scans("c")], out, small)
    assert worked == ["c"]
    rows = prepare([tmp_path / "in"], out, small)
    assert worked == ["c"] and tally(rows)["already_there"] == 3
    assert len((tmp_path / "X.report.jsonl").read_text(encoding="utf-8").splitlines()) == 3


def test_a_lost_report_is_made_up_for_without_writing(scans: Scans, small: StoreSettings, tmp_path: Path) -> None:
    out = tmp_path / "X.zarr"
    first = prepare([scans("a")], out, small)
    shard = out / "a" / "slices" / "c" / "0" / "0" / "0"
    written = shard.stat().st_mtime_ns
    (tmp_path / "X.report.jsonl").unlink()
    (row,) = prepare([tmp_path / "in"], out, small)
    assert row["already_there"] and row["status"] == "ok" and shard.stat().st_mtime_ns == written
    assert {key: row[key] for key in ("hu", "shape", "stamp")} == {
        key: first[0][key] for key in ("hu", "shape", "stamp")
    }


def test_an_input_that_changed_is_told_and_replaced_only_when_asked(
    scans: Scans, small: StoreSettings, tmp_path: Path
) -> None:
    out = tmp_path / "X.zarr"
    prepare([scans("a", "b")], out, small)
    before = Store.open(out).volume("a").read_slices()
    scans("x", "a")
    rows = prepare([tmp_path / "in"], out, small)
    assert by_name(rows) == {"a": "failed", "b": "ok", "x": "ok"}
    assert "--overwrite" in rows[0]["reason"]
    np.testing.assert_array_equal(Store.open(out).volume("a").read_slices(), before)
    rows = prepare([tmp_path / "in"], out, small, overwrite=True)
    assert by_name(rows) == {"a": "ok", "b": "ok", "x": "ok"} and tally(rows)["already_there"] == 2
    assert not np.array_equal(Store.open(out).volume("a").read_slices(), before)


def test_another_scan_of_the_same_name_never_takes_its_place(
    scans: Scans, small: StoreSettings, tmp_path: Path
) -> None:
    out = tmp_path / "X.zarr"
    scans("x", "CT", folder="p2")
    prepare([scans("CT", folder="p1")], out, small)
    with pytest.raises(CtgridError, match="from another input"):
        prepare([tmp_path / "p2" / "CT.nii.gz"], out, small)
    rows = prepare([tmp_path / "p1", tmp_path / "p2" / "CT.nii.gz"], out, small)
    assert by_name(rows) == {"CT": "ok", "p2__CT": "ok"}


def test_a_moved_collection_is_known_again(scans: Scans, small: StoreSettings, tmp_path: Path) -> None:
    out = tmp_path / "X.zarr"
    folder = scans("a", "b")
    prepare([folder], out, small)
    rows = prepare([folder.rename(tmp_path / "moved")], out, small)
    assert tally(rows)["already_there"] == 2 and len(Store.open(out)) == 2
    assert read_report(tmp_path / "X.report.jsonl") == rows


def test_other_settings_are_refused_by_name(scans: Scans, small: StoreSettings, tmp_path: Path) -> None:
    out = tmp_path / "X.zarr"
    prepare([scans("a")], out, small)
    other = replace(small, size=32, hu="stored")
    with pytest.raises(CtgridError, match="size 16 there, 32 here; hu auto there, stored here"):
        prepare([tmp_path / "in"], out, other)


def test_a_store_in_use_is_refused(scans: Scans, small: StoreSettings, tmp_path: Path) -> None:
    out = tmp_path / "X.zarr"
    folder = scans("a")
    with owned(tmp_path / "X.zarr", "prepare"), pytest.raises(CtgridError, match="another ctgrid prepare"):
        prepare([folder], out, small)
    assert not out.exists()
    prepare([folder], out, small)
    assert not (tmp_path / ".X.zarr.lock").exists()


def test_one_bad_scan_leaves_nothing_and_many_leave_the_report(
    scans: Scans, small: StoreSettings, tmp_path: Path
) -> None:
    folder = scans("a", "b")
    for path in folder.iterdir():
        path.write_bytes(b"no scan")
    with pytest.raises(CtgridError, match=r"a\.nii\.gz"):
        prepare([folder / "a.nii.gz"], tmp_path / "X.zarr", small)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    with pytest.raises(CtgridError, match="2 of 2 scans failed, none is ready"):
        prepare([folder], tmp_path / "X.zarr", small)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["X.report.jsonl", "in"]


def test_a_run_in_which_most_scans_fail_has_failed(scans: Scans, small: StoreSettings, tmp_path: Path) -> None:
    """What is ready stays; scans that the protocol leaves out count neither way."""
    folder, out = scans("a", "b", "c", "d", slices=100), tmp_path / "X.zarr"
    scans("thin", slices=20)
    for name in "ab":
        (folder / f"{name}.nii.gz").write_bytes(b"no scan")
    settings = StoreSettings(size=16)
    assert sorted(by_name(prepare([folder], out, settings)).values()) == ["failed", "failed", "ok", "ok", "skipped"]
    (folder / "e.nii.gz").write_bytes(b"no scan")
    with pytest.raises(CtgridError, match=r"3 of 5 scans failed, 2 are ready; .*a\.nii\.gz.*X\.report\.jsonl\)"):
        prepare([folder], out, settings)
    assert Store.open(out).names() == ["c", "d"]


def test_strict_stops_at_the_first_failure_and_keeps_what_is_done(
    scans: Scans, small: StoreSettings, tmp_path: Path
) -> None:
    folder = scans("a", "b", "c")
    (folder / "b.nii.gz").write_bytes(b"no scan")
    with pytest.raises(CtgridError, match=r"b\.nii\.gz.*stopped by --strict"):
        prepare([folder], tmp_path / "X.zarr", small, strict=True)
    assert Store.open(tmp_path / "X.zarr").names() == ["a"]


def test_a_full_disk_stops_the_run(
    scans: Scans, small: StoreSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ctgrid.data.store.write._write_group", full)
    with pytest.raises(CtgridError, match=r"cannot write .*No space left"):
        prepare([scans("a", "b")], tmp_path / "X.zarr", small)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_defect_of_the_reader_fails_its_scan_only(
    scans: Scans, small: StoreSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ctgrid.data.store import one

    apply = one.apply_protocol

    def fragile(path: Path, *rest: Any) -> Any:
        if path.name.startswith("b"):
            raise ZeroDivisionError("by\nzero")
        return apply(path, *rest)

    monkeypatch.setattr(one, "apply_protocol", fragile)
    rows = prepare([scans("a", "b")], tmp_path / "X.zarr", small)
    assert rows[1]["reason"] == "unexpected ZeroDivisionError: by zero"


def test_the_table_tells_raw_from_fixed(scans: Scans, tmp_path: Path) -> None:
    folder = scans("raw", "fixed")
    image = nib.load(folder / "raw.nii.gz")
    nib.save(nib.Nifti1Image((np.asarray(image.dataobj) + 1024).astype(np.int16), image.affine), folder / "raw.nii.gz")
    table = tmp_path / "t.csv"
    table.write_text(
        "VolumeName,RescaleSlope,RescaleIntercept\nraw.nii.gz,1,-1024\nfixed.nii.gz,1,-1024\n", encoding="utf-8"
    )
    prepare([folder], tmp_path / "X.zarr", StoreSettings(size=16), table)
    store = Store.open(tmp_path / "X.zarr")
    assert {v.name: v.record["hu"]["source"] for v in store} == {"raw": "sidecar", "fixed": "stored"}
    assert store.volume("raw").record["hu"]["file"] == "t.csv"
    medians = {v.name: float(np.median(v.read_coarse())) for v in store}
    assert abs(medians["raw"] - medians["fixed"]) < 5
    rows = prepare([folder], tmp_path / "X.zarr", StoreSettings(size=16), table)
    assert tally(rows)["already_there"] == 2


def test_the_order_of_inputs_and_the_number_of_runs_do_not_show(
    scans: Scans, small: StoreSettings, tmp_path: Path, digest: Callable[[Path], dict[str, str]]
) -> None:
    folder = scans("a", "b", "c")
    files = sorted(folder.iterdir())
    prepare(files, tmp_path / "X.zarr", small)
    for path in reversed(files):
        prepare([path], tmp_path / "Y.zarr", small)
    assert digest(tmp_path / "X.zarr") == digest(tmp_path / "Y.zarr")


def test_a_limit_takes_the_first(scans: Scans, small: StoreSettings, tmp_path: Path) -> None:
    rows = prepare([scans("c", "a", "b")], tmp_path / "X.zarr", small, limit=2)
    assert by_name(rows) == {"a": "ok", "b": "ok"}


def test_the_store_goes_nowhere_it_does_harm(scans: Scans, small: StoreSettings, tmp_path: Path) -> None:
    folder = scans("a")
    with pytest.raises(CtgridError, match="create it first"):
        prepare([folder], tmp_path / "none" / "X.zarr", small)
    with pytest.raises(CtgridError, match="is the input"):
        prepare([folder], folder / "a.nii.gz", small)
    with pytest.raises(CtgridError, match="not a ctgrid store"):
        prepare([folder / "a.nii.gz"], folder, small)
    assert [path.name for path in folder.iterdir()] == ["a.nii.gz"]
