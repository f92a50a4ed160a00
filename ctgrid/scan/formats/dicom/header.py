"""What the header of one DICOM file says, as plain values; no pixel is decoded here."""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ctgrid.base.errors import CtgridError
from ctgrid.scan.formats.dicom.elements import number, numbers, text, values
from ctgrid.scan.formats.dicom.files import DicomFile
from ctgrid.scan.formats.dicom.guarded import LONGEST_HEADER, AtPixels, Guarded
from ctgrid.scan.formats.dicom.meaning import Meaning, meaning, root_disagrees
from ctgrid.scan.formats.quiet import quiet_logger

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True)
class Frame:
    """One slice: where it lies, what its values mean, and to which pass of the scanner it belongs.

    Attributes:
        file: Index of its file in the list of headers.
        number: Index of the frame in that file.
        position: ImagePositionPatient, (x, y, z) in LPS+ mm, or None.
        orientation: ImageOrientationPatient, direction cosines of a row (along which x grows), then of a column.
        spacing: PixelSpacing in mm: between rows (y), between columns (x).
        thickness: SliceThickness in mm, or None.
        distance: SpacingBetweenSlices in mm, or None.
        meaning: Which map to HU the header states.
        labels: What may tell it from slices of another pass, by keyword; only what is stated.
    """

    file: int
    number: int
    position: tuple[float, ...] | None = None
    orientation: tuple[float, ...] | None = None
    spacing: tuple[float, ...] | None = None
    thickness: float | None = None
    distance: float | None = None
    meaning: Meaning = field(default_factory=Meaning)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Header:
    """One DICOM file without its pixels.

    Attributes:
        file: Where it is.
        series_uid: SeriesInstanceUID, empty where absent.
        belongs: What else tells volumes apart, by keyword: patient, study, frame of reference; empty where absent. It
            never goes into a record or a message.
        modality: "CT", "MR", ...; the kind of object where absent.
        rows, columns, samples: Of one slice; 0 where there is no image.
        photometric: PhotometricInterpretation.
        syntax: Transfer syntax UID.
        image_type: The parts of ImageType.
        is_capture: Whether it is a Secondary Capture: a screenshot, say.
        facts: What may go into a record: nothing that identifies a patient.
        frames: Its slices, in the order of the file; those of one pass, where the file holds several.
        count: Number of slices in the file.
        instance: InstanceNumber, or None.
        cut_short: Whether the file ends before its pixels, though it is an image.
    """

    file: DicomFile
    series_uid: str
    belongs: Mapping[str, str] = field(repr=False)
    modality: str
    rows: int
    columns: int
    samples: int
    photometric: str
    syntax: str
    image_type: tuple[str, ...]
    is_capture: bool
    facts: dict[str, Any]
    frames: tuple[Frame, ...] = field(repr=False)
    count: int
    instance: float | None
    cut_short: bool = False

    @property
    def is_localizer(self) -> bool:
        """Whether this is an overview for planning, not a slice."""
        return not _OVERVIEWS.isdisjoint((*self.image_type, self.modality))


_DIRECTORY = "1.2.840.10008.1.3.10"  # DICOMDIR: a table of contents
_CT = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")  # plain, enhanced
_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture, single and multi-frame
_OVERVIEWS = frozenset({"LOCALIZER", "LOCALISER", "SCOUT", "TOPOGRAM", "SURVIEW", "SCANOGRAM"})
_MOST_PARTS = 16  # of ImageType; longer ones are damaged
_BELONGS = ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID")
_NO_UID = ("SeriesNumber", "SeriesDescription")  # instead of a missing SeriesInstanceUID
_LABELS = {  # keyword at the root of a file, or sequence and keyword of a functional group
    "AcquisitionNumber": ("FrameContentSequence", "FrameAcquisitionNumber"),
    "TemporalPositionIdentifier": ("FrameContentSequence", "TemporalPositionIndex"),
    "StackID": ("FrameContentSequence", "StackID"),
    "NominalPercentageOfCardiacPhase": ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase"),
    "NominalPercentageOfRespiratoryPhase": (
        "RespiratorySynchronizationSequence",
        "NominalPercentageOfRespiratoryPhase",
    ),
    "TriggerTime": ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    "KVP": ("CTXRayDetailsSequence", "KVP"),
    "ConvolutionKernel": ("CTReconstructionSequence", "ConvolutionKernel"),
    "SeriesNumber": None,
    "AcquisitionTime": None,
}
_FACTS = {
    "series_number": "SeriesNumber",
    "series_description": "SeriesDescription",
    "manufacturer": "Manufacturer",
    "manufacturer_model": "ManufacturerModelName",
    "kernel": "ConvolutionKernel",
    "kvp": "KVP",
    "body_part": "BodyPartExamined",
    "patient_position": "PatientPosition",
    "rescale_type": "RescaleType",
    "gantry_tilt_tag_deg": "GantryDetectorTilt",
    "pixel_padding": "PixelPaddingValue",
    "lossy": "LossyImageCompression",
    "lossy_ratio": "LossyImageCompressionRatio",
}


@dataclass(frozen=True)
class Headers:
    """The headers of a folder, archive or file.

    Attributes:
        whole: Those that could be read.
        damaged: Files that are DICOM by name or content but cannot be read or end before their pixels: slices, perhaps.
    """

    whole: tuple[Header, ...]
    damaged: tuple[DicomFile, ...]


def read_headers(files: Sequence[DicomFile]) -> Headers:
    """Read all headers, and set apart the files of which nothing can be said.

    Args:
        files: As :func:`ctgrid.scan.formats.dicom.files.dicom_files` yields them.

    Raises:
        CtgridError: A file cannot be unpacked, or its header takes too much memory.
    """
    whole: list[Header] = []
    damaged: list[DicomFile] = []
    for i, file in enumerate(files):
        try:
            header = read_header(file, i)
        except CtgridError:
            raise
        except ValueError:
            damaged.append(file)
            continue
        if header is not None and header.cut_short:
            damaged.append(file)
        elif header is not None:
            whole.append(header)
    return Headers(tuple(whole), tuple(damaged))


def read_header(file: DicomFile, index: int) -> Header | None:
    """Read the header of one file, or return None where it is a table of contents.

    Args:
        file: The file.
        index: Its place in the list, kept in its frames.

    Raises:
        CtgridError: It cannot be unpacked, or takes too much memory.
        ValueError: It is damaged, or ends before it says what it is.
    """  # noqa: DOC501
    from pydicom.filereader import read_partial

    at_pixels = AtPixels()
    with file.open_head() as stream, quiet_logger("pydicom"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        guarded = Guarded(stream, LONGEST_HEADER)
        try:
            dataset = read_partial(cast(BinaryIO, guarded), at_pixels, force=True)
            kind = text(dataset, "SOPClassUID") or text(dataset, "Modality")
        except (MemoryError, CtgridError, zipfile.BadZipFile, zlib.error):
            raise
        except Exception as error:  # a damaged header makes pydicom raise almost anything
            raise ValueError(f"{file.name} has a damaged header") from error
        if not kind or guarded.cut:
            raise ValueError(f"{file.name} does not say what it is")
        return None if kind == _DIRECTORY else _header(file, index, dataset, not at_pixels.reached)


def _header(file: DicomFile, index: int, dataset: Dataset, no_pixels: bool) -> Header:
    image_type = values(dataset, "ImageType")
    facts = {name: fact for name, keyword in _FACTS.items() if (fact := text(dataset, keyword)) not in ("", None)}
    syntax = text(dataset.file_meta, "TransferSyntaxUID") if hasattr(dataset, "file_meta") else ""
    rows, columns = (int(number(dataset, keyword) or 0) for keyword in ("Rows", "Columns"))
    uid = text(dataset, "SeriesInstanceUID")
    belongs = {name: text(dataset, name).rstrip("^ ") for name in _BELONGS}
    if not uid:
        belongs |= {name: text(dataset, name) for name in _NO_UID} | {"folder": file.name.rpartition("/")[0] or "."}
    said = text(dataset, "Modality").upper()
    frames = _frames(index, dataset) if rows and columns else ()
    return Header(
        file=file,
        series_uid=uid,
        belongs=belongs,
        modality=said or _kind(dataset).upper(),
        rows=rows,
        columns=columns,
        samples=int(number(dataset, "SamplesPerPixel") or 1),
        photometric=text(dataset, "PhotometricInterpretation"),
        syntax=syntax,
        image_type=tuple(str(part)[:16].upper() for part in image_type[:_MOST_PARTS]),
        is_capture=text(dataset, "SOPClassUID").startswith(_CAPTURE),
        facts=facts,
        frames=frames,
        count=len(frames),
        instance=number(dataset, "InstanceNumber"),
        cut_short=no_pixels and said in ("", "CT") and (bool(frames) or text(dataset, "SOPClassUID") in _CT),
    )


def _frames(index: int, dataset: Dataset) -> tuple[Frame, ...]:
    """List the slices: one, or those of the functional groups of a multi-frame object."""
    groups = values(dataset, "PerFrameFunctionalGroupsSequence")
    shared = values(dataset, "SharedFunctionalGroupsSequence")[:1]
    count = int(number(dataset, "NumberOfFrames") or 1)
    if not groups:
        if count != 1:
            return tuple(Frame(index, i) for i in range(min(count, 2)))
        return (_frame(index, 0, [dataset, *shared], [*shared, dataset]),)
    if len(groups) != count:
        return (Frame(index, 0),)
    frames = [_frame(index, i, [group, *shared], [group, *shared, dataset]) for i, group in enumerate(groups)]
    if root_disagrees(dataset, [frame.meaning for frame in frames]):
        wrong = Meaning(problem="its functional groups and the root of the file state different maps to HU")
        return tuple(replace(frame, meaning=wrong) for frame in frames)
    return tuple(frames)


def _frame(index: int, i: int, places: list[Dataset], everywhere: list[Dataset]) -> Frame:
    """Read one slice; its place stands in ``places``, all else may also stand at the root."""

    def found(sequence: str, keyword: str, n: int) -> tuple[float, ...] | None:
        holders = (holder for place in places for holder in (place, *values(place, sequence)[:1]))
        return next((f for holder in holders if (f := numbers(holder, keyword, n)) is not None), None)

    def one(keyword: str) -> float | None:
        return (found("PixelMeasuresSequence", keyword, 1) or (None,))[0]

    return Frame(
        file=index,
        number=i,
        position=found("PlanePositionSequence", "ImagePositionPatient", 3),
        orientation=found("PlaneOrientationSequence", "ImageOrientationPatient", 6),
        spacing=found("PixelMeasuresSequence", "PixelSpacing", 2),
        thickness=one("SliceThickness"),
        distance=one("SpacingBetweenSlices"),
        meaning=meaning(everywhere),
        labels=_labels(everywhere),
    )


def _labels(places: list[Dataset]) -> dict[str, str]:
    """Collect what tells passes apart; the functional groups come first, the root last."""
    *groups, root = places
    found = {}
    for name, group in _LABELS.items():
        holders = [] if group is None else [item for p in groups for item in values(p, group[0])[:1]]
        said = next((t for holder in holders if group and (t := text(holder, group[1]))), "")
        if said := said or (text(root, name) if name in root else ""):
            found[name] = said
    return found


def _kind(dataset: Dataset) -> str:
    return str(getattr(dataset.get("SOPClassUID"), "name", "unknown"))
