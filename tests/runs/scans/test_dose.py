"""``ctgrid simulate low-dose`` from Python: the bytes of the command, with its defaults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import ctgrid
from ctgrid.base.errors import CtgridError


def test_the_command_makes_the_same_bytes(scan: Path, tmp_path: Path, line: Callable[..., None]) -> None:
    record = ctgrid.lower_dose(scan, tmp_path / "c.nii", dose=0.5, photons=1e4)
    assert record.decisions["low_dose"]["dose"] == 0.5
    line("simulate", "low-dose", scan, "--out", tmp_path / "d.nii", "--dose", 0.5, "--photons", 10000)
    assert (tmp_path / "c.nii").read_bytes() == (tmp_path / "d.nii").read_bytes()


def test_without_a_name_it_lies_beside_the_input(scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dose in its name; the format is the input's."""
    monkeypatch.setattr("ctgrid.runs.scans.dose.low_dose", lambda volume, *args, **settings: with_note(volume))
    record = ctgrid.lower_dose(scan, dose=0.25, seed=4)
    assert (tmp_path / "scan_dose0.25.nii.gz").exists() and (record.seed, record.status) == (4, "done")
    with pytest.raises(CtgridError, match="exists"):
        ctgrid.lower_dose(scan, dose=0.25)


def with_note(volume: ctgrid.Volume) -> ctgrid.Volume:
    return ctgrid.Volume(volume.hu, volume.affine, {**volume.record, "low_dose": {"dose": 0.25}})
