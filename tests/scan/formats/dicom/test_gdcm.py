"""JPEG and JPEG 2000: decoded to the bit, and refused where header and stream contradict each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from ctgrid import CtgridError
from ctgrid.scan.formats.open import read_stored

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def hu() -> np.ndarray:
    return np.random.default_rng(8).integers(-1000, 1000, (12, 5, 7)).astype(np.int16)


def _compress(path: Path, how: str) -> None:
    image = sitk.ReadImage(str(path))
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for tag in ("0028|1052", "0028|1053"):
        image.EraseMetaData(tag)
    writer.UseCompressionOn()
    writer.SetCompressor(how)
    writer.SetFileName(str(path))
    writer.Execute(image)


@pytest.mark.parametrize("how", ["JPEG", "JPEG2000"])
def test_compressed_slices(make_series: Callable[..., Path], tmp_path: Path, how: str) -> None:
    hu = RNG.integers(-1000, 1000, (2, 40, 44)).astype(np.int16)
    make_series(tmp_path, hu, rescale=(1.0, 0.0))
    for path in tmp_path.iterdir():
        _compress(path, how)
    scan = read_stored(tmp_path)
    np.testing.assert_array_equal(scan.values, hu)
    assert "JPEG" in scan.details["transfer_syntax"]
    for path in tmp_path.iterdir():  # says how to show it, not what it holds; ITK turns it into its negative
        ds = pydicom.dcmread(path)
        ds.PhotometricInterpretation = "MONOCHROME1"
        ds.save_as(path)
    np.testing.assert_array_equal(read_stored(tmp_path).values, hu)


def test_compression_that_nothing_here_decodes_is_named(
    make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path
) -> None:
    make_series(tmp_path, hu)
    for path in tmp_path.iterdir():
        ds = pydicom.dcmread(path)
        ds.PixelData = pydicom.encaps.encapsulate([b"\xff\x0a" + bytes(30)])
        ds["PixelData"].is_undefined_length = True
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.201"
        pydicom.dcmwrite(path, ds)
    with pytest.raises(CtgridError, match="High-Throughput JPEG 2000"):
        read_stored(tmp_path)


def compressed(path: Path, values: np.ndarray, how: str, **tags: Any) -> None:
    """Compress a slice's values as they are, then let its header say something else."""
    writer = sitk.ImageFileWriter()
    writer.UseCompressionOn()
    writer.SetCompressor(how)
    writer.SetFileName(str(path.with_suffix(".tmp.dcm")))
    writer.Execute(sitk.GetImageFromArray(values[None]))
    made = pydicom.dcmread(path.with_suffix(".tmp.dcm"))
    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = made.file_meta.TransferSyntaxUID
    ds.PixelData = made.PixelData
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    for name, value in tags.items():
        setattr(ds, name, value)
    pydicom.dcmwrite(path, ds)
    path.with_suffix(".tmp.dcm").unlink()


@pytest.mark.parametrize("how", ["JPEG", "JPEG2000"])
@pytest.mark.parametrize(
    ("dtype", "bits", "signed"), [(np.uint16, 12, 1), (np.uint16, 16, 1), (np.int16, 16, 0), (np.int16, 12, 1)]
)
def test_a_stream_that_contradicts_its_header(
    make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path, how: str, dtype: Any, bits: int, signed: int
) -> None:
    """Two's complement in an unsigned stream; a signed stream under an unsigned header; more bits than stated."""
    if how == "JPEG" and dtype == np.int16 and not signed:
        pytest.skip("JPEG knows no sign: such a header is all there is to go by")
    make_series(tmp_path, hu[:1], rescale=(1.0, 0.0))
    path = next(tmp_path.iterdir())
    values = (hu[0].astype(np.int32) & ((1 << bits) - 1)).astype(np.uint16) if dtype == np.uint16 else hu[0]
    compressed(path, np.tile(values, (8, 6)), how, BitsStored=bits, HighBit=bits - 1, PixelRepresentation=signed)
    ds = pydicom.dcmread(path)
    ds.Rows, ds.Columns = 40, 42
    pydicom.dcmwrite(path, ds)
    np.testing.assert_array_equal(read_stored(path).values[0], np.tile(hu[0], (8, 6)))
