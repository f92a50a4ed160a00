"""What a NIfTI says that its values are, where it says that they are no image of a CT."""

from __future__ import annotations

from typing import Any

_LABELS = {1002: "labels", 1003: "labels"}
_GEOMETRY = range(1004, 1011)  # matrices, vectors, points, triangles, quaternions
_STATISTICS = range(2, 25)
_SURFACES = range(2001, 2006)
_WARPS = range(2006, 2019)  # FSL's coefficients and displacements
_OTHER = (
    (_STATISTICS, "a statistic"),
    (_GEOMETRY, "matrices, vectors or a mesh"),
    (_SURFACES, "a time series, a surface or colours"),
    (_WARPS, "a deformation"),
)


def not_hu_by_intent(header: Any) -> str | None:
    """Return why a header's intent code says that its values are no HU, or None where it says nothing of the kind.

    Codes 0 (none), 1001 (an estimate) and 1011 (no dimension) leave it open.

    Args:
        header: NIfTI-1 or -2.
    """
    code = int(header["intent_code"])
    what = _LABELS.get(code) or next((what for codes, what in _OTHER if code in codes), None)
    return None if what is None else f"it holds {what} by its intent code {code}"
