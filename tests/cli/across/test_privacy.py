"""Records without names and paths, outputs without texts of their source: what is asked for, everywhere."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel
import pytest
from pydicom import dcmread

from ctgrid import Volume
from ctgrid.base.privacy import NO_PATHS, STRIP

WHO = "Mueller^Anna 1950"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the key, and what the options set, to the test."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    yield
    for name in (NO_PATHS, STRIP):
        os.environ.pop(name, None)


@pytest.fixture
def named(scan: Path, tmp_path: Path) -> Path:
    """Return a scan in a folder and file that are named after a patient, with texts in its header."""
    path = tmp_path / f"{WHO} folder" / f"{WHO}.nii.gz"
    path.parent.mkdir()
    image = nibabel.load(scan)
    image.header["descrip"], image.header["aux_file"] = b"Mueller", b"Anna.txt"
    image.header["db_name"], image.header["intent_name"] = b"Anna 1950", b"Anna"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"patient Anna Mueller"))
    nibabel.save(image, path)
    return path


def said(folder: Path) -> str:
    """Return all records below a folder."""
    files = [p for p in folder.rglob("*") if p.suffix in (".json", ".jsonl")]
    assert files
    return "".join(str(p.relative_to(folder)) + p.read_text() for p in files)


def test_records_of_commands_name_nobody(ctgrid: Callable[..., Any], named: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    made = ctgrid("--no-paths", "convert", named, out / "a.nii.gz", "--json")
    assert made.exit_code == 0, made.output
    for text in (said(out), made.stdout):
        assert "Anna" not in text and "Mueller" not in text and str(tmp_path) not in text
    record = json.loads(next(out.glob("*.json")).read_text())
    assert record["argv"] == [] and record["working_folder"] is None and record["command"] == "convert"
    assert record["inputs"][0]["sha256"] and record["inputs"][0]["path"].endswith(".nii.gz")


def test_stores_name_nobody_and_are_gone_on_with(ctgrid: Callable[..., Any], named: Path, tmp_path: Path) -> None:
    store = tmp_path / "out" / "s.zarr"
    store.parent.mkdir()
    words = ("--no-paths", "prepare", named.parent, "--out", store, "--protocol", "canonical", "--size", 32, "--k", 2)
    first = ctgrid(*words, "--slices", 8)
    assert first.exit_code == 0, first.output
    assert "Anna" not in said(store.parent) and "Mueller" not in said(store.parent)
    again = ctgrid(*words, "--slices", 8)
    assert again.exit_code == 0 and "1 already there" in again.stdout


def test_denoising_names_nobody_and_is_gone_on_with(ctgrid: Callable[..., Any], named: Path, tmp_path: Path) -> None:
    """What is listed is the name that the result has."""
    (named.parent / f"{WHO} 2.nii.gz").write_bytes(named.read_bytes())
    words = ("--no-paths", "denoise", named.parent, "--out", tmp_path / "out", "--method", "bilateral", "--no-picture")
    first = ctgrid(*words, "--strength", 20)
    assert first.exit_code == 0, first.output
    made = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.nii.gz")}
    listed = {json.loads(line)["file"] for line in (tmp_path / "out" / "denoise.jsonl").read_text().splitlines()}
    assert len(made) == 2 and set(made) == listed
    again = ctgrid(*words, "--strength", 20, "--resume")
    assert again.exit_code == 0 and "2 kept" in again.stdout, again.output
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.nii.gz")} == made
    assert "Anna" not in said(tmp_path / "out") and "Mueller" not in said(tmp_path / "out")
    other = ctgrid(*words, "--strength", 30, "--resume")
    assert other.exit_code == 1 and "--overwrite" in other.stderr


def test_evaluations_name_nobody_where_a_scan_cannot_be_read_either(
    ctgrid: Callable[..., Any], named: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results and table as well as the record, and the command line in them."""
    monkeypatch.setenv("CTGRID_HOME", str(tmp_path / "ctgrid"))
    (named.parent / f"{WHO} 2.nii.gz").write_bytes(named.read_bytes())
    (named.parent / f"{WHO} 3.nii.gz").write_bytes(named.read_bytes()[:-9])
    sets = ("--real", named.parent, "--fake", named.parent, "--measures", "ctgrid-features", "--frames", 4)
    done = ctgrid("--no-paths", "evaluate", "volumes", *sets, "--out", tmp_path / "out")
    assert done.exit_code == 1, done.output
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(results["failed"]) == 1 and results["run"]["argv"] == []
    record = said(tmp_path / "out")
    for text in (record, (tmp_path / "out" / "table.md").read_text(), done.stderr):
        assert "Anna" not in text and "Mueller" not in text
    assert str(tmp_path) not in record


def test_strip_keeps_no_text_of_a_header(ctgrid: Callable[..., Any], named: Path, tmp_path: Path) -> None:
    assert ctgrid("convert", named, tmp_path / "kept.nii").exit_code == 0
    assert b"Anna" in (tmp_path / "kept.nii").read_bytes()
    os.environ.pop(STRIP, None)
    assert ctgrid("--strip", "convert", named, tmp_path / "bare.nii").exit_code == 0
    content = (tmp_path / "bare.nii").read_bytes()
    assert b"Anna" not in content and b"Mueller" not in content
    assert (Volume.read(tmp_path / "bare.nii").hu == Volume.read(named).hu).all()


def test_strip_leaves_the_study(ctgrid: Callable[..., Any], chest_volume: Volume, tmp_path: Path) -> None:
    for path in chest_volume.write(tmp_path / "ct").iterdir():
        dataset = dcmread(path)
        dataset.PatientName, dataset.SeriesDescription = "Anna", "Thorax"
        dataset.save_as(path)
    study = dataset.StudyInstanceUID
    for words, kept in (((), True), (("--strip",), False)):
        out = tmp_path / f"out-{kept}"
        assert ctgrid(*words, "convert", tmp_path / "ct", out).exit_code == 0
        one = dcmread(next(out.iterdir()))
        assert (one.PatientName == "Anna", one.StudyInstanceUID == study) == (kept, kept)
        os.environ.pop(STRIP, None)
