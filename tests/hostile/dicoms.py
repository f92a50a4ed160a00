"""Small valid series of DICOM in every form that is read; one of their files is damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ctgrid.scan.volume import Volume

JPEG_LS = bytes.fromhex(
    "ffd8fff7000b0b0010001001011100ffda0008010100000000338210888892492483ff100000007eec10844000000007ef607bd05416fbd0"
    "c429f7a1a8542e3d0212278f4004824643c7a20821080000000058f08f44164441491052442c90002f88e482904f1f890593dcccdbefc625"
    "befc664befcfe0ffd9"
)
"""Slice 2 of the fuzzer's volume plus 1024, 16 x 16 in 11 bits without loss, as CharLS writes it: nothing here does."""


def series(volume: Callable[[], Volume], change: Callable[[Any, Path], object] | None = None) -> Callable[[Path], Path]:
    """Return what writes a series into a folder, and gives one of its files after a change.

    Args:
        volume: makes what is written.
        change: makes the file's data set another; also given a folder for files that it needs.
    """

    def make(folder: Path) -> Path:
        import pydicom

        volume().write(folder / "series")
        path = sorted((folder / "series").iterdir())[2]
        if change is not None:
            slice_ = pydicom.dcmread(path)
            change(slice_, folder)
            slice_.save_as(path, enforce_file_format=True)
        return path

    return make


def rle(slice_: Any, folder: Path) -> None:
    """Compress, by pydicom."""
    from pydicom.uid import RLELossless

    slice_.compress(RLELossless, generate_instance_uid=False)


def by_itk(how: str) -> Callable[[Any, Path], None]:
    """Return what compresses as ``JPEG`` or ``JPEG2000``, lossless, by GDCM."""

    def change(slice_: Any, folder: Path) -> None:
        import pydicom
        import SimpleITK as sitk

        writer = sitk.ImageFileWriter()
        writer.UseCompressionOn()
        writer.SetCompressor(how)
        writer.SetFileName(str(folder / "one.dcm"))
        writer.Execute(sitk.GetImageFromArray(slice_.pixel_array[None]))
        one = pydicom.dcmread(folder / "one.dcm")
        _encoded(slice_, one.PixelData, one.file_meta.TransferSyntaxUID)

    return change


def jpeg_ls(slice_: Any, folder: Path) -> None:
    """Put the stream above in place of the pixels."""
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGLSLossless

    slice_.BitsStored, slice_.HighBit, slice_.PixelRepresentation = 11, 10, 0
    _encoded(slice_, encapsulate([JPEG_LS]), JPEGLSLossless)


def _encoded(slice_: Any, pixels: bytes, syntax: str) -> None:
    slice_.PixelData, slice_["PixelData"].VR = pixels, "OB"
    slice_["PixelData"].is_undefined_length = True
    slice_.file_meta.TransferSyntaxUID = syntax


def deflated(slice_: Any, folder: Path) -> None:
    """Compress the whole file."""
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    slice_.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian


def enhanced(volume: Callable[[], Volume]) -> Callable[[Path], Path]:
    """Return what writes one Enhanced CT of all slices."""

    def make(folder: Path) -> Path:
        import pydicom
        from pydicom.dataset import Dataset
        from pydicom.sequence import Sequence
        from pydicom.uid import EnhancedCTImageStorage

        def item(**values: Any) -> Sequence:
            inner = Dataset()
            for name, value in values.items():
                setattr(inner, name, value)
            return Sequence([inner])

        volume().write(folder / "classic")
        slices = [pydicom.dcmread(path) for path in sorted((folder / "classic").iterdir())]
        whole, shared = slices[0], Dataset()
        shared.PixelMeasuresSequence = item(PixelSpacing=whole.PixelSpacing, SliceThickness=whole.SliceThickness)
        shared.PlaneOrientationSequence = item(ImageOrientationPatient=whole.ImageOrientationPatient)
        shared.PixelValueTransformationSequence = item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
        whole.SharedFunctionalGroupsSequence = Sequence([shared])
        whole.PerFrameFunctionalGroupsSequence = Sequence(
            item(PlanePositionSequence=item(ImagePositionPatient=one.ImagePositionPatient))[0] for one in slices
        )
        whole.NumberOfFrames, whole.PixelData = len(slices), b"".join(one.PixelData for one in slices)
        for name in ("PixelSpacing", "SliceThickness", "ImageOrientationPatient", "ImagePositionPatient"):
            delattr(whole, name)
        del whole.RescaleSlope, whole.RescaleIntercept
        whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
        (folder / "series").mkdir()
        whole.save_as(folder / "series" / "one.dcm", enforce_file_format=True)
        return folder / "series" / "one.dcm"

    return make
