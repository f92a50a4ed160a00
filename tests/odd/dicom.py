"""Odd DICOM series."""

from __future__ import annotations

import functools
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from odd.case import ANY, cases, chest
from odd.nifti import Make, content

odd = cases("DICOM")

IMPLICIT, BIG_ENDIAN, JPEG_2000 = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.90"
NO_CT = "holds no CT series"


@functools.cache
def _template() -> bytes:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.Modality, ds.ImageType = CTImageStorage, "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    ds.PixelSpacing, ds.SliceThickness, ds.ImageOrientationPatient = [0.8, 0.8], 2.5, [1, 0, 0, 0, 1, 0]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
    return pickle.dumps(ds)


def slices(change: Callable[[int, Any], Any] | None = None, hu: Any = None) -> dict[str, bytes]:
    """Return the files of a series; ``change(i, dataset)`` damages slice i, false leaves it out."""
    import pydicom

    files = {}
    for i, plane in enumerate(chest() if hu is None else hu):
        ds = pickle.loads(_template())  # a third of deepcopy's time
        ds.SOPInstanceUID, ds.InstanceNumber = f"1.2.3.4.{i + 1}", i + 1
        ds.ImagePositionPatient = [-12, -9, 2.5 * i - 40]
        ds.Rows, ds.Columns = plane.shape
        ds.PixelData = (plane + 1024).astype("<i2").tobytes()
        ds["PixelData"].VR = "OW"
        if change is not None and change(i, ds) is False:
            continue
        stream = io.BytesIO()
        pydicom.dcmwrite(stream, ds, enforce_file_format=True)
        files[f"{i + 1:03}.dcm"] = stream.getvalue()
    return files


def series(
    change: Callable[[int, Any], Any] | None = None, more: Callable[[dict[str, bytes]], Any] | None = None
) -> Make:
    """Make a folder with a series; ``more`` damages the bytes of its files."""

    def make(folder: Path) -> Path:
        files = slices(change)
        if more is not None:
            more(files)
        (folder / "series").mkdir()
        for name, data in files.items():
            (folder / "series" / name).write_bytes(data)
        return folder / "series"

    return make


def tags(only: int | None = None, **values: Any) -> Callable[[int, Any], None]:
    """Set tags (None removes them) in all slices or in one."""

    def change(i: int, ds: Any) -> None:
        for name, value in values.items() if only in (None, i) else ():
            if value is None:
                ds.pop(name, None)
            else:
                setattr(ds, name, value)

    return change


def at(position: Callable[[int], Any]) -> Callable[[int, Any], None]:
    """Put slice i at another position."""
    return lambda i, ds: setattr(ds, "ImagePositionPatient", list(position(i)))


def _padding(i: int, ds: Any) -> None:
    words = np.frombuffer(ds.PixelData, "<u2").reshape(ds.Rows, ds.Columns).copy()
    words[:3, :3] = 63536
    ds.PixelData, ds.PixelRepresentation = words.tobytes(), 0
    ds.add_new(0x00280120, "US", 63536)


def _patients(i: int, ds: Any) -> None:
    ds.PatientID = str(i // 6)


def _passes(i: int, ds: Any) -> None:
    ds.AcquisitionNumber = 1 + i % 2


def _rgb(i: int, ds: Any) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.PixelData = bytes(3 * ds.Rows * ds.Columns)


def _shorter(i: int, ds: Any) -> None:
    if i == 3:
        ds.Rows, ds.PixelData = ds.Rows // 2, ds.PixelData[: len(ds.PixelData) // 2]


def _big_endian(i: int, ds: Any) -> None:
    ds.file_meta.TransferSyntaxUID = BIG_ENDIAN
    ds.PixelData = np.frombuffer(ds.PixelData, "<i2").astype(">i2").tobytes()


def _implicit(i: int, ds: Any) -> None:
    ds.file_meta.TransferSyntaxUID = IMPLICIT


def _jpeg_2000(i: int, ds: Any) -> None:
    from pydicom.encaps import encapsulate

    ds.file_meta.TransferSyntaxUID = JPEG_2000
    ds.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(200)])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True


def _syntax(files: dict[str, bytes], uid: str) -> None:
    """Write another transfer syntax into the bytes, padded to the same length."""
    old = b"1.2.840.10008.1.2.1\0"
    for name in files:
        files[name] = files[name].replace(old, uid.encode("ascii").ljust(len(old), b"\0")[: len(old)])


def _fuzz(seed: int) -> Callable[[dict[str, bytes]], None]:
    def damage(files: dict[str, bytes]) -> None:
        rng = np.random.default_rng(seed)
        for name in list(files)[::3]:
            out = bytearray(files[name])
            for place in rng.integers(132, 1200, 6):
                out[place] = rng.integers(256)
            files[name] = bytes(out)

    return damage


def _cut(files: dict[str, bytes], name: str = "004.dcm", keep: float = 0.6) -> None:
    files[name] = files[name][: int(len(files[name]) * keep)]


odd("DICOM series, plain", series(), orientation="LPS", spacing_mm=[2.5, 0.8, 0.8])
odd("DICOM, a slice missing", series(lambda i, ds: i != 5), "slices are missing, 1 between")
odd(
    "DICOM, every second slice of a half missing",
    series(lambda i, ds: i not in (1, 3, 5)),
    "slices are missing|unevenly",
)
odd("DICOM, a slice there twice", series(more=lambda f: f.update({"copy.dcm": f["004.dcm"]})))
odd(
    "DICOM, two different slices at one place",
    series(at(lambda i: (-12, -9, 2.5 * max(i, 1)))),
    "two different slices lie at the same position",
)
odd("DICOM, uneven spacing", series(at(lambda i: (-12, -9, 2.5 * i + (i % 3)))), "unevenly spaced")
odd("DICOM, gantry tilt of 15 degrees", series(at(lambda i: (-12, 2.5 * i * 0.268, 2.5 * i))), sheared=True)
odd("DICOM, stack leans by 70 degrees", series(at(lambda i: (-12, 7 * i, 2.5 * i))), "no gantry tilt")
odd(
    "DICOM, orientations mixed",
    series(tags(3, ImageOrientationPatient=[0, 1, 0, 0, 0, -1])),
    "orientations are mixed, 1 of 12",
)
odd("DICOM, orientation of zeros", series(tags(ImageOrientationPatient=[0] * 6)), "no pair of perpendicular")
odd("DICOM, no ImagePositionPatient", series(tags(ImagePositionPatient=None)), "have no ImagePositionPatient")
odd("DICOM, no ImageOrientationPatient", series(tags(ImageOrientationPatient=None)), "have no ImageOrientationPatient")
odd("DICOM, no PixelSpacing", series(tags(PixelSpacing=None)), "no valid PixelSpacing")
odd("DICOM, PixelSpacing 0", series(tags(PixelSpacing=[0, 0])), "no valid PixelSpacing")
odd("DICOM, slices of different sizes", series(_shorter), "slices differ in size")
odd("DICOM, modality MR", series(tags(Modality="MR")), f"{NO_CT}.*MR, not CT")
odd("DICOM, PET", series(tags(Modality="PT")), f"{NO_CT}.*PT, not CT")
odd("DICOM, localizer only", series(tags(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])), f"{NO_CT}.*localizer")
odd("DICOM, RGB screenshots", series(_rgb), f"{NO_CT}.*RGB")
odd("DICOM, one slice", series(lambda i, ds: i == 0), prepare=r"slice\(s\) of 2 needed", same=False, shape=[1, 24, 32])
odd(
    "DICOM, one slice without thickness",
    series(lambda i, ds: i == 0 and ds.pop("SliceThickness")),
    "single slice without SliceThickness",
)
odd("DICOM, no pixels", series(tags(4, PixelData=None)), "ends before its pixels")
odd("DICOM, no Rows and Columns", series(tags(Rows=None, Columns=None)), f"{NO_CT}.*no image")
odd("DICOM, Rows say 60000", series(tags(Rows=60000)), "is truncated")
odd("DICOM, RescaleSlope 0", series(tags(RescaleSlope=0)), "RescaleSlope is 0")
odd(
    "DICOM, RescaleSlope missing in one slice",
    series(tags(2, RescaleSlope=None, RescaleIntercept=None)),
    "have no RescaleSlope",
)
odd("DICOM, RescaleSlope is no number", series(more=lambda f: _text(f, b"-1024", b"zebra")), "Rescale")
odd("DICOM, RescaleIntercept missing", series(tags(RescaleIntercept=None)), "Rescale")
odd(
    "DICOM, no rescale tags",
    series(tags(RescaleSlope=None, RescaleIntercept=None)),
    ANY,
    same=False,
    warns="look as stored",
)
odd("DICOM, big-endian", series(_big_endian))
odd("DICOM, implicit VR", series(_implicit))
odd(
    "DICOM, private transfer syntax",
    series(more=lambda f: _syntax(f, "1.3.46.670589.33.1")),
    "is not supported|cannot be decoded",
)
odd("DICOM, says JPEG 2000 and is not", series(_jpeg_2000), "cannot be decoded|not supported")
odd("DICOM, a file cut in its pixels", series(more=_cut), "is truncated|cannot be read")
odd("DICOM, a file cut in its header", series(more=lambda f: _cut(f, keep=0.2)), ANY, same=False)
odd(
    "DICOM, an empty file among the slices", series(more=lambda f: f.update({"013.dcm": b""})), "013.dcm cannot be read"
)
odd(
    "DICOM, text and images among the slices",
    series(more=lambda f: f.update({"a.txt": b"x", "b.png": b"\x89PNG", "DICOMDIR": b"?"})),
)
odd(
    "DICOM, files without preamble and suffix",
    series(more=lambda f: [f.update({name[:3]: f.pop(name)[132:]}) for name in list(f)]),
)
for number in range(4):
    odd(f"DICOM, fuzzed headers {number + 1}", series(more=_fuzz(number)), ANY, same=False)
odd("DICOM, 12 bits allocated", series(tags(BitsAllocated=12)), "12 bits")
odd(
    "DICOM, two series, the larger CT is taken",
    series(more=lambda f: f.update({f"x{k}": v for k, v in _other_series().items()})),
)
odd("DICOM, RescaleType Z_EFF in one slice", series(tags(2, RescaleType="Z_EFF")), "Z_EFF, not HU, in 1 of 12 slices")
odd("DICOM, RescaleType HOUNSFIELD", series(tags(RescaleType="HOUNSFIELD")))
odd("DICOM, padding of 63536 without sign", series(_padding), same=False)
odd("DICOM, two patients under one series UID", series(_patients), "holds 2 volumes under one SeriesInstanceUID")
odd("DICOM, two passes among each other", series(_passes), "AcquisitionNumber 1.*AcquisitionNumber 2")
odd("DICOM, step and shoot", series(lambda i, ds: setattr(ds, "AcquisitionNumber", i // 4)))
odd("DICOM, kernel changes midway", series(lambda i, ds: setattr(ds, "ConvolutionKernel", f"B{3 + i // 6}0f")))
odd(
    "DICOM, head first and feet first",
    series(lambda i, ds: setattr(ds, "PatientPosition", ("HFS", "FFS")[i // 6])),
    "PatientPosition is mixed",
)
odd("DICOM, text renamed to .dcm", content("scan.dcm", b"no image\n"), "is not a readable DICOM file")
odd("DICOM, only the magic word", content("scan.dcm", bytes(128) + b"DICM"), "scan.dcm cannot be read")


def _text(files: dict[str, bytes], old: bytes, new: bytes) -> None:
    for name, data in files.items():
        assert old in data
        files[name] = data.replace(old, new)


def _other_series() -> dict[str, bytes]:
    return slices(lambda i, ds: i < 3 and not setattr(ds, "SeriesInstanceUID", "1.2.3.5"))
