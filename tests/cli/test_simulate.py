"""``ctgrid simulate``: files, records, resuming, and one line for what cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ctgrid import Volume
from ctgrid.scan.hu.metadata import MetadataTable

SMALL = ("--size", 48, "--slices", 6)


def made(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.glob("*.nii.gz")}


def test_phantoms_in_a_folder(ctgrid: Callable, tmp_path: Path) -> None:
    out = tmp_path / "phantoms"
    result = ctgrid("simulate", "phantom", "--count", 2, "--seed", 7, "--out", out, *SMALL, "--labels", "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["command"] == "simulate phantom" and record["status"] == "done" and record["seed"] == 7
    assert sorted(made(out)) == [f"phantom_000{i}{end}.nii.gz" for i in (0, 1) for end in ("", "_labels")]
    first, second = (Volume.read(out / f"phantom_000{i}.nii.gz") for i in (0, 1))
    assert first.shape == second.shape == (6, 48, 48) and not np.array_equal(first.hu, second.hu)
    np.testing.assert_allclose(first.spacing_mm, (301.5 / 6, 400 / 48, 400 / 48), rtol=1e-5)
    assert json.loads((out / "run.json").read_text(encoding="utf-8"))["results"] == {"written": 2, "kept": 0}
    assert json.loads((out / "phantom_0001.run.json").read_text(encoding="utf-8"))["seed"] == 8
    single = tmp_path / "one.nii.gz"
    spacing = ",".join(f"{mm:.9f}" for mm in first.spacing_mm)
    assert ctgrid("simulate", "phantom", "--seed", 8, "--out", single, *SMALL, "--spacing-mm", spacing).exit_code == 0
    np.testing.assert_allclose(Volume.read(single).hu, second.hu, atol=1)  # spacing went through text


def test_interrupted_runs_go_on(ctgrid: Callable, fails: Callable, tmp_path: Path) -> None:
    out = tmp_path / "phantoms"
    ask = ("simulate", "phantom", "--out", out, *SMALL, "--count")
    assert ctgrid(*ask, 2).exit_code == 0
    before = made(out)
    (out / "phantom_0001.nii.gz").unlink()
    result = ctgrid(*ask, 2)
    assert result.exit_code == 0 and "1 kept" in result.stdout
    after = made(out)
    assert after == before
    assert "is not the phantom of seed 5" in fails(*ask, 2, "--seed", 5)
    assert ctgrid("simulate", "phantom", "--out", out, *SMALL, "--seed", 5, "--overwrite").exit_code == 0
    assert made(out)["phantom_0000.nii.gz"] != after["phantom_0000.nii.gz"]


def test_phantoms_as_ct_rate_has_its_scans(ctgrid: Callable, fails: Callable, tmp_path: Path) -> None:
    """Stored values under CT-RATE's names, which its table turns into the phantom's HU; run again, they are kept."""
    out, plain = tmp_path / "valid", tmp_path / "plain.nii.gz"
    ask = ("simulate", "phantom", "--ct-rate", "valid", "--count", 2, "--seed", 3, "--out", out, *SMALL)
    assert ctgrid(*ask).exit_code == 0
    assert sorted(made(out)) == ["valid_1_a_1.nii.gz", "valid_2_a_1.nii.gz"]
    ctgrid("simulate", "phantom", "--seed", 3, "--out", plain, *SMALL)
    raw, hu = Volume.read(out / "valid_1_a_1.nii.gz", hu="stored").hu, Volume.read(plain).hu
    np.testing.assert_array_equal(raw - 1024, hu)
    table = MetadataTable.read(out / "valid_metadata.csv")
    found = Volume.read(out / "valid_1_a_1.nii.gz", metadata=table)
    np.testing.assert_array_equal(found.hu, hu)
    assert found.record["hu"]["source"] == "sidecar"
    assert "2 kept" in ctgrid(*ask).stdout
    assert "must name a folder" in fails("simulate", "phantom", "--ct-rate", "train", "--out", plain, code=2)


def test_low_dose(ctgrid: Callable, scan: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "low.nii.gz", tmp_path / "again.nii.gz"
    result = ctgrid("simulate", "low-dose", scan, "--dose", "0.25", "--photons", 1e4, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    chosen = json.loads(result.stdout)["decisions"]["low_dose"]
    assert chosen["dose"] == 0.25 and chosen["photons"] == 1e4 and chosen["geometry"] == "fan"
    before, after = Volume.read(scan), Volume.read(out)
    assert after.shape == before.shape and after.hu.dtype == before.hu.dtype
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-5)
    assert 1 < (after.hu.astype(float) - before.hu).std() < 100
    assert ctgrid("simulate", "low-dose", scan, "--dose", 0.25, "--photons", 1e4, "--out", again).exit_code == 0
    assert np.array_equal(Volume.read(again).hu, after.hu)
    whole = tmp_path / "whole.nrrd"
    options = ("--dose", 0.5, "--mode", "full", "--geometry", "parallel", "--cutoff", 0.5, "--electronic-noise", 0)
    assert ctgrid("simulate", "low-dose", scan, *options, "--out", whole).exit_code == 0
    assert Volume.read(whole).shape == before.shape


def test_dose_one_copies(ctgrid: Callable, scan: Path, tmp_path: Path) -> None:
    assert ctgrid("simulate", "low-dose", scan, "--dose", 1, "--out", tmp_path / "same.nii").exit_code == 0
    assert np.array_equal(Volume.read(tmp_path / "same.nii").hu, Volume.read(scan).hu)


@pytest.mark.parametrize("dose", ["0", "-1", "1.5", "nan", "half", "inf"])
def test_doses_that_are_none(fails: Callable, scan: Path, tmp_path: Path, dose: str) -> None:
    line = fails("simulate", "low-dose", scan, f"--dose={dose}", "--out", tmp_path / "x.nii.gz", code=2)
    assert "dose must be" in line or "dose is a number" in line


@pytest.mark.parametrize("kind", ["missing", "truncated", "empty", "text", "four-d", "rgb", "mr"])
def test_bad_scans(fails: Callable, bad_scan: Callable, tmp_path: Path, kind: str) -> None:
    fails("simulate", "low-dose", bad_scan(kind), "--out", tmp_path / "x.nii.gz")


def test_outputs_that_cannot_be(fails: Callable, scan: Path, tmp_path: Path) -> None:
    assert "is the input" in fails("simulate", "low-dose", scan, "--out", scan, "--overwrite")
    taken = tmp_path / "taken.nii.gz"
    taken.write_bytes(b"mine")
    assert "--overwrite" in fails("simulate", "low-dose", scan, "--out", taken)
    assert "--overwrite" in fails("simulate", "phantom", "--out", taken, *SMALL)
    assert "does not exist" in fails("simulate", "phantom", "--out", tmp_path / "no" / "x.nii.gz", *SMALL)
    assert "cannot write" in fails("simulate", "phantom", "--out", tmp_path / "x.txt", *SMALL)
    assert "not a folder" in fails(
        "simulate", "phantom", "--count", 2, "--out", tmp_path / "taken.nii.gz" / "x", *SMALL
    )
    for spacing in ("1,2", "1,2,0", "a,b,c", "1,nan,1"):
        line = fails("simulate", "phantom", "--out", tmp_path / "x.nii", "--spacing-mm", spacing, code=2)
        assert "is not z,y,x" in line
