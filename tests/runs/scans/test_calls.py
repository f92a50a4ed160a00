"""Converting, making and describing scans from Python: the same bytes as by the command, with the same defaults."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import ctgrid
from ctgrid.base.errors import MisuseError
from ctgrid.base.settings import all_settings
from ctgrid.data.simulate.dose import low_dose
from ctgrid.runs.scans.info import describe_source
from ctgrid.runs.scans.settings import LowDoseSettings
from ctgrid_cli import app


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Air around a body of water, of whole numbers."""
    z, y, x = np.mgrid[:6, -1:1:32j, -1:1:32j]
    hu = np.where(x**2 + y**2 < 0.6, 40 + z, -1000).astype(np.int16)
    return ctgrid.Volume(hu, np.diag([-0.8, -0.8, 2.5, 1.0])).write(tmp_path / "scan.nii.gz")


def line(*words: object) -> None:
    """Run the command line."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output


def test_convert_without_a_command_line(scan: Path, tmp_path: Path) -> None:
    """The record is returned, and lies beside the result; a NIfTI file needs a name for what it becomes."""
    record = ctgrid.convert_scan(scan, tmp_path / "x.nrrd", dtype="float32")
    assert record.settings["dtype"] == "float32" and record.decisions["stored_dtype"] == "float32"
    assert json.loads((tmp_path / "x.run.json").read_text(encoding="utf-8"))["command"] == "convert"
    back = ctgrid.convert_scan(tmp_path / "x.nrrd")
    assert Path(back.outputs[0]["path"]) == tmp_path / "x.nii.gz"
    with pytest.raises(MisuseError, match="NIfTI already"):
        ctgrid.convert_scan(scan)


def test_the_command_makes_the_same_bytes(scan: Path, tmp_path: Path) -> None:
    """Of phantoms and of lower doses."""
    ctgrid.make_phantoms(tmp_path / "a.nii", size=24, slices=3, noise=5.0)
    line("simulate", "phantom", "--out", tmp_path / "b.nii", "--size", 24, "--slices", 3, "--noise", 5)
    assert (tmp_path / "a.nii").read_bytes() == (tmp_path / "b.nii").read_bytes()
    record = ctgrid.lower_dose(scan, tmp_path / "c.nii", dose=0.5, photons=1e4)
    assert record.decisions["low_dose"]["dose"] == 0.5
    line("simulate", "low-dose", scan, "--out", tmp_path / "d.nii", "--dose", 0.5, "--photons", 10000)
    assert (tmp_path / "c.nii").read_bytes() == (tmp_path / "d.nii").read_bytes()


def test_descriptions_are_plain(scan: Path) -> None:
    """What is printed as JSON is what the call returns."""
    assert json.loads(json.dumps(describe_source(scan))) == describe_source(scan)
    assert describe_source(scan)["shape"] == list(ctgrid.Volume.read(scan).shape)


def test_doses_have_the_defaults_of_what_makes_them() -> None:
    """Said in two rooms, because the lower one knows nothing of settings."""
    known = all_settings(LowDoseSettings)
    same = {"cutoff_per_mm": "cutoff"}
    compared = 0
    for name, parameter in inspect.signature(low_dose).parameters.items():
        if (found := known.get(same.get(name, name))) is not None:
            assert found.default == parameter.default, name
            compared += 1
    assert compared == 7
