"""``ctgrid denoise``: geometry, number format, record. The denoising itself is tested with the library."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread

from ctgrid import Volume
from ctgrid.base.files import sha256_of
from ctgrid.methods.denoising.settings import GridSettings
from ctgrid.runs.report.html.overlay import read_map


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
    assert fake.calls[1]["strength"] == 30.0


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
    assert (tmp_path / "out.run.json").is_file()


def test_hu_reading_can_be_chosen(ctgrid: Callable[..., Any], fake: Any, scan: Path, tmp_path: Path) -> None:
    """The way out of an ambiguous file."""
    result = ctgrid("denoise", scan, "--out", tmp_path / "out.nii.gz", "--hu", "header", "--json")
    assert json.loads(result.stdout)["decisions"]["hu"]["source"] == "header"


def test_header_fields_stay(ctgrid: Callable[..., Any], fake: Any, scan: Path, tmp_path: Path) -> None:
    """Texts, codes and units of a NIfTI header, whatever they are."""
    image = nib.load(scan)
    image.header["descrip"] = b"our scanner"
    image.header["aux_file"] = b"none"
    image.set_sform(image.affine, code=2)
    source, out = tmp_path / "ours.nii", tmp_path / "out.nii"
    nib.save(image, source)
    assert ctgrid("denoise", source, "--out", out).exit_code == 0
    made = nib.load(out).header
    assert (bytes(made["descrip"]).strip(b"\0"), int(made["sform_code"])) == (b"our scanner", 2)
    assert bytes(made["aux_file"]).strip(b"\0") == b"none"


def test_residual_and_picture(ctgrid: Callable[..., Any], fake: Any, scan: Path, tmp_path: Path) -> None:
    """What was removed is the input less the output, to the voxel; the picture lies beside the result."""
    source = Volume.read(scan)
    floating = Volume(source.hu.astype(np.float32), source.affine).write(tmp_path / "f.nii.gz", dtype=np.float32)
    out, rest = tmp_path / "out.nii.gz", tmp_path / "rest.nii.gz"
    result = ctgrid("denoise", floating, "--out", out, "--residual", rest, "--json")
    before, after, removed = (nib.load(path).get_fdata() for path in (floating, out, rest))
    assert removed == pytest.approx(before - after, abs=1e-3) and np.abs(removed).max() == pytest.approx(0.4, abs=1e-3)
    assert (tmp_path / "out_compared.png").stat().st_size > 1000
    record = json.loads(result.stdout)
    assert [Path(entry["path"]).name for entry in record["outputs"]] == [
        "out.nii.gz",
        "rest.nii.gz",
        "out_compared.png",
    ]
    again = ctgrid("denoise", floating, "--out", tmp_path / "b.nii.gz", "--no-picture")
    assert again.exit_code == 0 and not (tmp_path / "b_compared.png").exists()


def test_options_reach_the_method(ctgrid: Callable[..., Any], fake: Any, scan: Path, tmp_path: Path) -> None:
    """The others are its own; and one that it lacks is refused."""
    options = ["--method", "grid", "--seed", 3, "--phases", 4, "--no-refine", "--steps", 5, "--batch-size", 2]
    assert ctgrid("denoise", scan, "--out", tmp_path / "o.nii.gz", *options).exit_code == 0
    given = GridSettings(seed=3, phases=4, refine=False, steps=5, batch_size=2)
    assert fake.calls[1] == {"strength": "auto", **given.as_dict()}
    result = ctgrid("denoise", scan, "--out", tmp_path / "p.nii.gz", "--method", "nlm", "--phases", 2)
    assert result.exit_code == 1 and "'nlm' has no setting phases" in result.stderr
    result = ctgrid("denoise", scan, "--out", tmp_path / "p.nii.gz", "--method", "magic")
    assert result.exit_code == 1 and "unknown denoising method 'magic'" in result.stderr


@pytest.fixture
def folder(scan: Path, tmp_path: Path, bad_scan: Callable[[str], Path]) -> Path:
    """Two good scans and a truncated one."""
    inputs = tmp_path / "in"
    inputs.mkdir()
    volume = Volume.read(scan)
    volume.write(inputs / "a.nii.gz")
    Volume(volume.hu + np.int16(3), volume.affine).write(inputs / "c.nrrd")
    (inputs / "b.nii.gz").write_bytes(bad_scan("truncated").read_bytes())
    return inputs


def test_a_folder_of_scans(ctgrid: Callable[..., Any], fake: Any, folder: Path, tmp_path: Path) -> None:
    """One bad scan does not stop the others; the model is loaded once; names stay."""
    out = tmp_path / "out"
    result = ctgrid("denoise", folder, "--out", out, "--residual", tmp_path / "rest")
    assert result.exit_code == 0, result.output
    assert {p.name for p in out.iterdir()} == {
        *("a.nii.gz", "a_compared.png", "a.run.json", "c.nrrd", "c_compared.png", "c.run.json"),
        *("denoise.jsonl", "run.json"),
    }
    assert {p.name for p in (tmp_path / "rest").iterdir()} == {"a.nii.gz", "c.nrrd"}
    lines = [json.loads(line) for line in (out / "denoise.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["file"], line["status"]) for line in lines] == [
        *(("a.nii.gz", "done"), ("b.nii.gz", "failed"), ("c.nrrd", "done"))
    ]
    assert str(folder / "b.nii.gz") in lines[1]["error"]
    assert len(fake.calls) == 3  # one load, two runs
    assert "1/3 " in result.stdout and "2/3 failed: " in result.stdout and "2 done, 1 failed" in result.stdout
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert [record["results"][status] for status in ("done", "kept", "failed")] == [2, 0, 1]
    case = json.loads((out / "c.run.json").read_text(encoding="utf-8"))
    assert [Path(o["path"]).name for o in case["outputs"]] == ["c.nrrd", "c.nrrd", "c_compared.png"]
    assert [Path(i["path"]).name for i in case["inputs"]] == ["c.nrrd"] and case["results"]["done"] == 1
    assert case["decisions"]["noise_hu"] == 25.0 and case["argv"] == record["argv"]
    noise = record["results"]["cases"][0]["noise_per_slice_hu"]
    assert record["results"]["cases"][0]["noise_hu"] == 25.0 and noise["slices"] == 20


def test_resume_keeps_what_is_done(ctgrid: Callable[..., Any], fake: Any, folder: Path, tmp_path: Path) -> None:
    """With the same input and settings; anything else in the way is refused, or made anew with --overwrite."""
    out = tmp_path / "out"
    base = ["denoise", folder / "a.nii.gz", folder / "c.nrrd", "--out", out]
    assert ctgrid(*base).exit_code == 0
    first = {p.name: p.read_bytes() for p in out.iterdir() if p.suffix != ".json"}
    refused = ctgrid(*base)
    assert refused.exit_code == 1 and "--resume" in refused.stderr and "--overwrite" in refused.stderr
    (out / "c.nrrd").unlink()
    (out / "c_compared.png").unlink()
    calls = len(fake.calls)
    result = ctgrid(*base, "--resume", "--json")
    assert [case["status"] for case in json.loads(result.stdout)["results"]["cases"]] == ["kept", "done"]
    assert len(fake.calls) == calls + 2
    now = {p.name: p.read_bytes() for p in out.iterdir() if p.name in first and p.suffix != ".jsonl"}
    assert now == {name: content for name, content in first.items() if name != "denoise.jsonl"}
    other = ctgrid(*base, "--resume", "--strength", 40)
    assert other.exit_code == 1 and "other settings" in other.stderr and str(out / "a.nii.gz") in other.stderr
    assert ctgrid(*base, "--resume", "--strength", 40, "--overwrite").exit_code == 0
    (out / "a.nii.gz").write_bytes(b"damaged")
    assert ctgrid(*base, "--resume", "--strength", 40).exit_code == 1


def test_nothing_is_left_when_all_fail(ctgrid: Callable[..., Any], fake: Any, folder: Path, tmp_path: Path) -> None:
    """Exit 1, one line, no folder; --strict stops at the first."""
    out, bad = tmp_path / "out", folder / "b.nii.gz"
    result = ctgrid("denoise", bad, "--out", out)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1) and str(bad) in result.stderr
    assert not out.exists() and fake.calls == []
    strict = ctgrid("denoise", folder, "--out", out, "--strict")
    assert strict.exit_code == 1 and str(bad) in strict.stderr
    assert not (out / "c.nrrd").exists()


def test_dicom_in_dicom_out(ctgrid: Callable[..., Any], fake: Any, scan: Path, tmp_path: Path) -> None:
    """A folder is a series; a file by its suffix; several go each into a folder of their own."""
    volume = Volume.read(scan)
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        volume.write(folder)
    assert ctgrid("denoise", one, "--out", tmp_path / "clean").exit_code == 0
    assert Volume.read(tmp_path / "clean").shape == volume.shape
    assert all(p.suffix == ".dcm" for p in (tmp_path / "clean").iterdir())
    assert ctgrid("denoise", one, "--out", tmp_path / "file.nii.gz", "--series", 1).exit_code == 0
    made = Volume.read(tmp_path / "file.nii.gz")
    assert np.allclose(made.affine, Volume.read(one).affine, atol=1e-4)
    assert ctgrid("denoise", one, two, "--out", tmp_path / "both").exit_code == 0
    assert Volume.read(tmp_path / "both" / "two").shape == volume.shape


def test_outputs_that_fit_no_input(fails: Callable[..., str], fake: Any, folder: Path, scan: Path) -> None:
    """Several scans into one file, two kinds of residual, a preview with an output."""
    out = scan.parent
    assert "name a folder" in fails("denoise", folder, "--out", out / "x.nii.gz")
    assert "go into a folder" in fails("denoise", folder, "--out", out / "x", "--residual", out / "r.nii.gz")
    assert "must end in" in fails("denoise", scan, "--out", out / "x.nii.gz", "--residual", out / "r")
    assert "--out" in fails("denoise", scan, "--out", out / "x.nii.gz", "--preview", out / "p.png", code=2)
    assert "lies inside the input folder" in fails("denoise", folder, "--out", folder / "x")
    assert "is the input" in fails("denoise", folder / "a.nii.gz", "--out", folder, "--overwrite")
    assert "does not exist" in fails("denoise", out / "none.nii.gz", "--out", out / "x")
    assert fake.calls == []


def test_preview(ctgrid: Callable[..., Any], fake: Any, scan: Path, tmp_path: Path) -> None:
    """Three slices, a picture, no volume."""
    path = tmp_path / "look.png"
    result = ctgrid("denoise", scan, "--preview", path)
    assert result.exit_code == 0, result.output
    assert fake.calls[1]["only"] == [3, 10, 16]
    assert "slices 3, 10, 16 of 20 from the feet" in result.stdout
    assert {p.name for p in tmp_path.iterdir()} == {"scan.nii.gz", "look.png", "look.run.json"}
    real = ctgrid("denoise", scan, "--preview", tmp_path / "nlm.png", "--method", "nlm", "--strength", 20, "--json")
    assert json.loads(real.stdout)["results"]["cases"][0]["slices"] == [3, 10, 16]


@pytest.mark.parametrize("method", ["nlm", "grid"])
def test_no_noise_leaves_a_scan_as_it_is(
    method: str, ctgrid: Callable[..., Any], scan: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """``--strength 0`` writes the scan's own voxels, and says so."""
    out = tmp_path / "out.nii.gz"
    result = ctgrid("denoise", scan, "--out", out, "--strength", 0, "--method", method, "--model", tiny_model)
    assert (result.exit_code, result.stderr) == (0, "")
    least = {"nlm": 1, "grid": 3}[method]
    assert f"noise 0 HU: nothing to remove, left as it is; --strength {least} or more would" in result.stdout
    assert np.array_equal(Volume.read(out).hu, Volume.read(scan).hu)
    assert json.loads((tmp_path / "out.run.json").read_text(encoding="utf-8"))["settings"]["untouched"] is True


def test_starts_are_handed_on(ctgrid: Callable[..., Any], fake: Any, scan: Path, tmp_path: Path) -> None:
    """Both, to the pipeline and to the record; a wrong word is a usage error."""
    options = ["--start", "noised", "--refine-start", "matched", "--method", "grid"]
    result = ctgrid("denoise", scan, "--out", tmp_path / "out.nii.gz", *options, "--json")
    assert (fake.calls[1]["start"], fake.calls[1]["refine_start"]) == ("noised", "matched")
    assert json.loads(result.stdout)["settings"]["start"] == "noised"
    assert ctgrid("denoise", scan, "--out", tmp_path / "b.nii.gz", "--start", "pure").exit_code == 2


def test_trust_of_a_series_is_two_series_of_its_study(
    ctgrid: Callable[..., Any], fake: Any, scan: Path, tmp_path: Path, trusting_model: Path
) -> None:
    """Each says what it is; the line tells what they come to; the viewer lays them over the scan."""
    series, maps = tmp_path / "in", ("in_denoised_trust", "in_denoised_trust_changed")
    volume = Volume.read(scan).write(series)
    result = ctgrid("denoise", series, "--trust", "auto", "--model", trusting_model, "--no-picture")
    assert result.exit_code == 0, result.output
    assert re.search(r", uncertain by \d\.\d HU", result.stdout) and "% changed by more than noise" in result.stdout
    record = json.loads((tmp_path / "in_denoised.run.json").read_text(encoding="utf-8"))
    assert [Path(output["path"]).name for output in record["outputs"]] == ["in_denoised", *maps]
    assert record["settings"]["trust"] == "auto" and "median_hu" in record["results"]["cases"][0]["trust"]
    first = [dcmread(next((tmp_path / name).iterdir())) for name in ("in", "in_denoised", *maps)]
    assert len({one.StudyInstanceUID for one in first}) == 1 and len({one.SeriesInstanceUID for one in first}) == 4
    assert [one.DerivationDescription.partition(" by ")[0] for one in first[2:]] == [
        *("error SD of denoising", "changes beyond noise")
    ]
    assert all(len(one.SourceImageSequence) == 1 for one in first[2:])
    for kind, name in (("trust", maps[0]), ("labels", maps[1])):
        laid = read_map(tmp_path / name, kind, Volume.read(volume))
        assert laid.shape == Volume.read(volume).shape and 0 <= laid.hu.min() <= laid.hu.max() < 30


def test_a_preview_has_no_map_of_trust(ctgrid: Callable[..., Any], fake: Any, scan: Path, tmp_path: Path) -> None:
    result = ctgrid("denoise", scan, "--preview", tmp_path / "a.png", "--trust", "auto")
    assert result.exit_code == 2 and "leave --trust away" in result.stderr
