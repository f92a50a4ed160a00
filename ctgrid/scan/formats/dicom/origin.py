"""The series that a volume was made from: what a series derived from it has to keep, and what it refers to."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from ctgrid.scan.formats.dicom.elements import number, numbers, text
from ctgrid.scan.formats.dicom.files import DicomFile, dicom_files
from ctgrid.scan.formats.dicom.guarded import LONGEST_HEADER, AtPixels, Guarded
from ctgrid.scan.formats.quiet import quiet_logger

if TYPE_CHECKING:
    from pydicom import Dataset

KEPT = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientSize"),
    *("PatientWeight", "PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber"),
    *("ReferringPhysicianName", "FrameOfReferenceUID", "PositionReferenceIndicator"),
    *("KVP", "BodyPartExamined", "BurnedInAnnotation", "SyntheticData"),
)
"""Of patient, study, frame of reference, and of the picture what stays true whatever is done to its values."""

_NEAR_MM = 0.05


@dataclass(frozen=True)
class Instance:
    """One file of the series: what it is, and where its slice lies in LPS+ mm, None where it holds several."""

    sop_class: str
    sop_uid: str
    position: tuple[float, ...] | None


@dataclass(frozen=True)
class Origin:
    """A series.

    Attributes:
        uid: SeriesInstanceUID.
        number: SeriesNumber, or None.
        description: SeriesDescription.
        kept: The elements of :data:`KEPT` that it has.
        instances: Its files.
    """

    uid: str
    number: int | None
    description: str
    kept: Dataset
    instances: tuple[Instance, ...]

    def near(self, position: np.ndarray, normal: np.ndarray) -> tuple[Instance, ...]:
        """Return the files that a slice was made from: that at its place, else the one that holds all slices.

        Args:
            position: Of the slice, in LPS+ mm.
            normal: Of the slices.
        """
        placed = [one for one in self.instances if one.position is not None]
        found = tuple(one for one in placed if abs((np.array(one.position) - position) @ normal) < _NEAR_MM)
        return found[:1] or (self.instances if len(self.instances) == 1 else ())


def origin_of(source: Path | None, record: Mapping[str, Any]) -> Origin | None:
    """Read what is to be kept of the series that a volume came from.

    Args:
        source: The folder, zip or file; None where there is none.
        record: The volume's, which names the series.

    Returns:
        The series, or None where the volume did not come from DICOM, or the series has no UID.

    Raises:
        CtgridError: The source cannot be read any more.
    """
    uid = str(record.get("series_uid") or "")
    if source is None or record.get("format") != "dicom" or not uid:
        return None
    with dicom_files(source) as files:
        members = [
            head for file in files if (head := _head(file)) is not None and text(head, "SeriesInstanceUID") == uid
        ]
    if not members:
        return None
    first = members[0]
    from pydicom import Dataset

    kept = Dataset()
    for keyword in KEPT:
        if keyword in first:
            kept[keyword] = first[keyword]
    which = number(first, "SeriesNumber")
    return Origin(
        uid=uid,
        number=None if which is None else int(which),
        description=text(first, "SeriesDescription"),
        kept=kept,
        instances=tuple(
            Instance(text(one, "SOPClassUID"), text(one, "SOPInstanceUID"), numbers(one, "ImagePositionPatient", 3))
            for one in members
            if text(one, "SOPInstanceUID")
        ),
    )


def _head(file: DicomFile) -> Dataset | None:
    from pydicom.filereader import read_partial

    with file.open_head() as stream, quiet_logger("pydicom"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read_partial(cast(BinaryIO, Guarded(stream, LONGEST_HEADER)), AtPixels(), force=True)
        except MemoryError:
            raise
        except Exception:  # as read_header: it was passed over there too
            return None
