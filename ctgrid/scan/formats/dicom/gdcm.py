"""Decode compressed DICOM pixels that pydicom does not: JPEG, JPEG-LS and JPEG 2000, through SimpleITK's GDCM."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.scan.formats.dicom.codestream import Picture, picture
from ctgrid.scan.formats.dicom.encoded import Stored, low_bits, one_reason, syntax_name
from ctgrid.scan.formats.dicom.header import Header
from ctgrid.scan.formats.quiet import quiet

if TYPE_CHECKING:
    from pydicom import Dataset


def by_gdcm(dataset: Dataset, header: Header, shape: tuple[int, int, int], where: str, scratch: Path) -> Stored:
    """Decode through SimpleITK, frame by frame, each in a small clean file of its own.

    GDCM thus meets neither the rest of a damaged header nor MONOCHROME1, which ITK would turn into its negative; nor a
    header whose bits and sign are others than the stream's.

    Args:
        dataset: The file, still encoded.
        header: The file's header.
        shape: (frames, rows, columns).
        where: What is read, for messages.
        scratch: A folder for short-lived files.

    Raises:
        CtgridError: It cannot be decoded, or header and stream contradict each other.
    """
    from pydicom.encaps import generate_frames

    damaged = (
        f"{where}: {header.file.name} cannot be decoded, it is damaged or its compression "
        f"({syntax_name(header.syntax)}) is not supported; decompress it with gdcmconv --raw"
    )
    bits = dataset.BitsAllocated
    with one_reason(damaged):
        frames = list(generate_frames(dataset.PixelData, number_of_frames=shape[0]))
    if len(frames) != shape[0] or bits > 16:
        raise CtgridError(damaged)
    planes: list[np.ndarray] = []
    remarks: set[str] = set()
    for frame in frames:
        said = picture(frame)  # decoders may crash where this contradicts the file
        if said is None or said[:3] != (*shape[1:], 1) or not 2 <= said.bits <= bits:
            raise CtgridError(damaged)
        try:
            plane = _frame_by_gdcm(scratch / "frame.dcm", frame, dataset, said).reshape(shape[1:])
        except (RuntimeError, ValueError) as error:
            raise CtgridError(damaged) from error
        if plane.dtype.kind not in "iu":
            raise CtgridError(damaged)
        values, remark = _as_said(plane, said, dataset, f"{where}: {header.file.name}")
        planes.append(values)
        remarks |= set() if remark is None else {remark}
    return Stored(np.stack(planes), remarks=tuple(sorted(remarks)))


def _as_said(plane: np.ndarray, said: Picture, dataset: Dataset, where: str) -> tuple[np.ndarray, str | None]:
    """Give decoded values the sign that header and stream together mean.

    JPEG and JPEG-LS know no sign, and some writers of JPEG 2000 state none: two's complement of BitsStored then
    stands in unsigned values. Values of a signed stream are what the stream says (PS3.5 8.2).

    Raises:
        CtgridError: where header and stream contradict each other.
    """
    bits, signed = int(dataset.BitsStored), dataset.PixelRepresentation == 1
    if said.signed:
        return plane, None if signed else "compressed values are signed though PixelRepresentation says unsigned"
    if not signed and said.bits <= bits:
        return plane, None
    words = plane.astype(np.uint16)
    if said.bits < bits:
        if (words >> (said.bits - 1)).any():
            raise CtgridError(
                f"{where}: its compressed stream has {said.bits} bits without sign, its header says {bits} bits with "
                f"sign, so their sign is unknown; decompress it with the archive's own software"
            )
        return plane, None
    values = low_bits(words, bits, signed)
    if said.bits > bits and not ((values == low_bits(words, said.bits, signed)) | (words >> bits == 0)).all():
        raise CtgridError(
            f"{where}: its compressed stream holds values of {said.bits} bits, its header says {bits}; "
            f"decompress it with the archive's own software"
        )
    return values, "compressed values are unsigned though PixelRepresentation says signed" if said.knows_sign else None


def _frame_by_gdcm(path: Path, frame: bytes, dataset: Dataset, said: Picture) -> np.ndarray:
    import SimpleITK as sitk
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import SecondaryCaptureImageStorage

    clean = Dataset()
    clean.file_meta = FileMetaDataset()
    clean.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    clean.SOPClassUID, clean.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    clean.SamplesPerPixel, clean.PhotometricInterpretation = 1, "MONOCHROME2"
    for name in ("Rows", "Columns", "BitsAllocated"):
        setattr(clean, name, int(dataset[name].value))
    clean.BitsStored, clean.HighBit, clean.PixelRepresentation = said.bits, said.bits - 1, int(said.signed)
    clean.PixelData = encapsulate([frame], has_bot=False)
    clean["PixelData"].is_undefined_length = True
    clean["PixelData"].VR = "OB"
    clean.save_as(path, enforce_file_format=True)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    with quiet():
        return sitk.GetArrayFromImage(reader.Execute())
