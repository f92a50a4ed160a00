"""Volumes in every form come out alike: upright, square, in HU, named and hashed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.data.simulate.collection import write_stored, write_table
from ctgrid.data.store import Store, StoreSettings
from ctgrid.data.store.prepare import prepare
from ctgrid.runs.evaluation.samples import open_samples
from ctgrid.scan.hu.metadata import MetadataTable
from ctgrid.scan.volume import Volume

AFFINE = np.diag([-5.0, -4.0, 3.0, 1.0])  # LPS


@pytest.fixture
def folder(tmp_path: Path, chest: Callable[..., np.ndarray]) -> Path:
    """Return a folder with two volumes among what else lies in such folders."""
    folder = tmp_path / "volumes"
    folder.mkdir()
    for name, seed in (("b", 2), ("a", 1)):
        Volume(chest((8, 32, 40), seed=seed), AFFINE).write(folder / f"{name}.nii.gz")
    for name in ("run.json", "manifest.jsonl", "a.png"):
        (folder / name).write_text("{}", encoding="utf-8")
    return folder


def test_a_folder_gives_its_volumes_sorted_and_passes_over_the_rest(folder: Path) -> None:
    samples = open_samples(folder, size=32)
    assert [sample.name for sample in samples] == ["a", "b"]
    assert samples[0].digest != samples[1].digest
    loaded = samples[0].load()
    assert loaded.hu.shape == (8, 32, 32)
    assert loaded.hu.dtype == np.int16
    assert loaded.spacing_mm == pytest.approx((3.0, 200 / 32, 200 / 32))  # the square of 200 mm


def test_own_size_is_kept_and_padded_to_a_square(folder: Path, chest: Callable[..., np.ndarray]) -> None:
    AFFINE_EQUAL = np.diag([-5.0, -5.0, 3.0, 1.0])
    Volume(chest((8, 40, 40), seed=1), AFFINE_EQUAL).write(folder / "c.nii.gz")
    hu = open_samples(folder / "c.nii.gz", size=None)[0].load().hu
    np.testing.assert_array_equal(hu, np.clip(chest((8, 40, 40), seed=1), -1000, 1000))


def test_one_field_in_mm_is_cut_out_of_any(tmp_path: Path, chest: Callable[..., np.ndarray]) -> None:
    """Around the body, wherever it lies in the slices, at any number of pixels; and what that is, is told."""
    hu, affine = np.clip(chest((8, 40, 40), seed=1), -1000, 1000), np.diag([-5.0, -5.0, 3.0, 1.0])
    wide = np.pad(hu, [(0, 0), (3, 21), (14, 10)], constant_values=-1000)
    for name, values in (("narrow", hu), ("wide", wide)):
        (tmp_path / name).mkdir()
        Volume(values, affine).write(tmp_path / name / "scan.nii.gz")
    for size, slices in ((36, None), (18, 4)):
        narrow, other = (
            open_samples(tmp_path / name, size=size, slices=slices, field_mm=180.0)[0] for name in ("narrow", "wide")
        )
        found = narrow.load()
        np.testing.assert_array_equal(found.hu, other.load().hu)
        assert found.hu.shape == (slices or 8, size, size) and found.hu.dtype == np.int16
        assert found.spacing_mm == pytest.approx((24 / (slices or 8), 180 / size, 180 / size))
        assert (narrow.frame, narrow.name) == ("own, 180 mm", "scan")
    whole = open_samples(tmp_path / "narrow", size=40)[0]
    assert whole.digest == narrow.digest and whole.frame == "own"
    cut = open_samples(tmp_path / "narrow", size=36, field_mm=180.0)[0].load().hu
    assert any(np.array_equal(cut, hu[:, y : y + 36, x : x + 36]) for y in range(5) for x in range(5)), (
        "pixels of the scan's own size are not resampled"
    )


@pytest.mark.parametrize("codes", ["LPS", "RAS", "RAI", "SPL"])
def test_every_orientation_gives_the_same_slices(tmp_path: Path, chest: Callable[..., np.ndarray], codes: str) -> None:
    volume = Volume(chest((8, 40, 40)), np.diag([-5.0, -5.0, 3.0, 1.0]))
    volume.reoriented(codes).write(tmp_path / "turned.nii.gz")
    loaded = open_samples(tmp_path, size=None)[0].load()
    np.testing.assert_array_equal(loaded.hu, np.clip(volume.hu, -1000, 1000))
    assert loaded.spacing_mm == pytest.approx((3, 5, 5))


def test_the_field_of_view_is_told_by_headers(tmp_path: Path, chest: Callable[..., np.ndarray]) -> None:
    """Of the square that slices are padded to, however they lie in the file; what no header tells stays open."""
    volume = Volume(chest((8, 32, 40)), AFFINE)  # 128 mm high, 200 mm wide, 24 mm long
    for codes in ("LPS", "SPL"):
        volume.reoriented(codes).write(tmp_path / f"{codes}.nii.gz")
    metres = nibabel.Nifti1Image(volume.hu.transpose(2, 1, 0), np.diag([-0.005, -0.004, 0.003, 1.0]))
    metres.header.set_xyzt_units("meter")
    nibabel.save(metres, tmp_path / "metres.nii")
    volume.write(tmp_path / "dicom")
    for sample in open_samples(tmp_path, size=None):
        loaded = sample.load()
        told = None if sample.path.is_dir() else 200.0
        assert sample.field_mm == pytest.approx(told)
        assert loaded.hu.shape[2] * loaded.spacing_mm[2] == pytest.approx(200)
    (tmp_path / "flat.nii").write_bytes(b"none")
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4), np.int16), np.eye(4)), tmp_path / "plane.nii")
    known = {sample.name: sample.field_mm for sample in open_samples(tmp_path)}
    assert known["flat"] is None and known["plane"] is None
    assert {one.field_mm for one in open_samples(tmp_path, field_mm=180.0)} == {180.0}


def test_the_digest_is_of_content_not_of_place(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(folder / "a.nii.gz", elsewhere / "other name.nii.gz")
    assert open_samples(elsewhere)[0].digest == open_samples(folder)[0].digest


@pytest.mark.parametrize("protocol", ["canonical", "generatect"])
@pytest.mark.parametrize("codes", ["LPS", "RAS"])
def test_a_store_gives_what_the_scan_gives(
    tmp_path: Path, chest: Callable[..., np.ndarray], protocol: str, codes: str
) -> None:
    smooth = chest((201, 32, 32), noise_hu=0.0)
    volume = Volume(smooth, np.diag([-5.0, -5.0, 1.5, 1.0])).reoriented(codes)
    volume.write(tmp_path / "scan.nii.gz")
    settings = StoreSettings(protocol=protocol, size=32, k=4)
    prepare([tmp_path / "scan.nii.gz"], tmp_path / "x.zarr", settings, workers=1)
    assert len(Store.open(tmp_path / "x.zarr")) == 1
    stored = open_samples(tmp_path / "x.zarr", size=None)[0]
    scan = open_samples(tmp_path / "scan.nii.gz", size=None)[0]
    np.testing.assert_array_equal(stored.load().hu, scan.load().hu)
    assert stored.load().spacing_mm == pytest.approx(scan.load().spacing_mm)
    assert stored.field_mm == pytest.approx(160) and scan.field_mm == pytest.approx(160)
    other = open_samples(tmp_path / "x.zarr", size=16, slices=67)[0].load()
    assert other.hu.shape == (67, 16, 16)
    assert other.spacing_mm == pytest.approx((4.5, 10, 10))


def test_nothing_to_measure_is_said(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CtgridError, match="holds no scan"):
        open_samples(tmp_path)
    with pytest.raises(CtgridError, match="does not exist"):
        open_samples(tmp_path / "nowhere")


def test_what_is_no_ct_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    Volume(np.full((4, 8, 8), 50, dtype=np.int16), AFFINE).write(tmp_path / "flat.nii.gz")
    sample = open_samples(tmp_path)[0]
    with pytest.raises(CtgridError, match=r"flat\.nii\.gz"):
        sample.load()


@pytest.mark.parametrize("codes", ["LPS", "RAI"])
def test_the_frame_of_a_protocol_is_what_its_store_holds(
    tmp_path: Path, chest: Callable[..., np.ndarray], codes: str
) -> None:
    """Scans brought to it give the stored slices; those outside the protocol are named, with the reason."""
    (tmp_path / "scans").mkdir()
    for name, slices in (("a", 100), ("b", 99)):
        volume = Volume(chest((slices, 40, 32)), np.diag([-5.0, -4.0, 3.0, 1.0])).reoriented(codes)
        volume.write(tmp_path / "scans" / f"{name}.nii.gz")
    prepare([tmp_path / "scans"], tmp_path / "x.zarr", StoreSettings(size=32, k=4), workers=1)
    left_out: list[str] = []
    (framed,) = open_samples(tmp_path / "scans", size=32, frame="generatect", left_out=left_out)
    (stored,) = open_samples(tmp_path / "x.zarr", size=32, frame="generatect")
    assert (framed.frame, stored.frame, framed.name) == ("generatect", "own", "a")
    np.testing.assert_array_equal(framed.load().hu, stored.load().hu)
    assert framed.load().hu.shape == (201, 32, 32)
    assert framed.load().spacing_mm == pytest.approx((300 / 201, 5.0, 5.0)) == stored.load().spacing_mm
    assert len(left_out) == 1 and "b.nii.gz has 99 slices; protocol generatect takes 100 to 600" in left_out[0]
    (own,) = open_samples(tmp_path / "scans" / "a.nii.gz", size=None, frame="generatect")
    assert own.load().hu.shape == (201, 40, 40)  # the longer side
    (fewer,) = open_samples(tmp_path / "scans" / "a.nii.gz", size=16, slices=67, frame="generatect")
    assert fewer.load().hu.shape == (67, 16, 16) and fewer.load().spacing_mm == pytest.approx((300 / 67, 10, 10))
    with pytest.raises(CtgridError, match="leaves out every volume here"):
        open_samples(tmp_path / "scans" / "b.nii.gz", frame="generatect")


def test_a_store_of_another_protocol_is_in_no_other_frame(tmp_path: Path, make_store: Callable[..., Store]) -> None:
    make_store(tmp_path / "x.zarr", "a")
    with pytest.raises(CtgridError, match=r"made by protocol canonical .* prepare them with --protocol generatect"):
        open_samples(tmp_path / "x.zarr", frame="generatect")


def test_raw_files_are_read_by_the_collections_table(folder: Path, tmp_path: Path) -> None:
    """The table belongs to what a volume is: another row, another digest."""
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("a", "b"):
        write_stored(raw / f"{name}.nii.gz", Volume.read(folder / f"{name}.nii.gz"))
    write_table(tmp_path / "m.csv", ["a.nii.gz", "b.nii.gz"], (3.0, 4.0, 5.0))
    table = MetadataTable.read(tmp_path / "m.csv")
    right, found = open_samples(folder, size=32), open_samples(raw, size=32, metadata=table)
    for one, other in zip(right, found, strict=True):
        np.testing.assert_array_equal(one.load().hu, other.load().hu)
    assert found[0].digest != open_samples(raw, size=32)[0].digest
