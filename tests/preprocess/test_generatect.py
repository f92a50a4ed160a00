"""Protocol `generatect` against the published loader's tensors, against PyTorch, and inverted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file
from torch.nn.functional import interpolate

from ctgrid import CtgridError
from ctgrid.preprocess import generatect, generatect_with_record, invert
from ctgrid.preprocess.resample import linear_taps, resample_z

AFFINE = np.array([[-0.7, 0, 0, 10], [0, -0.8, 0, 20], [0, 0, 1.5, 30], [0, 0, 0, 1]])


def save(path: Path, values: np.ndarray, **sidecar: object) -> Path:
    nibabel.save(nibabel.Nifti1Image(values.transpose(2, 1, 0), AFFINE), path)
    if sidecar:
        path.with_name(path.name.split(".")[0] + "_metadata.json").write_text(json.dumps(sidecar))
    return path


def by_the_letter(stored_xyz: np.ndarray, slope: int, intercept: int, flip: bool, size: int) -> np.ndarray:
    """Compute the protocol the slow, obvious way, from DESIGN's list of steps."""
    tensor = np.clip(stored_xyz.astype(np.float64) * slope + intercept, -1000, 1000) / 1000
    slices = [tensor[:, :, i].astype(np.float32) for i in range(tensor.shape[2])]
    if flip:
        slices = slices[::-1]
    small = [np.array(Image.fromarray(s).resize((size, size), Image.Resampling.BILINEAR)) for s in slices]
    stack = torch.from_numpy(np.stack(small))[None, None]
    return interpolate(stack, size=(201, size, size), mode="trilinear", align_corners=False)[0, 0].numpy()


@pytest.mark.parametrize("name", ["siemens", "philips"])
def test_golden_tensors(golden_dir: Path, name: str) -> None:
    golden = load_file(golden_dir / "generatect_128_every10th_slice_every4th_pixel.safetensors")[name]
    tensor = generatect(golden_dir / f"{name}.nii.gz", 128)
    assert tensor.shape == (201, 128, 128)
    assert tensor.dtype == np.float32
    np.testing.assert_allclose(tensor[::10, ::4, ::4], golden, atol=1e-6, rtol=0)


@pytest.mark.parametrize("maker", ["PNMS", "Siemens Healthineers"])
@pytest.mark.parametrize(("n", "size"), [(100, 40), (201, 16), (413, 24), (600, 8)])
def test_equals_the_steps_taken_one_by_one(tmp_path: Path, maker: str, n: int, size: int) -> None:
    stored = np.random.default_rng(n).integers(0, 4000, (n, 24, 33)).astype(np.int16)
    path = save(tmp_path / "a.nii.gz", stored, RescaleSlope="1.7", RescaleIntercept="-1024.9", Manufacturer=maker)
    expected = by_the_letter(stored.transpose(2, 1, 0), 1, -1024, maker == "PNMS", size)
    tensor, record = generatect_with_record(path, size)
    np.testing.assert_allclose(tensor, expected, atol=1e-6, rtol=0)
    assert record.hu == {
        **{"source": "sidecar", "slope": 1.0, "intercept": -1024.0},
        **{"exact_slope": 1.7, "exact_intercept": -1024.9},
    }


def test_without_parity_the_real_numbers_are_used(chest: Callable, tmp_path: Path) -> None:
    stored = (chest((100, 24, 32)) + 1024) * np.int16(2)
    path = save(tmp_path / "a.nii.gz", stored, RescaleSlope=0.5, RescaleIntercept=-1024.0)
    tensor, record = generatect_with_record(path, 24, parity=False)
    assert record.hu == {"source": "sidecar", "slope": 0.5, "intercept": -1024.0}
    assert np.median(tensor[:, :2]) == pytest.approx(-1.0, abs=0.03)


def test_values_that_are_hu_already_are_not_rescaled(chest: Callable, tmp_path: Path) -> None:
    hu = chest((100, 24, 32))
    fixed = save(tmp_path / "fixed.nii.gz", hu, RescaleSlope=1, RescaleIntercept=-1024)
    raw = save(tmp_path / "raw.nii.gz", hu + np.int16(1024), RescaleSlope=1, RescaleIntercept=-1024)
    bare = save(tmp_path / "bare.nii.gz", hu)
    np.testing.assert_array_equal(generatect(fixed, 32), generatect(raw, 32))
    np.testing.assert_array_equal(generatect(fixed, 32), generatect(bare, 32))


@pytest.mark.parametrize("n", [99, 601])
def test_the_protocol_leaves_out_short_and_long_volumes(tmp_path: Path, n: int) -> None:
    path = save(tmp_path / "a.nii", np.zeros((n, 4, 4), np.int16))
    with pytest.raises(CtgridError, match=rf"a\.nii has {n} slices; protocol generatect takes 100 to 600"):
        generatect(path, 8)


def test_bad_arguments(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", np.zeros((100, 4, 4), np.int16))
    with pytest.raises(CtgridError, match="size must be at least 1"):
        generatect(path, 0)
    _, record = generatect_with_record(path, 8)
    with pytest.raises(CtgridError, match="its record says"):
        invert(np.zeros((200, 8, 8), np.float32), record)


@pytest.mark.parametrize("maker", ["PNMS", "GE"])
def test_inverse_is_exact_where_nothing_was_resampled(tmp_path: Path, maker: str) -> None:
    hu = np.random.default_rng(0).integers(-1000, 1001, (201, 16, 16)).astype(np.int16)
    path = save(tmp_path / "a.nii.gz", hu, RescaleSlope=1, RescaleIntercept=0, Manufacturer=maker)
    tensor, record = generatect_with_record(path, 16)
    volume = invert(tensor, record)
    np.testing.assert_array_equal(volume.hu, hu)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-6)


@pytest.mark.parametrize("maker", ["PNMS", "GE"])
def test_inverse_puts_a_smooth_field_back(tmp_path: Path, maker: str) -> None:
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in (120, 60, 44)), indexing="ij")
    hu = (400 * z + 300 * y + 200 * x).astype(np.int16)
    path = save(tmp_path / "a.nii.gz", hu, RescaleSlope=1, RescaleIntercept=0, Manufacturer=maker)
    volume = invert(*generatect_with_record(path, 128))
    assert volume.shape == hu.shape
    np.testing.assert_allclose(volume.hu, hu, atol=12)  # at the borders; within, 1
    np.testing.assert_allclose(volume.hu[3:-3, 3:-3, 3:-3], hu[3:-3, 3:-3, 3:-3], atol=2)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-6)


@pytest.mark.parametrize("n_in", [1, 2, 7, 100, 107, 333, 600])
@pytest.mark.parametrize("n_out", [1, 50, 201])
def test_z_resampling_equals_pytorch(n_in: int, n_out: int) -> None:
    slices = np.random.default_rng(0).uniform(-1, 1, (n_in, 3, 2)).astype(np.float32)
    columns = torch.from_numpy(slices.reshape(n_in, 6).T.copy())[None]
    expected = interpolate(columns, size=n_out, mode="linear", align_corners=False)[0].numpy().T
    np.testing.assert_allclose(resample_z(slices, n_out).reshape(n_out, 6), expected, atol=2e-7, rtol=0)
    low, high, weight = linear_taps(n_in, n_out)
    assert low.min() >= 0
    assert high.max() < n_in
    assert weight.min() >= 0
    assert weight.max() < 1
