"""Compare the voxel spacing of a file's header with what the collection's metadata state.

Rule: the header's affine holds, because it alone also knows orientation and position. Only a header that
says nothing gives way to metadata that say otherwise: axes along the world's with exactly 1 mm, at the origin, and of
a NIfTI neither a qform nor an sform code that was set on purpose (``blank`` of a ``StoredScan``).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.scan.geometry import is_blank, spacing_mm
from ctgrid.scan.hu.metadata import MetadataRow, MetadataTable
from ctgrid.scan.hu.sidecar import stated_rows

if TYPE_CHECKING:
    from ctgrid.scan.formats.stored import StoredScan

DIFFERENT = 0.01
"""Spacings are compared to this relative precision."""


def audit_spacing(
    affine: np.ndarray, row: MetadataRow | None, blank: bool = False
) -> tuple[np.ndarray, dict[str, Any] | None]:
    """Return the affine to be used, and the record of a difference.

    Args:
        affine: (4, 4) voxel (x, y, z) to RAS+ mm, of the file.
        row: What the metadata say; None where there are none.
        blank: Whether the file's header says nothing of the spacing.

    Returns:
        The affine, its columns rescaled where the metadata's spacing is used, and None where nothing differs,
        else ``header_mm`` and ``metadata_mm`` (z, y, x), ``file``, and ``used``: "header" or "metadata".

    Raises:
        CtgridError: The row holds a spacing that is no positive number.
    """
    stated = None if row is None else row.spacing_mm()
    if row is None or stated is None:
        return affine, None
    header = spacing_mm(affine)
    if np.allclose(header, stated, rtol=DIFFERENT, atol=0):
        return affine, None
    blank = blank and is_blank(affine)
    record = {
        "header_mm": list(header),
        "metadata_mm": list(stated),
        "file": row.file,
        "used": "metadata" if blank else "header",
    }
    if not blank:
        return affine, record
    affine = np.array(affine, dtype=np.float64)
    affine[:3, :3] *= stated[::-1]
    return affine, record


def audit_scan(
    scan: StoredScan, path: Path, metadata: MetadataTable | None = None
) -> tuple[np.ndarray, dict[str, Any] | None]:
    """As :func:`audit_spacing`, with the first of JSON and table that states a spacing.

    DICOM and files that ctgrid wrote have their geometry right. A JSON that cannot be read is passed over, and
    the table is asked: it is refused where HU or the slice order depend on it.

    Args:
        scan: What the format reader handed over.
        path: Where the scan was read.
        metadata: The collection's table.

    Raises:
        CtgridError: As :func:`audit_spacing`.
    """
    if scan.format == "dicom" or scan.details.get("written_by_ctgrid"):
        return scan.affine, None
    rows: list[MetadataRow] = []
    with suppress(CtgridError):
        rows += stated_rows(path)
    with suppress(CtgridError):
        listed = None if metadata is None else metadata.row(path)
        rows += [] if listed is None else [listed]
    row = next((row for row in rows if row.spacing_mm() is not None), None)
    return audit_spacing(scan.affine, row, scan.blank)
