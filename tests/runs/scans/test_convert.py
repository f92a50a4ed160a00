"""``ctgrid convert`` from Python: the record is returned, and lies beside the result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import ctgrid
from ctgrid.base.errors import CtgridError, MisuseError
from ctgrid.runs.scans.convert import default_output


def test_convert_without_a_command_line(scan: Path, tmp_path: Path) -> None:
    """The record is returned, and lies beside the result; a NIfTI file needs a name for what it becomes."""
    record = ctgrid.convert_scan(scan, tmp_path / "x.nrrd", dtype="float32")
    assert record.settings["dtype"] == "float32" and record.decisions["stored_dtype"] == "float32"
    assert json.loads((tmp_path / "x.run.json").read_text(encoding="utf-8"))["command"] == "convert"
    back = ctgrid.convert_scan(tmp_path / "x.nrrd")
    assert Path(back.outputs[0]["path"]) == tmp_path / "x.nii.gz"
    with pytest.raises(MisuseError, match="NIfTI already"):
        ctgrid.convert_scan(scan)


def test_what_becomes_of_a_scan_without_a_name(tmp_path: Path) -> None:
    assert default_output(tmp_path / "a.mha") == tmp_path / "a.nii.gz"
    assert default_output(tmp_path / "series") == tmp_path / "series.nii.gz"
    (tmp_path / "odd.nii").mkdir()
    assert default_output(tmp_path / "odd.nii").name.endswith(".nii.gz"), "a folder of DICOM may be called anything"
    for name in ("a.nii", "a.nii.gz", "a.NII"):
        with pytest.raises(MisuseError, match="is NIfTI already; say what it is to become"):
            default_output(tmp_path / name)


def test_the_record_tells_what_was_decided(scan: Path, tmp_path: Path) -> None:
    record = ctgrid.convert_scan(scan, tmp_path / "series")
    assert record.decisions["stored_dtype"] == "int16" and record.decisions["marked_as_hu"] is True
    assert record.outputs[0]["files"] == 6 and record.outputs[0]["orientation"] == "LPS"
    assert record.inputs[0]["record"]["format"] == "nifti"
    again = ctgrid.convert_scan(tmp_path / "series", tmp_path / "back.nii")
    assert np.array_equal(ctgrid.Volume.read(tmp_path / "back.nii").hu, ctgrid.Volume.read(scan).hu)
    assert again.inputs[0]["record"]["format"] == "dicom"


def test_refused_before_anything_is_read(scan: Path, tmp_path: Path) -> None:
    for source, out, settings, words in (
        (tmp_path / "none.nii", tmp_path / "x.nrrd", {}, "does not exist"),
        (scan, tmp_path / "series", {"dtype": "float32"}, "a DICOM CT series has 16-bit integers; drop --dtype"),
        (scan, scan, {"overwrite": True}, "is the input"),
        (scan, tmp_path / "x.txt", {}, "cannot write"),
    ):
        with pytest.raises(CtgridError, match=words):
            ctgrid.convert_scan(source, out, **settings)
    assert [path.name for path in tmp_path.iterdir()] == ["scan.nii.gz"]
