"""DICOM files against the standard: its tables as highdicom ships them, and dciodvfy where it is installed."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pydicom
import pytest

from ctgrid.scan.volume import Volume

HU = {"hu": {"source": "rescale", "slope": 1.0, "intercept": 0.0}}
NEWER_THAN_DCIODVFY = "(0x0008,0x001c)"
"""Synthetic Data, of 2022."""


@cache
def table(name: str) -> dict[str, Any]:
    """Return one of highdicom's tables of PS3.3, without importing the whole of it."""
    found = importlib.util.find_spec("highdicom")
    if found is None or not found.submodule_search_locations:
        pytest.skip("highdicom is not installed (pip install 'ctgrid[test]')")
    path = Path(found.submodule_search_locations[0]) / "_standard" / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def faults(data: pydicom.Dataset) -> Iterator[str]:
    """Yield what the standard asks of a file of this kind and it lacks, or what it holds that does not belong there."""
    modules = table("iod_module_map")[table("sop_class_iod_map")[data.SOPClassUID]]
    attributes, known = table("module_attribute_map"), set()
    for module in modules:
        for one in attributes[module["key"]]:
            known.add((*one["path"], one["keyword"]))
            if module["usage"] == "M" or one["path"]:
                yield from missing(data, one["path"], one["keyword"], one["type"])
    yield from (f"{'.'.join(path)} does not belong there" for path, _ in elements(data) if path not in known)


def missing(data: pydicom.Dataset, path: list[str], keyword: str, kind: str) -> Iterator[str]:
    """Yield what of an attribute is missing; below a sequence that is there, in each of its items."""
    if path:
        for item in data.get(path[0]) or []:
            yield from missing(item, path[1:], keyword, kind)
    elif kind in ("1", "2") and keyword not in data:
        yield f"{keyword} (type {kind}) is missing"
    elif kind in ("1", "1C") and keyword in data and data[keyword].is_empty:
        yield f"{keyword} (type {kind}) is empty"


def elements(data: pydicom.Dataset, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for element in data:
        here = (*path, element.keyword)
        yield here, element
        for item in element.value if element.VR == "SQ" else ():
            yield from elements(item, here)


@pytest.fixture
def series(chest_volume: Volume, tmp_path: Path) -> Path:
    """A series of a patient, of a scanner's making."""
    folder = tmp_path / "series"
    folder.mkdir()
    small = Volume(chest_volume.hu[:2, ::4, ::4].copy(), chest_volume.affine, HU)
    small.write(tmp_path / "plain")
    for path in sorted((tmp_path / "plain").iterdir()):
        data = pydicom.dcmread(path)
        data.PatientName, data.PatientID, data.StudyDate, data.SeriesDescription = "Doe^J", "7", "20200102", "Lung 1.0"
        data.ImageType, data.BodyPartExamined = ["ORIGINAL", "PRIMARY", "AXIAL"], "CHEST"
        data.save_as(folder / path.name)
    return folder


def written(what: str, series: Path, out: Path) -> Path:
    """Write a volume as DICOM in one of the ways that commands do."""
    scan = Volume.read(series)
    if what == "synthetic":
        return Volume(scan.hu, scan.affine, {**HU, "synthetic": True}).write(out)
    if what == "converted":
        return Volume(scan.hu, scan.affine, HU).write(out)
    record = {**scan.record, "derived": what}
    return Volume(scan.hu, scan.affine, record).write(out, template=series)


WAYS = ("denoised", "what denoising removed", "low dose simulated", "synthetic", "converted")


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pydicom refuse values that are none of their kind."""
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", pydicom.config.RAISE)


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("what", WAYS)
def test_files_are_as_the_standard_has_them(what: str, series: Path, tmp_path: Path) -> None:
    for path in sorted(written(what, series, tmp_path / "out").iterdir()):
        data = pydicom.dcmread(path)
        assert list(faults(data)) == []
        assert ("SyntheticData" in data and data.SyntheticData == "YES") == (what == "synthetic")
        assert data.ImageType[:2] == ["DERIVED", "SECONDARY"]


def test_what_is_wrong_is_found(series: Path) -> None:
    """The checks above can fail."""
    data = pydicom.dcmread(next(series.iterdir()))
    assert list(faults(data)) == []
    del data.SeriesInstanceUID, data.PatientSex
    data.Modality, data.EchoTime = "", 3
    data.SourceImageSequence = [pydicom.Dataset()]
    assert sorted(faults(data)) == [
        "EchoTime does not belong there",
        "Modality (type 1) is empty",
        "PatientSex (type 2) is missing",
        "ReferencedSOPClassUID (type 1) is missing",
        "ReferencedSOPInstanceUID (type 1) is missing",
        "SeriesInstanceUID (type 1) is missing",
    ]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed (Debian's dicom3tools)")
@pytest.mark.parametrize("what", WAYS)
def test_dciodvfy_finds_no_error(what: str, series: Path, tmp_path: Path) -> None:
    path = next(written(what, series, tmp_path / "out").iterdir())
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error") and NEWER_THAN_DCIODVFY not in line]
    assert errors == [] and "CTImage" in done.stderr
