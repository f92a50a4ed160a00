"""Write a volume as a DICOM CT series, one file per slice, that says of itself only what is true.

Made from a DICOM series it stays in that one's study, with the same patient and frame of reference, as a new series
that is derived and names its sources. Otherwise the patient is unknown, and left empty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_folder, check_output
from ctgrid.base.machine import version_of
from ctgrid.scan.formats.dicom.files import looks_like_dicom
from ctgrid.scan.formats.dicom.origin import Instance, Origin, origin_of
from ctgrid.scan.formats.stored import MARK, UNCONFIRMED, hu_confirmed
from ctgrid.scan.geometry import is_sheared, to_lps
from ctgrid.scan.windows import LUNG_WINDOW_HU, SOFT_TISSUE_WINDOW_HU, centre_and_width

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

_SQUARE = 1e-4  # cosine between rows and columns
_LARGEST = 65535  # rows, columns, and the span of 16 bits
_INTERCEPT = -1024
_NEW_SERIES = 9000  # added to the source's SeriesNumber
_LONGEST_LO, _SOURCE_NAME = 64, 16  # characters: of a long string, and of the source's own description in it
_WINDOWS_HU = {"LUNG": LUNG_WINDOW_HU, "MEDIASTINUM": SOFT_TISSUE_WINDOW_HU}


def write_dicom(
    folder: Path,
    values: np.ndarray,
    affine: np.ndarray,
    overwrite: bool = False,
    record: Mapping[str, Any] | None = None,
    source: Path | None = None,
) -> None:
    """Write a CT series into a new folder; all of it or nothing.

    Every slice keeps its rows and columns as they are, so every voxel keeps its value and its place; where the
    slice axis runs against the slice normal (left-handed grids), the slices are numbered the other way round.
    Equal volumes get equal files and UIDs; UIDs of different volumes differ.

    Args:
        folder: The folder to be made. With ``overwrite``, an older one is replaced if it holds DICOM files only.
        values: (z, y, x) in HU, whole numbers that span at most 65535.
        affine: (4, 4) voxel (x, y, z) to RAS+ mm. Slices may lean (gantry tilt), pixels may not.
        overwrite: Whether a series that is already there may be replaced.
        record: The volume's provenance: whether its source was compressed with loss, where the patient lay, what was
            done to it (``derived``, such as "denoised"), and whether it was made by rule or a model (``synthetic``). Of
            maps: in which steps values are kept (``step_hu``), how they are looked at (``windows_hu``, low and high by
            name), and whether they are ``labels``, no HU.
        source: The DICOM folder, zip or file that it was made from, in whose study it stays.

    Raises:
        CtgridError: The grid is sheared within slices, too large, or the values do not fit into 16 bits.
    """
    step_hu = float((record or {}).get("step_hu", 1.0))
    stored, intercept = _stored(values, folder, step_hu)
    lps = to_lps(affine)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    if max(values.shape[1:]) > _LARGEST:
        raise CtgridError(
            f"cannot write {folder}: DICOM slices have at most {_LARGEST} rows and columns, got {values.shape[1:]}"
        )
    row, column = lps[:3, 0] / spacing[0], lps[:3, 1] / spacing[1]
    if abs(row @ column) > _SQUARE:
        raise CtgridError(
            f"cannot write {folder}: rows and columns are not perpendicular, which DICOM cannot express; write NIfTI"
        )
    normal = np.cross(row, column)
    origin = origin_of(source, record or {})
    common = _common(stored, intercept, lps, spacing, normal, record or {}, origin)
    order = range(len(stored)) if lps[:3, 2] @ normal > 0 else range(len(stored) - 1, -1, -1)
    series = common.SeriesInstanceUID
    digits = max(4, len(str(len(stored))))
    with _new_folder(folder, overwrite) as temporary:
        for number, k in enumerate(order, start=1):
            position = lps[:3, 3] + k * lps[:3, 2]
            if origin is not None:
                _refer(common, origin, origin.near(position, normal))
            _write_slice(
                temporary / f"{number:0{digits}d}.dcm", common, stored[k], number, position, position @ normal, series
            )


def _stored(values: np.ndarray, folder: Path, step_hu: float) -> tuple[np.ndarray, int]:
    """Shift values into int16: HU + 1024 as scanners do, or by what their range needs; return the intercept too.

    The intercept counts in steps, as the stored values do.

    Raises:
        CtgridError: where 16 bits do not hold them.
    """
    low, high = int(np.floor(values.min() / step_hu)), int(np.ceil(values.max() / step_hu))
    if high - low > _LARGEST:
        raise CtgridError(
            f"cannot write {folder}: values from {low * step_hu:g} to {high * step_hu:g} HU do not fit into DICOM's "
            "16 bits; write NIfTI"
        )
    intercept = next((i for i in (_INTERCEPT, 0) if low - i >= -32768 and high - i <= 32767), low + 32768)
    stored = np.empty(values.shape, np.int16)
    for target, plane in zip(stored, values, strict=True):  # slice by slice: no wide copy of the whole
        wide = np.rint(plane if step_hu == 1 else plane / step_hu).astype(np.int32)
        target[...] = wide - intercept
    return stored, intercept


def _common(
    stored: np.ndarray,
    intercept: int,
    lps: np.ndarray,
    spacing: np.ndarray,
    normal: np.ndarray,
    record: Mapping[str, Any],
    origin: Origin | None,
) -> Dataset:
    """Build what all slices share: attributes of type 1 and 2 of the CT Image IOD (PS3.3 A.3)."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    content = hashlib.sha256(np.ascontiguousarray(stored).data).hexdigest()
    done = str(record.get("derived", "converted"))
    seed = f"{content} {intercept} {lps.tolist()} {stored.shape}"
    if "step_hu" in record:
        seed += f" {record['step_hu']}"
    if origin is not None:
        seed += f" {done} {origin.uid}"
    step = float(abs(lps[:3, 2] @ normal))
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = CTImageStorage
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SpecificCharacterSet = "ISO_IR 192"
    data.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    data.SOPClassUID = CTImageStorage
    data.StudyDate = data.StudyTime = data.ContentDate = data.ContentTime = ""
    data.AccessionNumber = data.ReferringPhysicianName = ""
    data.Modality = "CT"
    data.Manufacturer = data.ManufacturerModelName = "ctgrid"
    data.SoftwareVersions = version_of("ctgrid") or "unknown"
    data.PatientName = data.PatientID = data.PatientBirthDate = data.PatientSex = ""
    data.SliceThickness = _ds(step)
    data.SpacingBetweenSlices = _ds(step)
    data.KVP = data.AcquisitionNumber = None
    data.PatientPosition = str(record.get("patient_position", ""))[:16]
    if "gantry_tilt_deg" in record and is_sheared(lps):
        data.GantryDetectorTilt = _ds(float(record["gantry_tilt_deg"]))
    data.StudyInstanceUID = _uid("study", seed)
    data.SeriesInstanceUID = _uid("series", seed)
    data.FrameOfReferenceUID = _uid("frame of reference", seed)
    data.StudyID = ""
    data.SeriesNumber = 1
    data.PositionReferenceIndicator = ""
    data.ImageOrientationPatient = [_ds(v) for axis in (0, 1) for v in lps[:3, axis] / spacing[axis]]
    data.PixelSpacing = [_ds(spacing[1]), _ds(spacing[0])]
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.Rows, data.Columns = stored.shape[1:]
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.LossyImageCompression = "01" if str(record.get("lossy", "00")) == "01" else "00"
    if data.LossyImageCompression == "01" and record.get("lossy_ratio"):
        data.LossyImageCompressionRatio = str(record["lossy_ratio"]).split("\\")
    step_hu = float(record.get("step_hu", 1.0))
    data.RescaleIntercept, data.RescaleSlope = f"{intercept * step_hu:.9g}", f"{step_hu:.9g}"
    data.RescaleType = "US" if record.get("labels") else "HU"
    windows: Mapping[str, tuple[float, float]] = record.get("windows_hu") or _WINDOWS_HU
    shown = [centre_and_width(window) for window in windows.values()]
    data.WindowCenter = [_ds(centre) for centre, _ in shown]
    data.WindowWidth = [_ds(width) for _, width in shown]
    data.WindowCenterWidthExplanation = list(windows)
    _say_what_it_is(data, done, record, origin)
    return data


def _say_what_it_is(data: Dataset, done: str, record: Mapping[str, Any], origin: Origin | None) -> None:
    """State patient, study and what was done, as far as they are known; whether anything was de-identified is not."""
    labels = record.get("labels")
    mark = MARK if hu_confirmed(record) and not labels else UNCONFIRMED
    data.SeriesDescription, data.DerivationDescription = mark, f"{done} by ctgrid, values are {labels or 'HU'}"
    if record.get("synthetic"):
        data.SyntheticData = "YES"
        data.SeriesDescription = f"synthetic; {mark}"
        data.DerivationDescription = "synthetic: made by ctgrid, of no patient; study and UIDs are made up"
    elif origin is None:
        data.DerivationDescription += "; patient and study are not known, their UIDs are made up"
    else:
        for element in origin.kept:
            data[element.tag] = element
        data.SeriesNumber = None if origin.number is None else origin.number + _NEW_SERIES
        tail = f"{done} by ctgrid; {mark}"
        head = origin.description[: min(_SOURCE_NAME, max(0, _LONGEST_LO - len(tail) - 1))].strip()
        data.SeriesDescription = f"{head} {tail}".strip()
    if record.get("synthetic"):
        data.BodyPartExamined = "CHEST"
    elif not data.get("BodyPartExamined"):
        data.Laterality = ""  # PS3.3 C.7.3.1: of a part that may be one of a pair, of which nothing is known


def _refer(data: Dataset, origin: Origin, instances: Sequence[Instance]) -> None:
    """Name the files that a slice was made from, in its own sequence and, with their series, in that of the study."""
    from pydicom.dataset import Dataset

    def reference(one: Instance) -> Dataset:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one.sop_class, one.sop_uid
        return item

    for keyword in ("SourceImageSequence", "ReferencedSeriesSequence"):
        if keyword in data:
            del data[keyword]
    if instances:
        data.SourceImageSequence = [reference(one) for one in instances]
        series = Dataset()
        series.SeriesInstanceUID = origin.uid
        series.ReferencedInstanceSequence = [reference(one) for one in instances]
        data.ReferencedSeriesSequence = [series]


def _write_slice(
    path: Path, common: Dataset, plane: np.ndarray, number: int, position: np.ndarray, location: float, series: str
) -> None:
    uid = _uid(f"slice {number}", series)
    common.SOPInstanceUID, common.file_meta.MediaStorageSOPInstanceUID = uid, uid
    common.InstanceNumber = number
    common.ImagePositionPatient = [_ds(v) for v in position]
    common.SliceLocation = _ds(location)
    common.PixelData = plane.astype("<i2", copy=False).tobytes()
    common["PixelData"].VR = "OW"
    common.save_as(path, enforce_file_format=True)


def _ds(value: float) -> str:
    """Write a decimal string of at most 16 characters (VR DS), as exact as it gets."""
    from pydicom.valuerep import format_number_as_ds

    return format_number_as_ds(float(value) + 0.0)  # no negative zero


def _uid(what: str, seed: str) -> UID:
    from pydicom.uid import generate_uid

    return generate_uid(entropy_srcs=["ctgrid", what, seed])


@contextmanager
def _new_folder(folder: Path, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary folder beside ``folder`` and rename it when the block ends well."""
    check_folder(folder, overwrite)
    with atomic_folder(folder) as temporary:
        yield temporary
        check_folder(folder, overwrite)


def check_folder(folder: Path, overwrite: bool = False) -> None:
    """Make sure that a DICOM folder can be written, before any long work starts.

    Args:
        folder: The folder to be written.
        overwrite: Whether a series that is already there may be replaced.

    Raises:
        CtgridError: The parent is missing, a file has that name, or the folder is there and may not be replaced.
    """
    if not folder.is_dir():
        if folder.exists():
            raise CtgridError(
                f"cannot write {folder}: it is a file, and a DICOM series is a folder; choose another name"
            )
        check_output(folder)
        return
    content = sorted(folder.iterdir())
    if not content:
        return
    if not overwrite:
        raise CtgridError(f"{folder} exists and is not empty; pass --overwrite to replace it")
    for path in content:
        if not path.is_file() or not looks_like_dicom(_head(path)):
            raise CtgridError(
                f"{folder} holds {path.name}, which is no DICOM file; it is not replaced, choose another name"
            )


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(132)
