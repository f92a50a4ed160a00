"""The canonical form: upright for every orientation, and back onto the patient's own grid."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctgrid import CtgridError, Volume
from ctgrid.scan.grid import downsample
from ctgrid.scan.protocols.body import body_centre, body_mask
from ctgrid.scan.protocols.canonical import canonical_pass, from_canonical, to_canonical
from ctgrid.scan.protocols.protocols import record_from_json, restore

ORIENTATIONS = [
    "".join(pair[sign] for pair, sign in zip(pairs, signs, strict=True))
    for pairs in permutations(("LR", "PA", "IS"))
    for signs in product((0, 1), repeat=3)
]


def clipped(volume: Volume) -> np.ndarray:
    return np.clip(volume.hu, -1000, 1000)


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_every_orientation_gives_the_same_picture_and_comes_back(
    chest_volume: Volume, tmp_path: Path, codes: str
) -> None:
    scan = Volume.read(chest_volume.reoriented(codes).write(tmp_path / "a.nii"))
    assert scan.orientation == codes
    np.testing.assert_allclose(scan.affine, chest_volume.reoriented(codes).affine, atol=1e-4)
    scan = replace(scan, record={"source": "here"})
    array, record = to_canonical(scan, size=64)
    upright, _ = to_canonical(chest_volume, size=64)
    np.testing.assert_array_equal(array, upright)
    back = from_canonical(array, record)
    assert back.orientation == codes
    assert back.shape == scan.shape
    assert back.record == {"source": "here"}
    np.testing.assert_allclose(back.affine, scan.affine, atol=1e-9)
    again = Volume.read(back.write(tmp_path / "b.nii"))
    np.testing.assert_array_equal(again.hu, back.hu)
    np.testing.assert_allclose(again.affine, scan.affine, atol=1e-4)


@given(
    codes=st.sampled_from(ORIENTATIONS),
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 5)] * 3),
    dtype=st.sampled_from([np.int16, np.float32]),
    origin=st.floats(-300, 300),
)
@settings(max_examples=200)
def test_round_trip_is_exact_where_nothing_is_resampled(codes, shape, spacing, dtype, origin) -> None:
    values = np.random.default_rng(0).uniform(-1000, 1000, shape)
    affine = np.diag([-spacing[0], -spacing[0], spacing[2], 1.0])  # square pixels, LPS
    affine[:3, 3] = origin
    scan = Volume(values.astype(dtype), affine).reoriented(codes)
    n, height, width = Volume(values.astype(dtype), affine).shape
    array, record = to_canonical(scan, size=max(height, width))
    assert len(array) == n
    back = from_canonical(array, record)
    assert back.hu.dtype == dtype
    np.testing.assert_allclose(back.hu, scan.hu, atol=0 if dtype is np.int16 else 1e-3)
    np.testing.assert_allclose(back.affine, scan.affine, atol=1e-9)


def test_512_scan_is_untouched_but_for_the_window(chest: Callable, oblique_affine: np.ndarray) -> None:
    affine = oblique_affine.copy()
    affine[:3, 1] *= 0.7 / 0.8
    hu = chest((3, 512, 512))
    hu[:, :20] = -2000  # outside the field of view
    volume = Volume(hu, affine)
    array, record = to_canonical(volume)
    assert array.shape == (3, 512, 512)
    assert array.dtype == np.float32
    assert array.min() == -1.0
    np.testing.assert_array_equal(from_canonical(array, record).hu, clipped(volume))
    np.testing.assert_allclose(record.spacing_mm, volume.spacing_mm)


def test_display_orientation(chest: Callable) -> None:
    """Mark the patient's left, back and head, in a scan stored the other way round."""
    hu = np.full((20, 20, 20), -1000, np.int16)  # RAS: x to the right, y to the front, z to the head
    hu[10, 10, 2] = 100  # left
    hu[10, 2, 10] = 200  # back
    hu[17, 10, 10] = 300  # head
    array, _ = to_canonical(Volume(hu, np.diag([1, 1, 1, 1.0])), size=20)
    for value, (z, row, column) in {0.1: (10, 9, 17), 0.2: (10, 17, 9), 0.3: (17, 9, 9)}.items():
        assert array[z, row, column] == pytest.approx(value)


def test_wide_slices_are_padded_with_air(chest: Callable) -> None:
    array, record = to_canonical(Volume(chest((4, 40, 64)), np.diag([-1, -1, 1, 1.0])), size=64)
    assert record.pad == (12, 0)
    assert (array[:, :12] == -1).all()
    assert (array[:, 52:] == -1).all()


def test_pixels_that_are_not_square_become_square(chest: Callable) -> None:
    """A disc sampled at 0.5 x 1 mm is a disc in the canonical form."""
    y, x = np.mgrid[-20:20, -40:40]
    hu = np.where((y * 1.0) ** 2 + (x * 0.5) ** 2 < 15**2, 0, -1000).astype(np.int16)[None].repeat(2, 0)
    array, record = to_canonical(Volume(hu, np.diag([-0.5, -1.0, 3.0, 1.0])), size=80)
    inside = array[0] > -0.5
    assert np.ptp(np.where(inside.any(0))) == pytest.approx(np.ptp(np.where(inside.any(1))), abs=1)
    np.testing.assert_allclose(record.spacing_mm, (3.0, 0.5, 0.5))
    assert np.abs(from_canonical(array, record).hu - hu).mean() < 10


@pytest.mark.parametrize(("size", "slices"), [(32, None), (128, 40), (64, 7)])
def test_resampled_round_trip_stays_close(chest_volume: Volume, size: int, slices: int | None) -> None:
    array, record = to_canonical(chest_volume, size=size, slices=slices)
    assert array.shape == (slices or 24, size, size)
    assert np.abs(array).max() <= 1
    back = from_canonical(array, record)
    assert back.shape == chest_volume.shape
    error = back.hu.astype(float) - clipped(chest_volume)
    assert np.sqrt((error**2).mean()) < 180  # edges; a flip gives 400 and more
    np.testing.assert_allclose(back.affine, chest_volume.affine, atol=1e-9)
    span = np.array(record.spacing_mm) * array.shape
    assert span[0] == pytest.approx(chest_volume.spacing_mm[0] * 24)


def test_shrinking_is_antialiased() -> None:
    noise_hu = 100 * np.random.default_rng(0).standard_normal((2, 256, 256)).astype(np.float32)
    array, _ = to_canonical(Volume(noise_hu, np.eye(4)), size=64)
    assert array.std() < 0.035  # a mean of 16 pixels: 0.025; without antialiasing 0.068


def test_wrong_shapes_are_refused(chest_volume: Volume) -> None:
    array, record = to_canonical(chest_volume, size=16)
    with pytest.raises(CtgridError, match=r"shape \(23, 16, 16\), its record says \(24, 16, 16\)"):
        from_canonical(array[1:], record)
    for size, slices in ((0, None), (16, 0)):
        with pytest.raises(CtgridError, match="at least 1"):
            to_canonical(chest_volume, size=size, slices=slices)


@pytest.fixture(scope="module")
def real_scan(data_dir: Path) -> Volume:
    return Volume.read(data_dir / "train" / "lungdxA0001_B")


def test_real_scan_stands_upright(real_scan: Volume) -> None:
    """The table and the spine are low in the picture; the heart is right of its middle."""
    array, record = to_canonical(real_scan, size=128)
    bone = array[:, :, 54:74] > 0.3
    assert np.average(np.arange(128), weights=bone.sum((0, 2))) > 70
    middle = array[24:36, 32:72]  # slices through the heart, in front of the spine
    heart = (middle > -0.1) & (middle < 0.3)
    left, right = heart[:, :, 34:62].sum(), heart[:, :, 66:94].sum()
    assert right > 1.3 * left
    assert record.orientation == "LPS"


def shifted_body(shape: tuple[int, int, int] = (16, 120, 160), row: float = 45, column: float = 90) -> Volume:
    """Return an elliptic body of 50 x 60 mm about (row, column), with lungs, a table below it, 1 x 1 x 3 mm."""
    y, x = np.mgrid[: shape[1], : shape[2]]
    hu = np.full(shape, -1000, np.int16)
    hu[:, ((y - row) / 25) ** 2 + ((x - column) / 30) ** 2 < 1] = 40
    hu[:, ((y - row) / 14) ** 2 + ((x - column) / 20) ** 2 < 1] = -850
    hu[:, 74:78, 20:150] = 200
    return Volume(hu, np.diag([-1, -1, 3, 1.0]))


def test_the_field_of_view_is_about_the_body_without_the_table() -> None:
    volume = shifted_body()
    assert body_centre(volume.hu, volume.spacing_mm) == pytest.approx((45, 90), abs=2.5)
    mask, step = body_mask(volume.hu, volume.spacing_mm)
    assert mask[2, 45 // step[1], 90 // step[2]]  # lungs belong to it
    assert not mask[:, 76 // step[1]].any()
    array, record = to_canonical(volume, size=72, fov_mm=72)
    np.testing.assert_allclose(record.spacing_mm, (3, 1, 1))
    body = np.argwhere(array[0] > -0.9)
    np.testing.assert_allclose(body[:, 1].min() + body[:, 1].max(), 71, atol=5)


def test_no_body_means_the_middle_of_the_image() -> None:
    air = np.full((3, 40, 60), -1000, np.int16)
    assert body_centre(air, (1, 1, 1)) == (19.5, 29.5)
    tiny = np.full((1, 2, 3), 40, np.int16)
    assert body_centre(tiny, (1, 1, 1)) == (0.5, 1.0)


@pytest.mark.parametrize("codes", ORIENTATIONS[::5])
def test_what_lies_outside_the_field_of_view(codes: str) -> None:
    """It gets the background, or stays as it was; what lies inside comes back exactly."""
    volume = shifted_body()
    noise = np.random.default_rng(0).integers(-20, 20, volume.shape).astype(np.int16)
    scan = Volume(np.clip(volume.hu + noise, -1000, 1000), volume.affine).reoriented(codes)
    array, record = to_canonical(scan, size=80, fov_mm=80)
    outside = from_canonical(array * 0 + 1, record, background_hu=-77).reoriented("LPS").hu == -77
    assert 0 < outside.sum() < outside.size
    kept = from_canonical(array, record, original=scan)
    np.testing.assert_array_equal(kept.hu, scan.hu)
    np.testing.assert_allclose(kept.affine, scan.affine, atol=1e-9)
    changed = from_canonical(array * 0 + 0.5, record, original=scan).reoriented("LPS").hu
    np.testing.assert_array_equal(changed[outside], scan.reoriented("LPS").hu[outside])
    assert (changed[~outside] == 500).all()
    filled = from_canonical(array, record).reoriented("LPS").hu
    assert (filled[outside] == -1000).all()
    np.testing.assert_array_equal(filled[~outside], scan.reoriented("LPS").hu[~outside])
    with pytest.raises(CtgridError, match="the original has shape"):
        from_canonical(array, record, original=shifted_body((9, 9, 9)))


@pytest.mark.parametrize("fov_mm", [20.0, 61.0, 500.0])
def test_any_field_of_view_fits(fov_mm: float) -> None:
    volume = shifted_body()
    array, record = to_canonical(volume, size=32, fov_mm=fov_mm)
    assert record.spacing_mm[1] == pytest.approx(fov_mm / 32, rel=0.03)
    back = from_canonical(array, record, original=volume)
    assert back.shape == volume.shape
    if fov_mm == 500:
        np.testing.assert_allclose(array[:, 0], -1, atol=1e-6)


def test_slices_by_number_or_by_spacing(chest_volume: Volume) -> None:
    array, record = to_canonical(chest_volume, size=16, slice_mm=5.0)
    assert len(array) == record.slices == 12  # 24 of 2.5 mm
    assert record.spacing_mm[0] == pytest.approx(5.0)
    assert from_canonical(array, record).shape == chest_volume.shape
    for bad in ({"slice_mm": 0.0}, {"fov_mm": -1.0}, {"fov_mm": np.nan}, {"slices": 3, "slice_mm": 1.0}):
        with pytest.raises(CtgridError, match="mm"):
            to_canonical(chest_volume, size=16, **bad)


@pytest.mark.parametrize("fov_mm", [None, 30.0])
def test_one_pass_gives_both_sizes(chest_volume: Volume, fov_mm: float | None) -> None:
    array, _ = to_canonical(chest_volume, size=32, slices=40, fov_mm=fov_mm)
    made = canonical_pass(chest_volume, 32, 4, 40, fov_mm)
    np.testing.assert_array_equal(made.slices, np.rint(array * np.float32(1000)))
    small = downsample(torch.from_numpy(array)[:, None], 4)[:, 0].numpy()
    np.testing.assert_array_equal(made.coarse, np.rint(small * np.float32(1000)))
    record = record_from_json(json.loads(json.dumps(made.record.to_json())))
    assert record.to_json() == made.record.to_json()
    np.testing.assert_array_equal(restore(made.slices, record).hu, from_canonical(made.slices, made.record).hu)
    np.testing.assert_array_equal(restore(array, record).affine, restore(made.slices, record).affine)
    with pytest.raises(CtgridError, match="multiple of k"):
        canonical_pass(chest_volume, 30, 4)


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_whole_hu_come_back_exactly_in_every_orientation(chest: Callable, codes: str) -> None:
    scan = Volume(chest((10, 24, 24)), np.diag([-0.8, -0.8, 2.0, 1.0])).reoriented(codes)
    made = canonical_pass(scan, 24, 4, None)
    back = restore(made.slices, record_from_json(json.loads(json.dumps(made.record.to_json()))))
    np.testing.assert_array_equal(back.hu, clipped(scan))
    np.testing.assert_array_equal(back.affine, scan.affine)


@pytest.mark.parametrize("bad", [{}, {"protocol": "x"}, {"protocol": "canonical"}, {"protocol": "generatect", "a": 1}])
def test_records_that_are_none(bad: dict) -> None:
    with pytest.raises(CtgridError, match=r"unknown|damaged"):
        record_from_json(bad)


def test_a_real_body_is_found_above_its_table(real_scan: Volume) -> None:
    """The table of this scan reaches to the image's lower edge; the body's middle was read off the picture."""
    row, column = body_centre(real_scan.hu, real_scan.spacing_mm)
    assert (row, column) == pytest.approx((295, 255), abs=10)
