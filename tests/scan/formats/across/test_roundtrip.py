"""Nothing lost: 48 orientations, oblique and anisotropic grids, through every format and the canonical form."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctgrid import Volume
from ctgrid.scan.protocols.canonical import from_canonical, to_canonical

ORIENTED = [
    (axes, signs) for axes in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)) for signs in range(8)
]
FORMATS = (".nii", ".nii.gz", ".nrrd", ".mha", "")
SHAPE = (3, 4, 5)


def affine_of(
    case: int, angles_deg: tuple[float, ...], spacing: tuple[float, ...], origin: tuple[float, ...]
) -> np.ndarray:
    """Return one of 48 signed permutations, turned and stretched."""
    axes, signs = ORIENTED[case]
    matrix = np.zeros((3, 3))
    for voxel, world in enumerate(axes):
        matrix[world, voxel] = -1.0 if signs >> voxel & 1 else 1.0
    for axis, angle in enumerate(np.deg2rad(angles_deg)):
        i, j = (a for a in range(3) if a != axis)
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    affine = np.eye(4)
    affine[:3, :3] = matrix * spacing
    affine[:3, 3] = origin
    return affine


def points(volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Return the values, which are unique, from the lowest up, and where each lies, (n, 3) in mm."""
    z, y, x = np.indices(volume.shape)
    mm = np.stack([x, y, z], axis=-1) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    values = np.rint(volume.hu).astype(int).ravel()
    assert len(set(values.tolist())) == len(values)
    order = values.argsort()
    return values[order], mm.reshape(-1, 3)[order]


def assert_same_points(one: Volume, two: Volume) -> None:
    (values, theirs), (wanted, ours) = points(two), points(one)
    np.testing.assert_array_equal(values, wanted)
    np.testing.assert_allclose(theirs, ours, atol=1e-3)


def unique_hu(seed: int) -> np.ndarray:
    return (
        np.random.default_rng(seed)
        .permutation(np.arange(-900, 900, 30))[: np.prod(SHAPE)]
        .reshape(SHAPE)
        .astype(np.int16)
    )


def write_and_read(volume: Volume, folder: Path, suffix: str) -> Volume:
    out = folder / f"volume{suffix}"
    shutil.rmtree(out, ignore_errors=True)
    mode = "header" if suffix == "" else "stored"
    return Volume.read(volume.write(out, overwrite=True), hu=mode)


@pytest.mark.parametrize("case", range(48))
def test_every_orientation_through_every_format(case: int, tmp_path: Path) -> None:
    affine = affine_of(case, (4.0, -7.0, 11.0), (0.7, 0.8, 2.5), (-120.5, 33.25, 410.0))
    volume = Volume(unique_hu(case), affine)
    for suffix in FORMATS:
        back = write_and_read(volume, tmp_path, suffix)
        assert_same_points(volume, back)
        if suffix or np.linalg.det(affine[:3, :3]) > 0:
            np.testing.assert_array_equal(back.hu, volume.hu)
            np.testing.assert_allclose(back.affine, volume.affine, atol=1e-4)
            assert back.orientation == volume.orientation


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    case=st.integers(0, 47),
    angles=st.tuples(*[st.floats(-30, 30)] * 3),
    plane=st.floats(0.3, 3.0),
    z=st.floats(0.3, 8.0),
    origin=st.tuples(*[st.floats(-800, 800)] * 3),
    codes=st.sampled_from(["LPS", "RAS", "SAL", "PIR", "IRP"]),
    suffix=st.sampled_from(FORMATS),
)
def test_reorient_canonicalise_invert_and_write(
    case: int,
    angles: tuple[float, ...],
    plane: float,
    z: float,
    origin: tuple[float, ...],
    codes: str,
    suffix: str,
    tmp_path: Path,
) -> None:
    axes, _ = ORIENTED[case]
    spacing = tuple(z if world == 2 else plane for world in axes)
    volume = Volume(unique_hu(case), affine_of(case, angles, spacing, origin))
    source = write_and_read(volume, tmp_path, ".nii")
    side = max(source.reoriented("LPS").shape[1:])
    array, record = to_canonical(source.reoriented(codes), side)
    back = write_and_read(from_canonical(array, record), tmp_path, suffix)
    assert_same_points(volume, back)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    case=st.integers(0, 47),
    angles=st.tuples(*[st.floats(-30, 30)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 6.0)] * 3),
    origin=st.tuples(*[st.floats(-800, 800)] * 3),
)
def test_simpleitk_sees_the_points_of_a_dicom_series(
    case: int, angles: tuple[float, ...], spacing: tuple[float, ...], origin: tuple[float, ...], tmp_path: Path
) -> None:
    volume = Volume(unique_hu(case), affine_of(case, angles, spacing, origin))
    volume.write(tmp_path / "series", overwrite=True)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "series")))
    image = reader.Execute()
    found = sitk.GetArrayFromImage(image)
    places = [image.TransformIndexToPhysicalPoint([int(i) for i in at[::-1]]) for at in np.ndindex(*found.shape)]
    order = found.ravel().argsort()
    values, ours = points(volume)
    np.testing.assert_array_equal(found.ravel()[order], values)
    np.testing.assert_allclose(np.array(places)[order] * (-1, -1, 1), ours, atol=1e-3)


@pytest.mark.parametrize("suffix", FORMATS)
def test_gantry_tilt_through_every_format(suffix: str, tmp_path: Path) -> None:
    tilted = affine_of(0, (3.0, 5.0, -8.0), (0.7, 0.8, 2.5), (10.0, 20.0, 30.0))
    tilted[:3, 2] += 0.25 * tilted[:3, 1]
    volume = Volume(unique_hu(1), tilted)
    back = write_and_read(volume, tmp_path, suffix)
    assert_same_points(volume, back)
    np.testing.assert_allclose(back.affine, tilted, atol=1e-4)


@pytest.mark.parametrize("suffix", FORMATS[:4])
def test_any_shear_where_the_format_holds_it(suffix: str, tmp_path: Path) -> None:
    sheared = np.array([[0.7, 0.2, 0.1, 5], [0, 0.8, 0.3, 6], [0, 0, 2.5, 7], [0, 0, 0, 1]])
    volume = Volume(unique_hu(1), sheared)
    assert_same_points(volume, write_and_read(volume, tmp_path, suffix))
