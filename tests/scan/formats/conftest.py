"""DICOM series made with pydicom, good and odd."""

from __future__ import annotations

import locale
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

LOCALE = locale.setlocale(locale.LC_ALL)
UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@pytest.fixture(autouse=True)
def same_locale() -> Iterator[None]:
    """Put the locale back: ITK's DICOM writer, which only tests use, sets it to "C" for the whole process."""
    yield
    locale.setlocale(locale.LC_ALL, LOCALE)


def write_slice(path: Path, plane: np.ndarray, rescale: tuple[float, float] | None, **tags: Any) -> Dataset:
    """Write one CT slice whose HU are ``plane``; ``tags`` replace or (None) remove attributes."""
    slope, intercept = rescale or (1.0, 0.0)
    stored = np.rint((plane.astype(float) - intercept) / slope).astype(np.int16)
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = CTImageStorage, generate_uid(), "CT"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Rows, ds.Columns = plane.shape
    ds.PixelSpacing, ds.SliceThickness = [0.8, 0.7], 2.5
    ds.ImageOrientationPatient = list(UPRIGHT)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    if rescale is not None:
        ds.RescaleSlope, ds.RescaleIntercept = slope, intercept
    ds.PixelData = stored.tobytes()
    ds["PixelData"].VR = "OW"
    for name, value in tags.items():
        if value is None:
            ds.pop(name, None)
        else:
            setattr(ds, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, ds, enforce_file_format=True)
    return ds


@pytest.fixture(scope="session")
def make_series() -> Callable[..., Path]:
    """Return a writer of CT series.

    Called as ``make_series(folder, hu, positions=..., rescale=..., **tags)``: positions are those of the slices
    along z, or whole (x, y, z); rescale is one pair or a list of them; a tag may be a list with one value a slice.
    File names run against the order of positions.
    """

    def make(
        folder: Path,
        hu: np.ndarray,
        positions: Sequence[Any] | None = None,
        rescale: Any = (1.0, -1024.0),
        suffix: str = ".dcm",
        **tags: Any,
    ) -> Path:
        places = [2.5 * i - 300 for i in range(len(hu))] if positions is None else positions
        for i, plane in enumerate(hu):
            place = places[i] if np.ndim(places[i]) else (-100.0, -120.0, places[i])
            own = {
                name: value[i] if isinstance(value, list) and len(value) == len(hu) else value
                for name, value in tags.items()
            }
            own = {"ImagePositionPatient": list(place), "InstanceNumber": i + 1, **own}
            pair = rescale[i] if isinstance(rescale, list) else rescale
            name = f"{tags.get('SeriesInstanceUID', '')}-{len(hu) - i:03}{suffix}"
            write_slice(folder / name, plane, pair, **own)
        return folder

    return make
