"""What NRRD and MetaImage headers say of their numbers beside the grid, in fields that ITK passes over.

Units of length, maps of values, what the values are. A field that says something else than ctgrid can take is
refused, or kept as a reason why the values may not be HU.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.scan.formats.units import length_in_mm, may_be_hu

_PLAIN_MODALITY = ("CT", "MET_MOD_CT", "MET_MOD_OTHER", "MET_MOD_UNKNOWN", "")
_DIFFERENT = 0.01  # of a spacing
_OF_SPACE = ("domain", "space", "none", "???", "unknown")  # kinds of axes
Fields = Mapping[str, str]


@dataclass(frozen=True)
class Stated:
    """What a header says of its numbers.

    Attributes:
        mm: What lengths along the three axes of space are to be multiplied with to become mm.
        slope: Of the map from stored values.
        intercept: Of the same.
        spacing_said: Whether the header names a spacing at all.
        details: ``notes``, ``warnings`` and ``not_hu`` of a ``StoredScan``, where there are any.
    """

    mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    slope: float = 1.0
    intercept: float = 0.0
    spacing_said: bool = True
    details: dict[str, Any] = field(default_factory=dict)


def nrrd_stated(path: Path, fields: Fields, dtype: np.dtype[Any]) -> Stated:
    """Read an NRRD's units, ``old min`` and ``old max``, ``sample units`` and the key ``modality``.

    ``old min`` and ``old max`` are the values that the lowest and the highest integer of the type stand for.

    Args:
        path: The file, for messages.
        fields: Of its header.
        dtype: Of its values.

    Raises:
        CtgridError: A unit that is no length, an axis that is none of space, or bounds that make no map.
    """
    details: dict[str, Any] = {}
    _check_kinds(path, fields)
    key = next((key for key in ("space units", "units") if fields.get(key)), "")
    mm = _axes_in_mm(path, key, fields) if key else (1.0, 1.0, 1.0)
    if set(mm) != {1.0}:
        details["notes"] = [f"lengths were in {fields[key]} and were turned into mm"]
    if not fields.get("space") and not fields.get("space dimension"):
        details["warnings"] = ["names no space, so its orientation is unknown; taken as LPS, as ITK does"]
    units = fields.get("sample units", fields.get("sampleunits", ""))
    if not may_be_hu(units):
        details["not_hu"] = f"its values are in {units} by its sample units"
    if fields.get(":modality", "").upper() not in _PLAIN_MODALITY:
        details["not_hu"] = f"its modality is {fields[':modality']}"
    bounds = [fields.get(key, fields.get(key.replace(" ", ""))) for key in ("old min", "old max")]
    if bounds == [None, None]:
        return Stated(mm, spacing_said=_spacing_said(fields), details=details)
    if dtype.kind not in "iu" or None in bounds:
        raise CtgridError(f"{path}: old min {bounds[0]}, old max {bounds[1]} make no map of its {dtype} values; fix it")
    low, high = (_number(str(text)) for text in bounds)
    lowest, highest = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    slope = (high - low) / (highest - lowest)
    if not math.isfinite(slope) or slope == 0:
        raise CtgridError(f"{path}: old min {bounds[0]}, old max {bounds[1]} make no map of its values; fix the header")
    return Stated(mm, slope, low - slope * lowest, _spacing_said(fields), details)


def metaimage_stated(path: Path, fields: Fields) -> Stated:
    """Read a MetaImage's ``ElementToIntensityFunction…``, ``DistanceUnits``, ``Modality`` and ``ElementSize``.

    Args:
        path: The file, for messages.
        fields: Of its header.

    Raises:
        CtgridError: A unit that is no length, or a map that is none.
    """
    details: dict[str, Any] = {}
    slope, intercept = (
        _number(fields.get(f"ElementToIntensityFunction{name}", default))
        for name, default in (("Slope", "1"), ("Offset", "0"))
    )
    if not math.isfinite(slope) or not math.isfinite(intercept) or slope == 0:
        raise CtgridError(
            f"{path}: its ElementToIntensityFunctionSlope {slope} and Offset {intercept} make no map; fix the header"
        )
    unit = fields.get("DistanceUnits", "")
    factor = _in_mm(path, "DistanceUnits", unit)
    if factor != 1:
        details["notes"] = [f"lengths were in {unit} and were turned into mm"]
    if fields.get("Modality", "").upper() not in _PLAIN_MODALITY:
        details["not_hu"] = f"its Modality is {fields['Modality']}"
    size, spacing = (
        [_number(text) for text in fields.get(key, "").split()] for key in ("ElementSize", "ElementSpacing")
    )
    if size and spacing and not np.allclose(size[:3], spacing[:3], rtol=_DIFFERENT, atol=0):
        said = f"ElementSize {fields['ElementSize']}, ElementSpacing {fields['ElementSpacing']}"
        details["warnings"] = [f"says {said}; the spacing holds"]
    if turned := _turned(fields):
        details["warnings"] = [*details.get("warnings", []), turned]
    return Stated((factor,) * 3, slope, intercept, bool(size or spacing), details)


def _check_kinds(path: Path, fields: Fields) -> None:
    """Refuse axes of time, of vectors and the like; those of one voxel do not matter."""
    for size, kind in zip(fields.get("sizes", "").split(), fields.get("kinds", "").split(), strict=False):
        if size != "1" and kind.strip('"').lower() not in _OF_SPACE:
            raise CtgridError(f"{path}: an axis of {size} voxels is of kind {kind}; a CT volume has three of space")


def _turned(fields: Fields) -> str | None:
    """Say where AnatomicalOrientation is another than that of the axes, told by where they come from or go to."""
    said = fields.get("AnatomicalOrientation", "").upper()
    matrix = next((fields[key] for key in ("TransformMatrix", "Rotation", "Orientation") if key in fields), "")
    axes = [_number(text) for text in matrix.split()] or [1.0, 0, 0, 0, 1, 0, 0, 0, 1]
    if len(axes) != 9 or len(said) != 3 or not set(said) <= set("RLAPIS"):
        return None
    columns = np.reshape(axes, (3, 3))
    along = np.abs(columns).argmax(axis=1)
    signs = [columns[i, axis] > 0 for i, axis in enumerate(along)]
    start, end = (
        "".join(("RL", "AP", "IS")[axis][(not sign) != far] for axis, sign in zip(along, signs, strict=True))
        for far in (False, True)
    )
    if said in (start, end):
        return None
    what = "TransformMatrix" if matrix else "lack of a TransformMatrix"
    return f"its AnatomicalOrientation {said} and its {what} disagree; the axes are taken as from {start}"


def _axes_in_mm(path: Path, key: str, fields: Fields) -> tuple[float, float, float]:
    """Return the factors of the three axes of space; ``units`` may name those of further axes of one voxel too."""
    words = [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|([^\s"]+)', fields[key])]
    sizes = fields.get("sizes", "").split()
    if key == "units" and len(words) == len(sizes) > 3:
        words = words[1:4] if sizes[0] == "1" and len(sizes) == 4 and sizes[-1] != "1" else words[:3]
    if len(words) != 3:
        raise CtgridError(f"{path}: its {key} {fields[key]} name no unit for each of three axes; fix the header")
    x, y, z = (_in_mm(path, key, word) for word in words)
    return x, y, z


def _in_mm(path: Path, key: str, unit: str) -> float:
    found = length_in_mm(unit)
    if found is None:
        raise CtgridError(f"{path}: its {key} are {unit!r}, which is no unit of length; write the spacing in mm")
    return found


def _spacing_said(fields: Fields) -> bool:
    return bool(fields.get("space directions") or fields.get("spacings"))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
