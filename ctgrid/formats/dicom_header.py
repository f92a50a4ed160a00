"""What the header of one DICOM file says, as plain values; no pixel is decoded here."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ctgrid.formats.dicom_files import DicomFile
from ctgrid.formats.quiet import quiet_logger

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True)
class Frame:
    """One slice: where it lies and which map its own header states.

    Attributes:
        file: Index of its file in the list of headers.
        number: Index of the frame in that file.
        position: ImagePositionPatient, (x, y, z) in LPS+ mm, or None.
        orientation: ImageOrientationPatient, direction cosines of a row (along which x grows), then of a column.
        spacing: PixelSpacing in mm: between rows (y), between columns (x).
        thickness: SliceThickness in mm, or None.
        distance: SpacingBetweenSlices in mm, or None.
        rescale: (slope, intercept), NaN where one is missing or no number; None where both tags are absent.
    """

    file: int
    number: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    thickness: float | None
    distance: float | None
    rescale: tuple[float, float] | None


@dataclass(frozen=True)
class Header:
    """One DICOM file without its pixels.

    Attributes:
        file: Where it is.
        series_uid: SeriesInstanceUID, empty where absent.
        modality: "CT", "MR", ...; the kind of object where absent.
        rows, columns, samples: Of one slice; 0 where there is no image.
        photometric: PhotometricInterpretation.
        syntax: Transfer syntax UID.
        image_type: The parts of ImageType.
        is_capture: Whether it is a Secondary Capture: a screenshot, say.
        facts: What may go into a record: nothing that identifies a patient.
        frames: Its slices, in the order of the file.
    """

    file: DicomFile
    series_uid: str
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

    @property
    def is_localizer(self) -> bool:
        """Whether this is an overview for planning, not a slice."""
        return "LOCALIZER" in self.image_type or self.modality == "LOCALIZER"


_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)  # as floats, as doubles, as integers
_MOST_ZEROS = 100  # empty elements in a row
_DIRECTORY = "1.2.840.10008.1.3.10"  # DICOMDIR: a table of contents
_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture, single and multi-frame
_LONGEST, _MOST_PARTS = 100, 16  # of a text; longer ones are damaged
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


def read_header(file: DicomFile, index: int) -> Header | None:
    """Read the header of one file, or return None where the file is no DICOM object after all.

    Args:
        file: The file.
        index: Its place in the list, kept in its frames.
    """
    from pydicom.filereader import read_partial

    with file.open() as stream, quiet_logger("pydicom"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = read_partial(cast(BinaryIO, ZeroGuard(stream)), _at_pixels, force=True)
            kind = text(dataset, "SOPClassUID") or text(dataset, "Modality")
        except MemoryError:
            raise
        except Exception:  # a damaged header makes pydicom raise almost anything
            return None
        if not kind or kind == _DIRECTORY:
            return None
        return _header(file, index, dataset)


def _at_pixels(tag: int, vr: str | None, length: int) -> bool:
    """Tell pydicom to stop: at the pixels, or where zeros follow, of which it would make millions of elements."""
    return tag in _PIXELS or tag == 0


class ZeroGuard:
    """A stream that ends pydicom's work on nothing but zeros, of which it would make millions of elements."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._zeros = stream, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def read(self, size: int = -1) -> bytes:
        """Read; raise ValueError where one empty element follows another for too long."""
        data = self._stream.read(size)
        if size == 8:
            self._zeros = 0 if any(data) else self._zeros + 1
        if self._zeros > _MOST_ZEROS:
            raise ValueError("it holds nothing but zeros")
        return data


class AfterPixels:
    """Tell pydicom to stop once it has read the pixels; many files are padded behind them."""

    def __init__(self) -> None:
        self._seen = False

    def __call__(self, tag: int, vr: str | None, length: int) -> bool:
        """Decide at the start of an element."""
        stop = self._seen or tag == 0
        self._seen = tag in _PIXELS
        return stop


def _header(file: DicomFile, index: int, dataset: Dataset) -> Header:
    image_type = values(dataset, "ImageType")
    facts = {name: fact for name, keyword in _FACTS.items() if (fact := text(dataset, keyword)) not in ("", None)}
    syntax = text(dataset.file_meta, "TransferSyntaxUID") if hasattr(dataset, "file_meta") else ""
    rows, columns = (int(number(dataset, keyword) or 0) for keyword in ("Rows", "Columns"))
    return Header(
        file=file,
        series_uid=text(dataset, "SeriesInstanceUID"),
        modality=(text(dataset, "Modality") or _kind(dataset)).upper(),
        rows=rows,
        columns=columns,
        samples=int(number(dataset, "SamplesPerPixel") or 1),
        photometric=text(dataset, "PhotometricInterpretation"),
        syntax=syntax,
        image_type=tuple(str(part)[:16].upper() for part in image_type[:_MOST_PARTS]),
        is_capture=text(dataset, "SOPClassUID").startswith(_CAPTURE),
        facts=facts,
        frames=_frames(index, dataset) if rows and columns else (),
    )


def _frames(index: int, dataset: Dataset) -> tuple[Frame, ...]:
    """List the slices: one, or those of the functional groups of a multi-frame object."""
    groups = values(dataset, "PerFrameFunctionalGroupsSequence")
    count = int(number(dataset, "NumberOfFrames") or 1)
    if not groups:
        if count != 1:
            return tuple(Frame(index, i, None, None, None, None, None, None) for i in range(min(count, 2)))
        return (_frame(index, 0, [dataset]),)
    shared = values(dataset, "SharedFunctionalGroupsSequence")
    if len(groups) != count:
        return (Frame(index, 0, None, None, None, None, None, None),)
    return tuple(_frame(index, i, [group, *shared[:1]]) for i, group in enumerate(groups))


def _frame(index: int, i: int, places: list[Dataset]) -> Frame:
    def holders(sequence: str) -> list[Dataset]:
        return [holder for place in places for holder in (place, *values(place, sequence)[:1])]

    def found(sequence: str, keyword: str, n: int) -> tuple[float, ...] | None:
        return next((f for holder in holders(sequence) if (f := numbers(holder, keyword, n)) is not None), None)

    def one(sequence: str, keyword: str) -> float | None:
        return (found(sequence, keyword, 1) or (None,))[0]

    measures, transform = "PixelMeasuresSequence", "PixelValueTransformationSequence"
    slope, intercept = one(transform, "RescaleSlope"), one(transform, "RescaleIntercept")
    says_slope, says_intercept = (
        any(keyword in holder for holder in holders(transform)) for keyword in ("RescaleSlope", "RescaleIntercept")
    )
    if slope is None:
        slope = math.nan if says_slope else 1.0
    return Frame(
        file=index,
        number=i,
        position=found("PlanePositionSequence", "ImagePositionPatient", 3),
        orientation=found("PlaneOrientationSequence", "ImageOrientationPatient", 6),
        spacing=found(measures, "PixelSpacing", 2),
        thickness=one(measures, "SliceThickness"),
        distance=one(measures, "SpacingBetweenSlices"),
        rescale=(slope, math.nan if intercept is None else intercept) if says_slope or says_intercept else None,
    )


def values(dataset: Dataset, keyword: str) -> list[Any]:
    """Return an element's values as a list, empty where it is absent or unreadable.

    Args:
        dataset: Any data set.
        keyword: The element's keyword.
    """
    try:
        value = dataset.get(keyword)
        if value is None or value == "":
            return []
        return [value] if isinstance(value, str | bytes | int | float) else list(value)
    except Exception:  # as above: a damaged value
        return []


def text(dataset: Dataset, keyword: str) -> str:
    """Return an element's value as short printable text, its parts joined by a backslash, or an empty text.

    Args:
        dataset: Any data set.
        keyword: The element's keyword.
    """
    joined = "\\".join(str(value)[:_LONGEST] for value in values(dataset, keyword)[:_MOST_PARTS])[:_LONGEST]
    return "".join(c if c.isprintable() else " " for c in joined.replace("\0", "")).strip()


def numbers(dataset: Dataset, keyword: str, n: int) -> tuple[float, ...] | None:
    """Return an element's ``n`` finite numbers, or None.

    Args:
        dataset: Any data set.
        keyword: The element's keyword.
        n: How many there must be.
    """
    try:
        found = tuple(float(value) for value in values(dataset, keyword))
    except (TypeError, ValueError, OverflowError):
        return None
    return found if len(found) == n and all(math.isfinite(value) for value in found) else None


def number(dataset: Dataset, keyword: str) -> float | None:
    """Return an element's one finite number, or None.

    Args:
        dataset: Any data set.
        keyword: The element's keyword.
    """
    return (numbers(dataset, keyword, 1) or (None,))[0]


def _kind(dataset: Dataset) -> str:
    return str(getattr(dataset.get("SOPClassUID"), "name", "unknown"))
