"""``ctgrid model calibrate``: a table beside a model's weights, which trust is told by from then on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.methods.denoising.trust import calibrate as maker
from ctgrid.methods.denoising.trust import fit as fitter
from ctgrid.methods.denoising.trust.maps import load_table
from ctgrid.runs.models.calibrate import calibrate_model
from ctgrid.scan.volume import Volume

AFFINE = np.diag([-4.0, -4.0, 2.5, 1.0])


@pytest.fixture
def model(detailed_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(detailed_model, tmp_path / "model"))


@pytest.fixture
def data(chest: Callable[..., np.ndarray], tmp_path: Path) -> Path:
    """A scan and a file that is none."""
    folder = tmp_path / "data"
    folder.mkdir()
    Volume(chest((4, 64, 64), noise_hu=6), AFFINE).write(folder / "a.nii")
    (folder / "b.nii").write_bytes(b"no image")
    return folder


def test_the_table_is_made_where_denoise_looks_for_it(model: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maker, "WHITE_HU", (40.0,))
    monkeypatch.setattr(maker, "CORRELATED_HU", (40.0,))
    monkeypatch.setattr(fitter, "ROUNDS", 20)
    monkeypatch.setattr(fitter, "LEAST_VOXELS", 500)
    record = calibrate_model(model, data, slices=2)
    table, warnings = load_table(model)
    assert not warnings and table.about["method"] == "detail" and list(table.about["scans_noise_hu"]) == ["a"]
    assert record.results["voxels"] == table.about["voxels"] and list(record.results["left_out"]) == ["b"]
    assert [output["path"] for output in record.outputs] == [str(model / "detail" / "trust.json")]
    with pytest.raises(CtgridError, match="--overwrite"):
        calibrate_model(model, data)


def test_what_cannot_be_calibrated_or_written_is_refused(model: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match="embedded is not a folder of yours; name the table with --out"):
        calibrate_model("embedded", data)
    with pytest.raises(CtgridError, match=r"must end in \.json"):
        calibrate_model(model, data, tmp_path / "t.txt")
    shutil.rmtree(model / "detail")
    with pytest.raises(CtgridError, match="no detail part"):
        calibrate_model(model, data)
