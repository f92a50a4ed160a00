"""What a file holds, before anyone decided what its numbers mean; and the mark of what ctgrid wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MARK = "HU; written by ctgrid"
"""In every file that ctgrid writes and whose values are sure to be HU as they stand: nothing rescales it again."""

UNCONFIRMED = "written by ctgrid"
"""What a DICOM series is called instead, where nothing confirms that its values are HU."""


@dataclass(frozen=True, eq=False)
class StoredScan:
    """What a file holds, before anyone decided what its numbers mean.

    Attributes:
        values: (z, y, x), the stored numbers.
        affine: (4, 4) voxel (x, y, z) to RAS+ mm.
        format: "nifti", "dicom", "nrrd" or "metaimage".
        slope: The header's own slope (already applied by the DICOM reader: 1).
        intercept: The header's own intercept.
        details: What else belongs into the record, JSON-able. ``written_by_ctgrid`` is true where the file
            carries ctgrid's mark, so that its values are HU whatever stands beside it. ``notes`` tell what was done;
            ``warnings`` what was decided on weak evidence, to be said aloud. ``not_hu`` is why the file itself says
            that its values are something else.
        applied: The (slope, intercept) that the reader has applied to ``values`` already: DICOM's rescale
            tags, those of the first slice where slices differ (``details["rescale_varies"]`` tells).
        blank: Whether the header says nothing of the spacing: exactly 1 mm, as writers put in by default.
    """

    values: np.ndarray
    affine: np.ndarray
    format: str
    slope: float = 1.0
    intercept: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)
    applied: tuple[float, float] | None = None
    blank: bool = False


def more_than_stated(slices: int) -> list[str]:
    """Warn where a file holds slices that its header leaves out, as one that is damaged does.

    Args:
        slices: Number of whole slices behind the last one that the header asks for.
    """
    if slices < 1:
        return []
    return [f"holds {slices} slices more than its header asks for, which were left out; is its size right?"]


def hu_confirmed(record: Mapping[str, Any]) -> bool:
    """Tell whether the values of a volume are sure to be HU, so that a file of them may carry :data:`MARK`.

    Args:
        record: The volume's; one that was not read from a file, but made in HU, says nothing of it.
    """
    return bool(record.get("hu", {}).get("confirmed", True))
