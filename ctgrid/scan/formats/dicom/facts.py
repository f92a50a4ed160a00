"""What a record says of a whole series: each fact that all its slices share, and how those differ that do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ctgrid.base.errors import CtgridError
from ctgrid.scan.formats.dicom.header import Header

_GEOMETRY = {"patient_position": "PatientPosition"}
_UNIMPORTANT = frozenset({"pixel_padding", "lossy_ratio"})
_OF_FRAMES = {  # may stand in functional groups
    "kvp": "KVP",
    "kernel": "ConvolutionKernel",
    "temporal_position": "TemporalPositionIdentifier",
    "cardiac_phase": "NominalPercentageOfCardiacPhase",
    "respiratory_phase": "NominalPercentageOfRespiratoryPhase",
}
_MOST_NAMED = 4


def common_facts(headers: Sequence[Header]) -> tuple[dict[str, Any], dict[str, dict[str, int]]]:
    """Gather the facts of all slices.

    Args:
        headers: The files of one volume.

    Returns:
        The facts, of which those that differ are joined by `` | ``; and for each of these, how many slices say what.
    """
    counts: dict[str, Counter[str]] = {}
    for header in headers:
        said = dict(header.facts) | {"image_type": "\\".join(header.image_type)}
        for name, value in said.items():
            counts.setdefault(name, Counter())[str(value)] += len(header.frames)
        for frame in header.frames:
            more = {name: frame.labels.get(keyword) for name, keyword in _OF_FRAMES.items() if name not in said}
            more["slice_thickness_mm"] = None if frame.thickness is None else repr(frame.thickness)
            for name, value in more.items():
                if value is not None:
                    counts.setdefault(name, Counter())[value] += 1
    facts: dict[str, Any] = {name: " | ".join(_named(count)) for name, count in counts.items()}
    if len(counts.get("slice_thickness_mm", ())) == 1:
        facts["slice_thickness_mm"] = float(facts["slice_thickness_mm"])
    vary = {name: dict(count) for name, count in counts.items() if len(count) > 1 and name not in _UNIMPORTANT}
    return facts, vary


def one_position(vary: dict[str, dict[str, int]], where: str) -> None:
    """Refuse slices that say different things of how the patient lay.

    Args:
        vary: As :func:`common_facts` gives it.
        where: What is read, for messages.

    Raises:
        CtgridError: They do.
    """
    for name, keyword in _GEOMETRY.items():
        if name in vary:
            raise CtgridError(f"{where}: {keyword} is mixed, {_told(vary[name])}; split the series by {keyword}")


def note_of(vary: dict[str, dict[str, int]]) -> str | None:
    """Say in one line what differs between slices, or return None.

    Args:
        vary: As :func:`common_facts` gives it.
    """
    told = [f"{name.replace('_', ' ')} ({_told(counts)})" for name, counts in vary.items()]
    return f"differs between slices: {'; '.join(told)}" if told else None


def _named(counts: Counter[str]) -> list[str]:
    names = [value for value, _ in counts.most_common(_MOST_NAMED)]
    return names + (["..."] if len(counts) > _MOST_NAMED else [])


def _told(counts: dict[str, int]) -> str:
    ranked = Counter(counts).most_common(_MOST_NAMED)
    more = f" and {len(counts) - _MOST_NAMED} more" if len(counts) > _MOST_NAMED else ""
    return ", ".join(f"{value}: {n} slices" for value, n in ranked) + more
