"""What is decided on weak evidence: said aloud, kept in the record, and not taken for sure by the next command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from ctgrid.scan.volume import Volume
from ctgrid_cli import app

HEAD = "VolumeName,RescaleSlope,RescaleIntercept\n"


def run(*args: Any) -> Any:
    """Run a command."""
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture
def hu() -> np.ndarray:
    """Air around a body with lungs, (z, y, x)."""
    hu = np.full((6, 48, 48), -1000, np.int16)
    hu[:, 8:40, 8:40] = 40
    hu[:, 16:32, 12:22] = -850
    return hu


def save(path: Path, values: np.ndarray, affine: Any = None) -> Path:
    """Write a NIfTI as other programs do."""
    affine = np.diag([-2.0, -2.0, 10.0, 1.0]) if affine is None else affine
    nibabel.save(nibabel.Nifti1Image(values.transpose(2, 1, 0), affine), path)
    return path


@pytest.mark.parametrize("name", ["one.nii.gz", "one.nrrd", "one.mha"])
def test_stored_values_are_not_marked_as_hu_for_good(name: str, hu: np.ndarray, tmp_path: Path) -> None:
    raw = save(tmp_path / "raw.nii.gz", (hu.astype(np.int32) + 1024).astype(np.int16))
    (tmp_path / "t.csv").write_text(HEAD + "one,1,-1024\n", encoding="utf-8")
    first = run("convert", raw, tmp_path / name)
    assert first.exit_code == 0 and "look as stored" in first.stderr and "without the mark" in first.stderr
    record = json.loads((tmp_path / "one.run.json").read_text(encoding="utf-8"))
    assert (
        record["decisions"]["marked_as_hu"] is False
        and "look as stored" in record["inputs"][0]["record"]["warnings"][0]
    )
    assert "not confirmed" in run("info", tmp_path / name).stdout
    second = run("convert", tmp_path / name, tmp_path / "two.nii.gz", "--metadata", tmp_path / "t.csv")
    assert (second.exit_code, second.stderr) == (0, "")
    assert (Volume.read(tmp_path / "two.nii.gz").hu == hu).all()
    assert run("convert", tmp_path / name, tmp_path / "named.nii.gz", "--hu", "sidecar").exit_code == 1
    lacking = run("convert", raw, tmp_path / "three.nii.gz", "--metadata", tmp_path / "t.csv")
    assert lacking.exit_code == 1 and "has no row for it; add its row" in lacking.stderr
    assert not (tmp_path / "three.nii.gz").exists()


def test_a_template_of_another_program_gets_no_mark_either(hu: np.ndarray, tmp_path: Path) -> None:
    """And a DICOM series is not called HU."""
    mask = save(tmp_path / "mask.nii", (hu > 0).astype(np.int16))
    run("convert", mask, tmp_path / "copy.nii")
    assert "written_by_ctgrid" not in Volume.read(tmp_path / "copy.nii").record
    run("convert", mask, tmp_path / "series")
    assert "written_by_ctgrid" not in Volume.read(tmp_path / "series").record
    run("convert", save(tmp_path / "ct.nii", hu), tmp_path / "sure.nii")
    assert Volume.read(tmp_path / "sure.nii").record["written_by_ctgrid"]


@pytest.mark.parametrize(("origin", "spacing"), [(-300, [1.0, 1.0, 1.0]), (0, [1.5, 0.7, 0.7])])
def test_three_commands_decide_alike_about_spacing(
    origin: int, spacing: list[float], hu: np.ndarray, tmp_path: Path
) -> None:
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine[2, 3] = origin
    path = save(tmp_path / "v.nii.gz", np.pad(hu, 30, constant_values=-1000), affine)
    (tmp_path / "t.csv").write_text(HEAD.strip() + ',XYSpacing,ZSpacing\nv,1,0,"[0.7, 0.7]",1.5\n', encoding="utf-8")
    table = ("--metadata", tmp_path / "t.csv")
    told = run("info", path, *table, "--json")
    assert json.loads(told.stdout)["spacing_mm"] == spacing and "t.csv" in told.stderr
    done = run("convert", path, tmp_path / "out.nrrd", *table)
    assert "1.5 mm" in done.stderr and list(Volume.read(tmp_path / "out.nrrd").spacing_mm) == pytest.approx(spacing)
    made = run("prepare", path, "--out", tmp_path / "x.zarr", "--protocol", "canonical", "--size", 16, "--slices", 4,
               "--k", 2, *table)  # fmt: skip
    row = json.loads((tmp_path / "x.report.jsonl").read_text(encoding="utf-8"))
    assert row["spacing_mm"] == pytest.approx(spacing) and row["warnings"][0] in made.stderr


def test_prepare_says_a_warning_of_many_scans_once(hu: np.ndarray, tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / f"{name}.nii", hu)
    (tmp_path / "t.csv").write_text(HEAD + "B,1,0\n", encoding="utf-8")
    made = run("prepare", *tmp_path.glob("*.nii"), "--out", tmp_path / "x.zarr", "--protocol", "canonical",
               "--size", 16, "--slices", 4, "--k", 2, "--metadata", tmp_path / "t.csv")  # fmt: skip
    assert sorted(made.stderr.splitlines()) == [
        "ctgrid: warning: a and 1 more: t.csv has no row for it",
        "ctgrid: warning: b: t.csv calls it B, in other case; its row was used",
    ]


def test_split_names_what_prepare_names(hu: np.ndarray, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for patient in ("p1", "p2"):
        Volume(hu, np.diag([-2.0, -2.0, 10.0, 1.0])).write(data.parent / patient)
        (data / patient).mkdir(parents=True)
        (tmp_path / patient).rename(data / patient / "CT")
        for number, file in enumerate(sorted((data / patient / "CT").iterdir())):
            file.rename(file.with_name(f"I{number}" if patient == "p1" else f"{number}.IMA"))
    save(data / "p3.nii.gz", hu)
    (data / "._p3.nii.gz").write_bytes(b"\0\5\26\7")
    assert run("split", data, "--out", tmp_path / "s.json").exit_code == 0
    parts = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert sorted(parts["train"] + parts["valid"]) == ["p1__CT", "p2__CT", "p3"]
