"""What the stored values of one slice mean: which map to HU the header states, wherever DICOM lets it stand.

A map may be RescaleSlope and RescaleIntercept (PS3.3 C.11.1, C.7.6.16.2.9), a table (ModalityLUTSequence) or a
real-world value mapping (C.7.6.16.2.11); it may stand at the root, in a functional group of the one frame, or in
one shared by all. What states two different maps, or another unit than HU, is not read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctgrid.scan.formats.dicom.elements import number, numbers, text, values

if TYPE_CHECKING:
    from pydicom import Dataset

_TRANSFORM, _REAL_WORLD = "PixelValueTransformationSequence", "RealWorldValueMappingSequence"
_HU = frozenset({"HU", "HOUNSFIELD", "HOUNSFIELDUNIT", "HOUNSFIELDUNITS", "[HNSF'U]"})  # the last as UCUM spells it
_UNSURE = {"US": "unspecified", "HU_MOD": "modified HU"}
_OTHER_QUANTITIES = frozenset({"EFF_ATOMIC_NUM", "ELECTRON_DENSITY", "MAT_SPECIFIC", "MAT_FRACTIONAL"})  # C.8.15.3.11
_SAME = 1e-6


@dataclass(frozen=True)
class Meaning:
    """What one slice's header says of its values.

    Attributes:
        rescale: (slope, intercept) to HU, NaN where one is missing or no number; None where none is stated.
        table: Whether ModalityLUTSequence gives the HU.
        limits: The first and last stored value for which the map holds; None where it holds for all.
        problem: Why the values cannot be had in HU, or None.
        note: On what weak or unusual ground they are, or None.
    """

    rescale: tuple[float, float] | None = None
    table: bool = False
    limits: tuple[float, float] | None = None
    problem: str | None = None
    note: str | None = None


def meaning(places: Sequence[Dataset]) -> Meaning:
    """Read what is said of one slice's values.

    Args:
        places: Where it may be said, the most specific first: the frame's own functional groups, the shared ones, the
            root of the file.
    """
    holders = [holder for place in places for holder in (*values(place, _TRANSFORM)[:1], place)]
    rescale = _rescale(holders)
    kinds = [kind for holder in holders if (kind := text(holder, "RescaleType").upper())]
    other = next((kind for kind in kinds if not _is_hu(kind) and kind not in _UNSURE), None)
    if other is not None:
        return Meaning(rescale, problem=f"its values are {other}, not HU")
    sure = any(_is_hu(kind) for kind in kinds)
    quantity = next((part for part in text(places[-1], "ImageType").split("\\") if part in _OTHER_QUANTITIES), None)
    if quantity is not None and not sure:
        return Meaning(rescale, problem=f"its ImageType is {quantity}, and no RescaleType says HU")
    unsure = next((kind for kind in kinds if kind in _UNSURE), None)
    note = None if unsure is None or sure else f"RescaleType is {unsure} ({_UNSURE[unsure]}), taken for HU"
    tables = [item for place in places for item in values(place, "ModalityLUTSequence")[:1]]
    if tables:
        return _by_table(tables[0], rescale)
    real = [item for place in places for item in values(place, _REAL_WORLD)]
    return _by_real_world(real, rescale, sure, note) if real else Meaning(rescale, note=note)


def root_disagrees(root: Dataset, meanings: Sequence[Meaning]) -> bool:
    """Tell whether a multi-frame file's root states a map that none of its frames has.

    Args:
        root: The file's data set.
        meanings: Of its frames.
    """
    own = _rescale([root])
    maps = {m.rescale for m in meanings if m.rescale is not None}
    return own is not None and bool(maps) and not any(_same(own, other) for other in maps)


def _is_hu(unit: str) -> bool:
    return unit.replace(" ", "").replace("_", "") in _HU


def _rescale(holders: Sequence[Dataset]) -> tuple[float, float] | None:
    """Return the first slope and intercept that are stated; both tags absent everywhere: None."""
    said = [[holder for holder in holders if key in holder] for key in ("RescaleSlope", "RescaleIntercept")]
    if not any(said):
        return None
    slope = number(said[0][0], "RescaleSlope") if said[0] else 1.0
    intercept = number(said[1][0], "RescaleIntercept") if said[1] else None
    return math.nan if slope is None else slope, math.nan if intercept is None else intercept


def _by_table(table: Dataset, rescale: tuple[float, float] | None) -> Meaning:
    kind = text(table, "ModalityLUTType").upper()
    if rescale is not None:
        return Meaning(rescale, problem="it states both a ModalityLUTSequence and RescaleSlope; remove the wrong one")
    if not _is_hu(kind):
        return Meaning(problem=f"its ModalityLUTSequence gives {kind or 'values of no stated unit'}, not HU")
    return Meaning(table=True, note="HU come from the table of ModalityLUTSequence")


def _by_real_world(
    items: Sequence[Dataset], rescale: tuple[float, float] | None, sure: bool, note: str | None
) -> Meaning:
    """Judge real-world value mappings: they must agree with the rescale tags, or take their place where HU."""
    units = [_unit(item) for item in items]
    in_hu = [item for item, unit in zip(items, units, strict=True) if _is_hu(unit.upper())]
    maps = {(number(i, "RealWorldValueSlope"), number(i, "RealWorldValueIntercept")) for i in in_hu}
    linear = {(slope, intercept) for slope, intercept in maps if slope is not None and intercept is not None}
    if rescale is not None:
        if linear and not any(_same(rescale, other) for other in linear):
            return Meaning(rescale, problem=f"RescaleSlope and {_REAL_WORLD} state two different maps to HU")
        if in_hu or sure:
            return Meaning(rescale, note=note)
    if not in_hu:
        return Meaning(rescale, problem=f"its {_REAL_WORLD} gives {units[0] or 'values of no stated unit'}, not HU")
    limits = {_limits(item) for item in in_hu}
    if len(linear) != 1 or len(maps) != 1 or len(limits) != 1:
        return Meaning(problem=f"its {_REAL_WORLD} gives HU by a table or by several maps, which cannot be applied")
    return Meaning(linear.pop(), limits=limits.pop(), note=f"HU come from {_REAL_WORLD}")


def _unit(item: Dataset) -> str:
    code = next(iter(values(item, "MeasurementUnitsCodeSequence")), None)
    return "" if code is None else text(code, "CodeValue") or text(code, "CodeMeaning")


def _limits(item: Dataset) -> tuple[float, float] | None:
    for prefix in ("DoubleFloatRealWorldValue", "RealWorldValue"):
        first, last = (numbers(item, f"{prefix}{end}ValueMapped", 1) for end in ("First", "Last"))
        if first is not None and last is not None:
            return first[0], last[0]
    return None


def _same(one: tuple[float, float], two: tuple[float, float]) -> bool:
    return all(math.isclose(a, b, rel_tol=_SAME, abs_tol=_SAME) for a, b in zip(one, two, strict=True))
