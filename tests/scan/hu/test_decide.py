"""HU by evidence: raw and fixed files, with noise, and what is no CT."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from ctgrid import CtgridError, Volume
from ctgrid.scan.ct import require_ct
from ctgrid.scan.hu.readings import Reading, apply_reading


def save(path: Path, values: np.ndarray, slope: float | str | None = None, intercept: float = 0) -> Path:
    nibabel.save(nibabel.Nifti1Image(values.transpose(2, 1, 0), np.eye(4)), path)
    if slope is not None:
        text = json.dumps({"RescaleSlope": str(slope), "RescaleIntercept": str(intercept)})
        path.with_name(path.name.split(".")[0] + "_metadata.json").write_text(text)
    return path


@pytest.mark.parametrize("intercept", [-1024, -8192, -1000])
@pytest.mark.parametrize("noise_hu", [0, 50, 400])
def test_raw_and_fixed_files_are_told_apart(chest: Callable, tmp_path: Path, noise_hu: float, intercept: int) -> None:
    hu = chest((24, 96, 96), noise_hu)
    raw = Volume.read(save(tmp_path / "raw.nii.gz", hu - np.int16(intercept), 1, intercept))
    assert (raw.record["hu"]["source"], raw.record["hu"]["intercept"]) == ("sidecar", intercept)
    np.testing.assert_array_equal(raw.hu, hu)
    fixed = Volume.read(save(tmp_path / "fixed.nii.gz", hu, 1, intercept))
    assert fixed.record["hu"]["source"] == "stored"
    np.testing.assert_array_equal(fixed.hu, hu)


def test_padding_does_not_pass_for_air(chest: Callable, tmp_path: Path) -> None:
    hu = chest((24, 96, 96))
    raw = hu + np.int16(1024)
    raw[:, :8] = raw[:, -8:] = -1024  # scanner padding, outside the field of view
    volume = Volume.read(save(tmp_path / "raw.nii.gz", raw, 1, -1024))
    assert volume.record["hu"]["source"] == "sidecar"


@pytest.fixture
def clean(rider: Volume) -> np.ndarray:
    return rider.hu[::8, ::2, ::2]


@pytest.mark.parametrize("clipped", [False, True])
def test_real_scan_raw_fixed_and_noisy(clean: np.ndarray, tmp_path: Path, clipped: bool) -> None:
    noisy = clean + 400 * np.random.default_rng(0).standard_normal(clean.shape)
    hu = np.clip(np.rint(noisy), -1000 if clipped else -8000, 8000).astype(np.int16)
    require_ct(Volume(hu, np.eye(4)))
    assert Volume.read(save(tmp_path / "a.nii", hu, 1, -1024)).record["hu"]["source"] == "stored"
    assert Volume.read(save(tmp_path / "b.nii", hu + 1024, 1, -1024)).record["hu"]["source"] == "sidecar"


def test_ambiguous_scan_is_refused_naming_both_readings(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 3000, (8, 20, 20)).astype(np.int16)
    path = save(tmp_path / "a.nii.gz", values, 2, -1024)
    with pytest.raises(CtgridError, match=r"stored \(slope 1, intercept 0\) or sidecar \(slope 2, .*-1024\)"):
        Volume.read(path)
    np.testing.assert_array_equal(Volume.read(path, hu="stored").hu, values)
    np.testing.assert_array_equal(Volume.read(path, hu="sidecar").hu, 2 * values - 1024)


def test_identity_sidecar_needs_no_evidence(tmp_path: Path) -> None:
    values = np.full((4, 5, 6), 77, np.int16)
    assert Volume.read(save(tmp_path / "a.nii", values, 1, 0)).record["hu"]["source"] == "stored"


@pytest.mark.parametrize(
    ("values", "reading", "dtype"),
    [
        (np.int16([[[-5, 7]]]), Reading("x", 1.0, 0.0), np.int16),
        (np.uint16([[[0, 4095]]]), Reading("x", 1.0, -1024.0), np.int16),
        (np.int16([[[0, 30000]]]), Reading("x", 2.0, 0.0), np.float32),
        (np.uint16([[[0, 65535]]]), Reading("x", 1.0, 0.0), np.float32),
        (np.int16([[[0, 3]]]), Reading("x", 0.5, -1000.25), np.float32),
        (np.float64([[[0.25, 3]]]), Reading("x", 1.0, -1024.0), np.float32),
        (np.int16([[[32767, -3]]]), Reading("x", -1.0, 0.0), np.int16),
    ],
)
def test_readings_are_exact(values: np.ndarray, reading: Reading, dtype: type) -> None:
    hu = apply_reading(values, reading)
    assert hu.dtype == dtype
    np.testing.assert_array_equal(hu, values.astype(np.float64) * reading.slope + reading.intercept)


@pytest.mark.parametrize("noise_hu", [0, 50, 400, 600])
def test_noisy_ct_is_ct(chest: Callable, noise_hu: float) -> None:
    require_ct(Volume(chest(noise_hu=noise_hu), np.eye(4)))


@pytest.mark.parametrize(("low", "high"), [(0, 255), (0, 1200), (-160, 240), (-3, 3)])
def test_mr_like_volumes_are_refused(low: float, high: float) -> None:
    mr = np.random.default_rng(0).uniform(low, high, (8, 32, 32)).astype(np.float32)
    with pytest.raises(CtgridError, match="no air near -1000 HU"):
        require_ct(Volume(mr, np.eye(4), {"source": "mr.nii.gz"}))


def test_raw_values_without_a_sidecar_are_refused(chest: Callable) -> None:
    with pytest.raises(CtgridError, match="still need their slope"):
        require_ct(Volume(chest() + np.int16(1024), np.eye(4)))


def test_one_slice_is_no_volume(chest: Callable) -> None:
    with pytest.raises(CtgridError, match=r"scan\.nii has 1 slice.* 2 needed"):
        require_ct(Volume(chest()[:1], np.eye(4), {"source": "scan.nii"}))


def test_real_scan_padded_outside_its_round_field(clean: np.ndarray, tmp_path: Path) -> None:
    """Padding that looks like air, in raw values, once misled; also a wide field with a small body."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in clean.shape[1:]), indexing="ij")
    for outside, radius in ((-1024, 0.9), (-2000, 0.9), (0, 0.7)):
        raw = clean + np.int16(1024)
        raw[:, np.hypot(x, y) > radius] = outside
        assert Volume.read(save(tmp_path / "a.nii", raw, 1, -1024)).record["hu"]["source"] == "sidecar"
    wide = np.pad(clean, ((0, 0), (256, 256), (256, 256)), constant_values=-1000)[:, ::2, ::2]
    assert Volume.read(save(tmp_path / "b.nii", wide, 1, -1024)).record["hu"]["source"] == "stored"
    assert Volume.read(save(tmp_path / "c.nii", wide + 1024, 1, -1024)).record["hu"]["source"] == "sidecar"
