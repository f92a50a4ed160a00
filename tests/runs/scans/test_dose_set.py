"""A paired set: names, table, seeds, resuming, bad scans; the simulation itself is stood in for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ctgrid
from ctgrid import Volume
from ctgrid.base.errors import CtgridError
from ctgrid.data.pair_table import PAIRS, read_pairs
from ctgrid.runs.scans.dose_set import JOURNAL, is_set, pair_seed
from ctgrid.runs.scans.settings import LowDoseSettings

FAST = {"photons": 1e5, "cutoff": 0.6}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float | None, int]]:
    """Stand in for the simulation: white noise of its seed; return what it was asked for."""
    made: list[tuple[float, float | None, int]] = []

    def low_dose(volume: Volume, dose: float, seed: int, **how: Any) -> Volume:
        made.append((dose, how["cutoff_per_mm"], seed))
        noise = np.random.default_rng(seed).normal(0, 10 / dose, volume.shape)
        chosen = {"dose": dose, "photons": 2e5, "cutoff_per_mm": how["cutoff_per_mm"] or 0.8, "calibrated": False}
        hu = np.rint(volume.hu + noise).astype(volume.hu.dtype)
        return Volume(hu, volume.affine, {**volume.record, "low_dose": chosen})

    monkeypatch.setattr("ctgrid.runs.scans.dose.low_dose", low_dose)
    return made


@pytest.fixture
def folder(scan: Path, tmp_path: Path) -> Path:
    """Two scans, one of them deeper in, and one that is none."""
    there = tmp_path / "scans"
    (there / "more").mkdir(parents=True)
    volume = Volume.read(scan)
    volume.write(there / "a.nii.gz")
    Volume(volume.hu + np.int16(3), volume.affine).write(there / "more" / "b.mha")
    (there / "c.nii.gz").write_bytes(b"nothing")
    return there


def test_a_set_of_a_folder(folder: Path, tmp_path: Path, calls: list[Any]) -> None:
    out = tmp_path / "low"
    record = ctgrid.lower_doses(folder, out, dose=(0.1, 0.25), cutoff=(0.5, 1.0), seed=7)
    assert (record.results["done"], record.results["failed"], record.status) == (8, 1, "done")
    assert (out / "a_dose0.1_cutoff0.5.nii.gz").exists() and (out / "b_dose0.25_cutoff1.mha").exists()
    pairs = read_pairs(out)
    assert len(pairs) == 8 and json.loads((out / "run.json").read_text())["results"]["failed"] == 1
    for pair in pairs:
        clean, noisy = Volume.read(pair.clean), Volume.read(pair.noisy)
        np.testing.assert_array_equal(clean.affine, noisy.affine)
        assert noisy.hu.dtype == clean.hu.dtype and noisy.record["hu"]["source"] != "guess"
        assert pair.added_hu is not None and abs(pair.added_hu / (10 / pair.dose) - 1) < 0.1
        assert pair.seed == pair_seed(7, pair.clean_sha256, pair.dose)
    assert len({pair.seed for pair in pairs}) == 4  # scans and doses differ, kernels share
    own = json.loads((out / "a_dose0.1_cutoff0.5.run.json").read_text())
    assert own["settings"]["dose"] == 0.1 and own["seed"] == record.results["pairs"][0]["seed"]


def test_going_on(folder: Path, tmp_path: Path, calls: list[Any]) -> None:
    out = tmp_path / "low"
    (folder / "c.nii.gz").unlink()
    ctgrid.lower_doses(folder, out, dose=(0.1, 0.25))
    before = (out / "a_dose0.1.nii.gz").read_bytes()
    assert len(calls) == 4
    with pytest.raises(CtgridError, match="--resume to keep"):
        ctgrid.lower_doses(folder, out, dose=(0.1, 0.25))
    (out / "a_dose0.1.nii.gz").unlink()
    record = ctgrid.lower_doses(folder, out, dose=(0.1, 0.25, 0.5), resume=True)
    assert (record.results["done"], record.results["kept"]) == (3, 3) and len(calls) == 7
    assert (out / "a_dose0.1.nii.gz").read_bytes() == before and len(read_pairs(out)) == 6
    with pytest.raises(CtgridError, match="other settings"):
        ctgrid.lower_doses(folder, out, dose=0.1, seed=1, resume=True)
    (out / "a_dose0.1.nii.gz").write_bytes(b"changed")
    with pytest.raises(CtgridError, match="other bytes"):
        ctgrid.lower_doses(folder, out, dose=0.1, resume=True)
    ctgrid.lower_doses(folder, out, dose=0.1, resume=True, overwrite=True)
    assert (out / "a_dose0.1.nii.gz").read_bytes() == before


def test_stopped_in_the_midst(folder: Path, tmp_path: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done is whole, listed and kept."""
    from ctgrid.runs.scans import dose_set

    write, out = dose_set.write_lowered, tmp_path / "low"

    def stop(result: Volume, path: Path, *more: Any) -> None:
        if path.name.startswith("b_"):
            raise KeyboardInterrupt
        write(result, path, *more)

    monkeypatch.setattr(dose_set, "write_lowered", stop)
    with pytest.raises(KeyboardInterrupt):
        ctgrid.lower_doses(folder, out, dose=0.1)
    assert [pair.noisy.name for pair in read_pairs(out)] == ["a_dose0.1.nii.gz"]
    assert json.loads((out / "run.json").read_text())["status"] != "done"
    monkeypatch.setattr(dose_set, "write_lowered", write)
    assert ctgrid.lower_doses(folder, out, dose=0.1, resume=True).results["kept"] == 1


def test_nothing_made_leaves_nothing(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.nii").write_bytes(b"no")
    with pytest.raises(CtgridError, match="no scan was made noisier; first: "):
        ctgrid.lower_doses([tmp_path / "a.nii", tmp_path / "b.nii"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_where_it_goes(folder: Path, scan: Path, tmp_path: Path, calls: list[Any]) -> None:
    assert ctgrid.lower_doses(scan, dose=(0.1, 0.1, 0.2)).results["done"] == 2
    assert (tmp_path / "scan_low_dose" / PAIRS).exists() and (tmp_path / "scan_low_dose" / JOURNAL).exists()
    with pytest.raises(CtgridError, match="--out"):
        ctgrid.lower_doses([scan, folder])
    with pytest.raises(CtgridError, match="cannot go into one file"):
        ctgrid.lower_doses([scan, folder], tmp_path / "x.nii.gz")
    with pytest.raises(CtgridError, match="lies inside the input folder"):
        ctgrid.lower_doses(folder, folder / "low")
    with pytest.raises(CtgridError, match="call lower_doses"):
        ctgrid.lower_dose(scan, dose=(0.1, 0.2))


def test_what_makes_a_set(scan: Path, folder: Path, tmp_path: Path) -> None:
    one = LowDoseSettings()
    Volume.read(scan).write(tmp_path / "series")
    assert not is_set([scan], one) and not is_set([tmp_path / "series"], one) and not is_set([tmp_path / "no"], one)
    assert is_set([scan, scan], one) and is_set([folder], one) and is_set([scan], LowDoseSettings(dose=(0.1, 0.2)))


def test_the_command(folder: Path, tmp_path: Path, calls: list[Any], line: Callable[..., None]) -> None:
    """One bad scan among others: the others are made, and the exit code says so."""
    from typer.testing import CliRunner

    from ctgrid_cli import app

    words = ["simulate", "low-dose", str(folder), "--dose", "0.5,0.1", "--out", str(tmp_path / "low")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1 and "4 done, 0 kept, 1 failed" in done.stdout and "c.nii.gz" in done.stdout
    (folder / "c.nii.gz").unlink()
    line(*words, "--resume")
