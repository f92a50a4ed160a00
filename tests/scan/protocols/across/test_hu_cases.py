"""HU by evidence, case by case: how scans are met in the wild, and what each must get."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid import CtgridError
from ctgrid.scan.formats.stored import StoredScan
from ctgrid.scan.hu.decide import resolve_hu
from ctgrid.scan.hu.metadata import MetadataTable

SHAPE = (24, 96, 96)
Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Case:
    """A scan: what was done to HU before they were stored, what is said about it, and the expected outcome.

    ``expect`` is the source that must be chosen, or the words of the refusal after "!".
    """

    name: str
    store: Change
    expect: str
    header: tuple[float, float] = (1.0, 0.0)
    sidecar: tuple[float, float] | None = None
    row: tuple[float, float] | None = None
    applied: tuple[float, float] | None = None
    mode: str = "auto"
    noise: float = 15.0
    change: Change = field(default=lambda hu: hu)
    details: dict[str, Any] = field(default_factory=dict)
    confirmed: bool = True
    exact: bool = True


def raw(intercept: float = -1024, slope: float = 1.0, dtype: type = np.int16) -> Change:
    return lambda hu: np.rint((hu - intercept) / slope).astype(dtype)


def as_it_is(hu: np.ndarray) -> np.ndarray:
    return hu.astype(np.int16)


def outside(value: int, radius: float = 0.95) -> Change:
    def change(hu: np.ndarray) -> np.ndarray:
        y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in hu.shape[1:]), indexing="ij")
        out = hu.copy()
        out[:, np.hypot(y, x) > radius] = value
        return out

    return change


def padded_raw(value: int, intercept: int = -1024, radius: float = 0.95) -> Change:
    return lambda hu: outside(value, radius)(raw(intercept)(hu))


def lung_only(hu: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    vessels = (y % 24 < 4) & (x % 24 < 4)
    lung = -850 + 40 * np.random.default_rng(0).standard_normal(SHAPE)
    return np.rint(np.where(vessels, 40, lung)).astype(np.int16)


def filled(hu: np.ndarray) -> np.ndarray:
    out = np.full(SHAPE, 40, np.int16)
    out[:, :10] = -1000
    return out


def contrast(hu: np.ndarray) -> np.ndarray:
    return np.where((hu > -50) & (hu < 200), hu + 130, hu)


def metal(hu: np.ndarray) -> np.ndarray:
    out = hu.copy()
    out[:, 45:52, 40:60] = 3071
    return out


def window8(hu: np.ndarray) -> np.ndarray:
    return np.clip((hu + 160) / 400 * 255, 0, 255).astype(np.uint8)


def floats(change: Change) -> Change:
    return lambda hu: change(hu).astype(np.float32)


BY_US = {"written_by_ctgrid": True}
VARIES = {"rescale_varies": {"slope": [1.0, 1.0], "intercept": [-1024.0, -1000.0]}}
S, R, L = (1.0, -1024.0), (1.0, -1000.0), (1.0, -8192.0)
CASES = [
    Case("fixed, nothing said", as_it_is, "stored"),
    Case("fixed with the sidecar of its raw file", as_it_is, "stored", sidecar=S),
    Case("fixed with the row of its raw file", as_it_is, "stored", row=S),
    Case("fixed with sidecar and row", as_it_is, "stored", sidecar=S, row=S),
    Case("fixed, Philips", as_it_is, "stored", row=L),
    Case("fixed, sidecar says identity", as_it_is, "stored", sidecar=(1.0, 0.0)),
    Case("raw -1024", raw(), "sidecar", sidecar=S),
    Case("raw -1024, row", raw(), "sidecar", row=S),
    Case("raw -1000", raw(-1000), "sidecar", sidecar=R),
    Case("raw -8192", raw(-8192), "sidecar", row=L),
    Case("raw, sidecar and row agree", raw(), "sidecar", sidecar=S, row=S),
    Case("raw, row wrong by far", raw(), "sidecar", sidecar=S, row=L),
    Case("raw, sidecar wrong by far", raw(), "sidecar", sidecar=L, row=S),
    Case("raw, sidecar and row 24 HU apart", raw(), "!a_metadata.json or sidecar .* of .*m.csv", sidecar=S, row=R),
    Case("slope 2", raw(-1024, 2.0), "sidecar", sidecar=(2.0, -1024.0), exact=False),
    Case("slope 0.5", raw(-1024, 0.5), "sidecar", sidecar=(0.5, -1024.0)),
    Case("HU x 10, slope said", raw(0, 0.1, np.int32), "sidecar", sidecar=(0.1, 0.0)),
    Case("HU x 10, nothing said", raw(0, 0.1, np.int32), "stored", confirmed=False, exact=False),
    Case("unsigned HU + 1024", raw(-1024, 1.0, np.uint16), "sidecar", sidecar=S, noise=0),
    Case("HU + 1024, nothing said", raw(), "stored", confirmed=False, exact=False),
    Case("header only", raw(), "header", header=S),
    Case("header, and values that are HU already", as_it_is, "stored", header=S),
    Case("header and sidecar agree: applied once", raw(), "header", header=S, sidecar=S),
    Case("header right, sidecar wrong", raw(), "header", header=S, sidecar=L),
    Case("header wrong, sidecar right", raw(-8192), "sidecar", header=S, sidecar=L),
    Case("header and sidecar, values HU already", as_it_is, "stored", header=S, sidecar=S),
    Case("header and sidecar 24 HU apart", raw(), "!header .* or sidecar", header=S, sidecar=R),
    Case("half-unit header", raw(-1000, 0.5), "header", header=(0.5, -1000.0)),
    Case("GE padding -2000, fixed", as_it_is, "stored", sidecar=S, change=outside(-2000)),
    Case("GE padding -3024, fixed", as_it_is, "stored", sidecar=S, change=outside(-3024, 0.8)),
    Case("raw padding -2000", padded_raw(-2000), "sidecar", sidecar=S, exact=False),
    Case("raw padding -1024 looks like air", padded_raw(-1024), "sidecar", sidecar=S, exact=False),
    Case("raw padding -1000, tight", padded_raw(-1000, radius=0.8), "sidecar", sidecar=S, exact=False),
    Case("raw padding 0", padded_raw(0), "sidecar", sidecar=S, exact=False),
    Case("Philips, raw padding 0", padded_raw(0, -8192), "sidecar", sidecar=L, exact=False),
    Case("float, fixed", floats(as_it_is), "stored", sidecar=S),
    Case("float, raw", floats(raw()), "sidecar", sidecar=S),
    Case("float with NaN outside", lambda hu: np.where(hu < -1010, np.nan, hu), "stored", sidecar=S, exact=False),
    Case("contrast, fixed", as_it_is, "stored", sidecar=S, change=contrast),
    Case("contrast, raw", raw(), "sidecar", sidecar=S, change=contrast),
    Case("lung only, fixed", as_it_is, "stored", sidecar=S, change=lung_only),
    Case("lung only, raw", raw(), "sidecar", sidecar=S, change=lung_only),
    Case("low dose, fixed", as_it_is, "stored", sidecar=S, noise=400),
    Case("low dose, raw", raw(), "sidecar", sidecar=S, noise=400),
    Case("without noise, fixed", as_it_is, "stored", sidecar=S, noise=0),
    Case("without noise, raw", raw(), "sidecar", sidecar=S, noise=0),
    Case("little air, of one value, fixed", as_it_is, "stored", sidecar=S, change=filled),
    Case("little air, of one value, raw", raw(), "sidecar", sidecar=S, change=filled),
    Case("metal, fixed", as_it_is, "stored", sidecar=S, change=metal),
    Case("metal, raw", raw(), "sidecar", sidecar=S, change=metal),
    Case("8-bit window", window8, "stored", confirmed=False, exact=False),
    Case("8-bit window with a sidecar", window8, "!fit neither", sidecar=S),
    Case("MR-like", lambda hu: ((hu + 1030) * 0.4).astype(np.int16), "!stored .* or sidecar", sidecar=S),
    Case("soft tissue alone", lambda hu: np.full(SHAPE, 40, np.int16), "!fit neither", sidecar=S),
    Case("DICOM, tags applied", as_it_is, "header", applied=S),
    Case("DICOM, tags are identity", as_it_is, "stored", applied=(1.0, 0.0)),
    Case("DICOM, tags wrong: pixels were HU", lambda hu: (hu - 1024).astype(np.int16), "stored", applied=S),
    Case("DICOM, pixels as stored", as_it_is, "stored", applied=S, mode="stored", confirmed=False, exact=False),
    Case("DICOM, tags asked for", as_it_is, "header", applied=S, mode="header"),
    Case("DICOM, tags vary", as_it_is, "header", applied=S, details=VARIES),
    Case("DICOM, tags vary, the first is identity", as_it_is, "header", applied=(1.0, 0.0), details=VARIES),
    Case("DICOM, tags vary, stored asked for", as_it_is, "!own rescale", applied=S, mode="stored", details=VARIES),
    Case("DICOM by ctgrid", as_it_is, "header", applied=S, details=BY_US),
    Case("by ctgrid, sidecar beside it", as_it_is, "stored", sidecar=S, details=BY_US),
    Case("by ctgrid, rescale asked for", as_it_is, "!written by ctgrid", sidecar=S, mode="sidecar", details=BY_US),
    Case("override: sidecar on fixed", as_it_is, "!second time .*use --hu stored", sidecar=S, mode="sidecar"),
    Case("override: row on fixed", as_it_is, "!second time", row=S, mode="sidecar"),
    Case("override: header on fixed", as_it_is, "!second time", header=S, mode="header"),
    Case("override: sidecar on raw", raw(), "sidecar", sidecar=S, mode="sidecar"),
    Case("override: stored on raw", raw(), "stored", sidecar=S, mode="stored", confirmed=False, exact=False),
    Case("override: evidence cannot tell", window8, "sidecar", sidecar=S, mode="sidecar", confirmed=False, exact=False),
    Case("override: sidecar that is not there", as_it_is, "!has no sidecar", mode="sidecar"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, chest: Callable[..., np.ndarray], tmp_path: Path) -> None:
    hu = case.change(chest(SHAPE, case.noise))
    path = tmp_path / "a.nii.gz"
    if case.sidecar:
        text = json.dumps(dict(zip(("RescaleSlope", "RescaleIntercept"), case.sidecar, strict=True)))
        (tmp_path / "a_metadata.json").write_text(text, encoding="utf-8")
    table = None
    if case.row:
        csv = f"VolumeName,RescaleSlope,RescaleIntercept\na.nii.gz,{case.row[0]},{case.row[1]}\n"
        (tmp_path / "m.csv").write_text(csv, encoding="utf-8")
        table = MetadataTable.read(tmp_path / "m.csv")
    format_ = "dicom" if case.applied else "nifti"
    scan = StoredScan(case.store(hu), np.eye(4), format_, *case.header, details=case.details, applied=case.applied)
    if case.expect.startswith("!"):
        with pytest.raises(CtgridError, match=case.expect[1:]) as caught:
            resolve_hu(scan, path, case.mode, table)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
        return
    values, record = resolve_hu(scan, path, case.mode, table)
    assert record["source"] == case.expect
    assert record["confirmed"] == case.confirmed
    assert record["mode"] == case.mode
    json.dumps(record)
    if record["source"] == "sidecar":
        assert Path(record["file"]).is_file()
    if case.exact:
        np.testing.assert_allclose(values, hu, atol=0.51)
