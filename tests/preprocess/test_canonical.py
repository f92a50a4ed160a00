"""The canonical form: upright for every orientation, and back onto the patient's own grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctgrid import CtgridError, Volume
from ctgrid.preprocess.canonical import from_canonical, to_canonical

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


def test_real_scan_stands_upright(data_dir: Path) -> None:
    """The table and the spine are low in the picture; the heart is right of its middle."""
    array, record = to_canonical(Volume.read(data_dir / "train" / "lungdxA0001_B"), size=128)
    bone = array[:, :, 54:74] > 0.3
    assert np.average(np.arange(128), weights=bone.sum((0, 2))) > 70
    middle = array[24:36, 32:72]  # slices through the heart, in front of the spine
    heart = (middle > -0.1) & (middle < 0.3)
    left, right = heart[:, :, 34:62].sum(), heart[:, :, 66:94].sum()
    assert right > 1.3 * left
    assert record.orientation == "LPS"
