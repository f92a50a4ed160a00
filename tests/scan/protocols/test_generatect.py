"""Protocol `generatect` against the published loader's tensors, against PyTorch, and inverted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import load_file
from torch.nn.functional import interpolate

from ctgrid import CtgridError, Volume
from ctgrid.scan.grid import downsample
from ctgrid.scan.hu.metadata import MetadataTable
from ctgrid.scan.protocols.generatect import (
    GenerateCTRecord,
    generatect,
    generatect_pass,
    generatect_with_record,
    invert,
)
from ctgrid.scan.protocols.protocols import record_from_json, restore
from ctgrid.scan.protocols.result import OutsideProtocol

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
    stated = {"source": "sidecar", "slope": 1.0, "intercept": -1024.0, "exact_slope": 1.7, "exact_intercept": -1024.9}
    assert {key: record.hu[key] for key in stated} == stated


def test_without_parity_the_real_numbers_are_used(chest: Callable, tmp_path: Path) -> None:
    stored = (chest((100, 24, 32)) + 1024) * np.int16(2)
    path = save(tmp_path / "a.nii.gz", stored, RescaleSlope=0.5, RescaleIntercept=-1024.0)
    tensor, record = generatect_with_record(path, 24, parity=False)
    stated = {"source": "sidecar", "slope": 0.5, "intercept": -1024.0, "whole_slope": 0.0, "whole_intercept": -1024.0}
    assert {key: record.hu[key] for key in stated} == stated
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
    for protocol in (generatect, generatect_pass):
        with pytest.raises(OutsideProtocol, match=rf"a\.nii has {n} slices; protocol generatect takes 100 to 600"):
            protocol(path, 8)


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


@pytest.mark.parametrize(("maker", "size", "k"), [("PNMS", 128, 4), ("GE", 64, 1), ("GE", 48, 2)])
def test_one_pass_gives_both_sizes(chest: Callable, tmp_path: Path, maker: str, size: int, k: int) -> None:
    """The fine slices are the protocol's tensor in whole HU, the coarse ones its reduction before rounding."""
    hu = chest((104, 64, 48))
    path = save(tmp_path / "a.nii", hu + np.int16(1024), RescaleSlope=1, RescaleIntercept=-1024, Manufacturer=maker)
    made = generatect_pass(path, size, k)
    tensor = by_the_letter(hu.transpose(2, 1, 0), 1, 0, maker == "PNMS", size)
    assert made.slices.dtype == made.coarse.dtype == np.int16
    np.testing.assert_allclose(made.slices, tensor * 1000, atol=0.502)
    small = downsample(torch.from_numpy(generatect(path, size))[:, None], k)[:, 0].numpy()
    np.testing.assert_array_equal(made.coarse, np.rint(small * np.float32(1000)))
    assert made.record.hu["source"] == "sidecar"
    assert made.record.hu["confirmed"] is True
    assert made.record.reversed_z == (maker == "PNMS")
    x, y, z = 0.7 * hu.shape[2] / size, 0.8 * hu.shape[1] / size, 1.5 * len(hu) / 201
    np.testing.assert_allclose(made.record.spacing_mm, (z, x, y), rtol=1e-6)


def test_at_512_a_scan_of_512_is_resampled_along_z_alone(chest: Callable, tmp_path: Path) -> None:
    """So every pixel is a column by itself, and a few of them tell."""
    hu = np.tile(chest((100, 32, 64)), (1, 16, 8))
    path = save(tmp_path / "a.nii", hu + np.int16(1024), RescaleSlope=1, RescaleIntercept=-1024, Manufacturer="PNMS")
    few = np.s_[:, 5::64, 9::64]
    expected = by_the_letter(hu[:, 9::64, 5::64].transpose(2, 1, 0), 1, 0, True, 8)
    np.testing.assert_allclose(generatect(path, 512)[few], expected, atol=1e-6)
    made = generatect_pass(path, 512)
    np.testing.assert_allclose(made.slices[few], expected * 1000, atol=0.502)
    assert made.coarse.shape == (201, 128, 128)


def test_parity_is_a_choice_and_the_difference_is_recorded(chest: Callable, tmp_path: Path) -> None:
    raw = (chest((100, 24, 32)) + 1024) * np.int16(2)
    path = save(tmp_path / "a.nii", raw, RescaleSlope=0.5, RescaleIntercept=-1024.6)
    real = generatect_pass(path, 24)
    assert (real.record.hu["slope"], real.record.hu["whole_slope"]) == (0.5, 0.0)
    whole = generatect_pass(path, 24, parity=True)
    assert (whole.record.hu["slope"], whole.record.hu["exact_slope"]) == (0.0, 0.5)
    assert (whole.slices == -1000).all()
    assert real.slices.std() > 300


def test_the_table_gives_what_the_json_would(chest: Callable, tmp_path: Path) -> None:
    hu = chest((100, 24, 32))
    path = save(tmp_path / "train_1_a_1.nii.gz", hu + np.int16(8192))
    (tmp_path / "m.csv").write_text(
        "VolumeName,RescaleSlope,RescaleIntercept,Manufacturer,XYSpacing,ZSpacing\n"
        'train_1_a_1.nii.gz,1,-8192,PNMS,"[0.5, 0.5]",1.5\n',
        encoding="utf-8",
    )
    made = generatect_pass(path, 24, metadata=MetadataTable.read(tmp_path / "m.csv"))
    assert (made.record.hu["intercept"], made.record.hu["file"]) == (-8192.0, str(tmp_path / "m.csv"))
    assert made.record.reversed_z
    assert made.record.provenance["manufacturer"] == "PNMS"
    assert made.record.provenance["spacing"]["used"] == "header"
    beside = save(tmp_path / "b.nii.gz", hu, RescaleSlope=1, RescaleIntercept=-8192, Manufacturer="PNMS")
    np.testing.assert_array_equal(made.slices, generatect_pass(beside, 24).slices)


def test_a_store_gets_no_scan_whose_hu_are_in_doubt(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 3000, (100, 8, 8)).astype(np.int16)
    doubtful = save(tmp_path / "a.nii", noise, RescaleSlope=2, RescaleIntercept=-1024)
    with pytest.raises(CtgridError, match=r"cannot tell how to get HU, by stored .* or sidecar"):
        generatect_pass(doubtful, 8)
    assert generatect(doubtful, 8).shape == (201, 8, 8)
    assert generatect_pass(doubtful, 8, hu="sidecar").record.hu["confirmed"] is False
    with pytest.raises(CtgridError, match="no air near -1000 HU"):
        generatect_pass(save(tmp_path / "b.nii", noise), 8)
    floats = noise.astype(np.float32) - 1500
    floats[50, 2, 2] = np.nan
    with pytest.raises(CtgridError, match="NaN"):
        generatect_pass(save(tmp_path / "c.nii", floats), 8)
    with pytest.raises(CtgridError, match="size 10 must be a positive multiple of k = 4"):
        generatect_pass(doubtful, 10)


@given(
    axes=st.permutations(range(3)),
    signs=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
    turn=st.floats(-0.3, 0.3),
    spacing=st.tuples(*[st.floats(0.3, 4)] * 3),
    maker=st.sampled_from(["PNMS", "GE"]),
)
@settings(max_examples=48)
def test_scans_come_back_to_their_place_to_half_a_hu(tmp_path_factory, axes, signs, turn, spacing, maker) -> None:
    """Whatever way the axes point, oblique ones included: the protocol takes slices as stored."""
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.eye(3)[axes] @ np.diag(np.multiply(signs, spacing))
    affine[:3, 3] = 11, -7, 250
    hu = np.random.default_rng(0).integers(-1000, 1001, (201, 12, 12)).astype(np.int16)
    path = Volume(hu, affine).write(tmp_path_factory.mktemp("scan") / "a.nii")
    text = json.dumps({"RescaleSlope": 1, "RescaleIntercept": -1024, "Manufacturer": maker})
    path.with_name("a_metadata.json").write_text(text, encoding="utf-8")
    made = generatect_pass(path, 12, 1)
    record = record_from_json(json.loads(json.dumps(made.record.to_json())))
    assert isinstance(record, GenerateCTRecord)
    assert record.to_json() == made.record.to_json()
    back = restore(made.slices, record)
    np.testing.assert_allclose(back.hu, hu, atol=0.5)
    np.testing.assert_allclose(back.affine, affine, atol=1e-4)
    np.testing.assert_array_equal(restore(made.slices.astype(np.float32) / 1000, record).hu, back.hu)


def test_a_marked_voxel_keeps_its_place_in_the_patient(chest: Callable, tmp_path: Path) -> None:
    """Also where slices are reversed, resized and resampled on the way."""
    hu = chest((150, 40, 60))
    hu[100:110, 8:16, 30:42] = 900
    path = save(tmp_path / "a.nii", hu, RescaleSlope=1, RescaleIntercept=-1024, Manufacturer="PNMS")
    back = restore(generatect_pass(path, 128).slices, generatect_pass(path, 128).record)
    where = np.argwhere(back.hu > 700)
    np.testing.assert_allclose(where.min(0), (100, 8, 30), atol=1)
    np.testing.assert_allclose(where.max(0), (109, 15, 41), atol=1)
    np.testing.assert_allclose(back.affine, AFFINE, atol=1e-6)
    assert back.record["protocol"] == "generatect"
    assert back.record["source"] == str(path)
