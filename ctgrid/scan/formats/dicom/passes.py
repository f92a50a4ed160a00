"""Take apart what shares one SeriesInstanceUID and is not one volume: patients, studies, passes of the scanner.

Time and number of an acquisition may change within one volume: step-and-shoot scans count every step. What tells
volumes apart is that their slices lie among each other.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ctgrid.scan.formats.dicom.header import Frame, Header

TOUCHING_MM = 0.01
_SHORTEST_RUN = 4  # slices


@dataclass(frozen=True)
class Part:
    """Files that belong together.

    Attributes:
        headers: The files; of a multi-frame file, with those of its slices that belong here.
        label: What tells it from the other parts, or an empty text; it names no patient.
    """

    headers: tuple[Header, ...]
    label: str = ""


def owners(headers: Sequence[Header]) -> list[Part]:
    """Take apart files of different patients, studies or frames of reference.

    A file that does not say belongs to the one there is; where there are several, such files are a part of their own.
    A frame of reference that is another in every file is an anonymiser's noise and tells nothing.

    Args:
        headers: Files with one SeriesInstanceUID, or without any.
    """
    parts = [Part(tuple(headers))]
    for name in dict.fromkeys(name for header in headers for name in header.belongs):
        parts = [one for part in parts for one in _by_owner(part, name)]
    return parts


def _by_owner(part: Part, name: str) -> Iterator[Part]:
    said = [header.belongs.get(name, "") for header in part.headers]
    counts = Counter(value for value in said if value)
    noise = name == "FrameOfReferenceUID" and len(counts) == len(said) > 2
    if len(counts) < 2 or noise:
        yield part
        return
    found = sorted(set(said))
    for number, value in enumerate(found, start=1):
        own = tuple(header for header, v in zip(part.headers, said, strict=True) if v == value)
        yield Part(own, _joined(part.label, f"{name} {number} of {len(found)}" if value else f"no {name}"))


def passes(part: Part) -> list[Part]:
    """Take apart passes of the scanner whose slices lie among each other: phases, energies, kernels, repeated scans.

    Args:
        part: Files of one owner.
    """
    frames = [frame for header in part.headers for frame in header.frames]
    normal = _normal(frames)
    if normal is None:
        return [part]
    names = dict.fromkeys(name for frame in frames for name in frame.labels)
    for name in names:
        groups: dict[str, list[Frame]] = {}
        for frame in frames:
            groups.setdefault(_plain(frame.labels.get(name, "")), []).append(frame)
        if sum(bool(label) for label in groups) < 2 or not _among_each_other(list(groups.values()), normal):
            continue
        parts = []
        for label in sorted(groups, key=_order):
            told = _joined(part.label, f"{name} {_short(label)}" if label else f"no {name}")
            parts += passes(Part(_only(part.headers, groups[label]), told))
        return parts
    return [part]


def zipped(headers: Sequence[Header]) -> bool:
    """Tell whether instance numbers run through the stack more than once, as where two passes are zipped.

    Args:
        headers: Files of one slice each, of one part.
    """
    by_number = {header.instance: header.frames[0] for header in headers if header.instance is not None}
    frames = [by_number[number] for number in sorted(by_number)]
    normal = _normal(frames)
    if normal is None or len(frames) < len(headers):
        return False
    runs = _runs(frames, _along(frames, normal))
    return len(runs) > 1 and min(map(len, runs)) >= _SHORTEST_RUN and _among_each_other(runs, normal)


def _runs(frames: Sequence[Frame], along: np.ndarray) -> list[list[Frame]]:
    """Cut a sequence of slices where it turns round."""
    runs, direction = [[frames[0]]], 0.0
    for frame, step in zip(frames[1:], np.sign(np.diff(along)), strict=True):
        if direction and step != direction:
            runs.append([frame])
            direction = 0.0
        else:
            runs[-1].append(frame)
            direction = float(step)
    return runs


def _among_each_other(groups: Sequence[Sequence[Frame]], normal: np.ndarray) -> bool:
    """Tell whether the stretches that groups of slices cover along the normal overlap; touching is none."""
    ends = sorted((float(along.min()), float(along.max())) for along in (_along(group, normal) for group in groups))
    reach = -math.inf
    for start, end in ends:
        if start < reach - TOUCHING_MM:
            return True
        reach = max(reach, end)
    return False


def _along(frames: Sequence[Frame], normal: np.ndarray) -> np.ndarray:
    return np.array([frame.position for frame in frames]) @ normal


def _normal(frames: Sequence[Frame]) -> np.ndarray | None:
    """Return the slices' normal, or None where a position is missing or there is nothing to tell apart."""
    orientation = next((frame.orientation for frame in frames if frame.orientation is not None), None)
    if orientation is None or len(frames) < 2 or any(frame.position is None for frame in frames):
        return None
    return np.cross(orientation[:3], orientation[3:])


def _only(headers: Sequence[Header], frames: Sequence[Frame]) -> tuple[Header, ...]:
    """Return the files of some frames, with these frames alone."""
    wanted = {(frame.file, frame.number) for frame in frames}
    kept = ((h, tuple(f for f in h.frames if (f.file, f.number) in wanted)) for h in headers)
    return tuple(h if len(own) == len(h.frames) else replace(h, frames=own) for h, own in kept if own)


def _plain(label: str) -> str:
    """Return a label, numbers spelt one way: 120 and 120.0 are equal."""
    try:
        return repr(float(label))
    except ValueError:
        return label


def _short(label: str) -> str:
    return label.removesuffix(".0")


def _order(label: str) -> tuple[float, str]:
    try:
        return float(label), label
    except ValueError:
        return math.inf, label


def _joined(one: str, two: str) -> str:
    return f"{one}, {two}" if one else two
