"""``ctgrid denoise`` from Python: the same files as the command's, and a record."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import ctgrid
from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import all_settings
from ctgrid.runs.denoising.run import denoise_scans
from ctgrid.runs.denoising.settings import Request

AFFINE = np.diag([-0.9, -0.9, 2.5, 1.0])


@pytest.fixture
def scans(tmp_path: Path, chest: Callable[..., np.ndarray]) -> Path:
    """Return a folder of two noisy scans."""
    (tmp_path / "scans").mkdir()
    for name, noise in (("a.nii", 40), ("b.nii", 60)):
        ctgrid.Volume(chest((6, 48, 48), noise_hu=noise), AFFINE).write(tmp_path / "scans" / name)
    return tmp_path / "scans"


def test_scans_are_denoised_and_kept(scans: Path, tmp_path: Path) -> None:
    """By fields or by a request; voxels are those of the single call."""
    out = tmp_path / "clean"
    record = denoise_scans(scans, out, method="tv", picture=False)
    assert record.results["done"] == 2 and record.status == "done" and (out / "run.json").is_file()
    assert record.settings["method"] == record.settings["method_asked"] == "tv"
    single = ctgrid.denoise(scans / "a.nii", "tv")
    assert np.array_equal(ctgrid.Volume.read(out / "a.nii").hu, single.hu)
    told: list[str] = []
    again = denoise_scans(
        [scans],
        out,
        Request(method="tv", picture=False),
        resume=True,
        on_case=lambda entry: told.append(entry["status"]),
    )
    assert again.results["kept"] == 2 and told == ["kept", "kept"]


def test_settings_of_the_method_are_told_apart(scans: Path, tmp_path: Path) -> None:
    """Those that a method lacks are refused before anything is written."""
    with pytest.raises(CtgridError, match="method 'tv' has no setting phases"):
        denoise_scans(scans, tmp_path / "clean", method="tv", phases=2)
    with pytest.raises(CtgridError, match="unknown setting 'salt'"):
        denoise_scans(scans, tmp_path / "clean", salt=2)
    with pytest.raises(CtgridError, match="no scan was given"):
        denoise_scans([], tmp_path / "clean", method="tv")
    assert not (tmp_path / "clean").exists()


def test_calls_show_what_they_take() -> None:
    """Defaults are those of the dataclass, and are written there alone."""
    shown = inspect.signature(denoise_scans).parameters
    for name, known in all_settings(Request).items():
        assert shown[name].default == known.default
