"""Group DICOM files into series and choose the one to be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctgrid.base.errors import CtgridError
from ctgrid.scan.formats.dicom.header import Frame, Header
from ctgrid.scan.formats.dicom.passes import Part, owners, passes
from ctgrid.scan.formats.dicom.strays import AXIAL, is_stray, odd_ones

_LISTED = 6


@dataclass(frozen=True)
class DicomSeries:
    """The files of one volume: one SeriesInstanceUID, patient, study, frame of reference and pass.

    Attributes:
        number: Its place in the list, from 1.
        headers: Its files that hold slices of one volume.
        left_out: Number of its files that do not belong to the volume: localizers, screenshots, reports.
        reason: Why it cannot be read as a CT volume, or None.
        odd: Files that look like scouts or dose sheets but do not say so; left out.
        label: What tells it from others with the same SeriesInstanceUID, or an empty text.
    """

    number: int
    headers: tuple[Header, ...]
    left_out: int
    reason: str | None
    odd: tuple[Header, ...] = ()
    label: str = ""

    @property
    def uid(self) -> str:
        """SeriesInstanceUID."""
        return self.headers[0].series_uid

    @property
    def frames(self) -> list[Frame]:
        """All slices, in the order of the files."""
        return [frame for header in self.headers for frame in header.frames]

    @property
    def is_axial(self) -> bool:
        """Whether its first slice lies across the body's long axis."""
        orientation = self.frames[0].orientation if self.frames else None
        if orientation is None:
            return False
        rx, ry, _, cx, cy, _ = orientation
        return abs(rx * cy - ry * cx) > AXIAL

    def describe(self) -> dict[str, Any]:
        """Return what people need to tell series apart, JSON-able."""
        header = self.headers[0]
        return {
            "number": self.number,
            "uid": self.uid,
            "modality": header.modality,
            "description": header.facts.get("series_description", ""),
            "files": len(self.headers) + self.left_out + len(self.odd),
            "slices": len(self.frames),
            "size": [header.rows, header.columns],
            "axial": self.is_axial,
            **({"part": self.label} if self.label else {}),
        }

    def __str__(self) -> str:
        description = self.headers[0].facts.get("series_description", "")
        count = f"{len(self.headers)} files" if self.headers[0].count < 2 else f"{len(self.frames)} slices"
        more = "".join(f", {text}" for text in (self.label, description) if text)
        return f"{self.number} ({self.headers[0].modality}, {count}{more})"


def group(headers: Sequence[Header]) -> list[DicomSeries]:
    """Sort files into volumes, ordered by SeriesNumber and UID.

    Args:
        headers: Headers of all files.
    """
    by_uid: dict[str, list[Header]] = {}
    for header in headers:
        by_uid.setdefault(header.series_uid, []).append(header)

    def order(item: tuple[str, list[Header]]) -> tuple[float, str]:
        number = item[1][0].facts.get("series_number", "")
        return float(number) if number.lstrip("+-").isdigit() else float("inf"), item[0]

    found: list[DicomSeries] = []
    for _, members in sorted(by_uid.items(), key=order):
        for owner in owners(members):
            found += _volumes(owner, len(found) + 1)
    return found


def _volumes(owner: Part, number: int) -> list[DicomSeries]:
    """List the volumes of one owner, one for each pass; what is no slice counts with the first."""
    slices = [header for header in owner.headers if not is_stray(header)]
    kept = slices or list(owner.headers)
    odd = odd_ones(slices)
    unlike = {id(header) for header in odd}
    parts = passes(Part(tuple(header for header in kept if id(header) not in unlike), owner.label))
    left_out = len(owner.headers) - len(kept)
    first = DicomSeries(number, parts[0].headers, left_out, _reason(parts[0].headers), tuple(odd), parts[0].label)
    others = [DicomSeries(number + i, p.headers, 0, _reason(p.headers), (), p.label) for i, p in enumerate(parts)]
    return [first, *others[1:]]


def _reason(headers: Sequence[Header]) -> str | None:
    modality = next((h.modality for h in headers if h.modality != "CT"), None)
    if modality is not None:
        return f"its modality is {modality}, not CT"
    if headers[0].is_localizer:
        return "it is a localizer (scout view)"
    if not any(header.frames for header in headers):
        return "it holds no image"
    colour = next((h for h in headers if h.samples != 1 or not h.photometric.startswith("MONOCHROME")), None)
    if colour is not None:
        return f"its pixels are {colour.photometric or 'of several values'}, not one gray value each"
    problems = [frame.meaning.problem for header in headers for frame in header.frames]
    counts = Counter(problem for problem in problems if problem is not None)
    if not counts:
        return None
    problem, n = counts.most_common(1)[0]
    return problem if n == len(problems) else f"{problem}, in {n} of {len(problems)} slices"


def choose(series: Sequence[DicomSeries], wanted: str | None, where: Path) -> DicomSeries:
    """Return the series that was asked for, or the largest axial CT.

    Args:
        series: What there is, at least one.
        wanted: A series' number, UID, or the UID's unique ending; None leaves the choice to size.
        where: What was read, for messages.

    Raises:
        CtgridError: No such series, several, or none that is CT.
    """
    if wanted is not None:
        found = [s for s in series if wanted in (str(s.number), s.uid)] or [s for s in series if s.uid.endswith(wanted)]
        if not wanted or len(found) != 1:
            what = "no series" if not found or not wanted else "several series"
            raise CtgridError(f"{where} has {what} {wanted!r}; choose one of {listing(series)}")
        if found[0].reason is not None:
            raise CtgridError(f"{where}, series {found[0]}: {found[0].reason}")
        return found[0]
    readable = [s for s in series if s.reason is None]
    if not readable:
        reasons = "; ".join(f"series {s}: {s.reason}" for s in series[:_LISTED])
        more = f"; and {len(series) - _LISTED} more" if len(series) > _LISTED else ""
        raise CtgridError(f"{where} holds no CT series: {reasons}{more}")
    best = max(readable, key=lambda s: (s.is_axial, len(s.frames), s.headers[0].rows * s.headers[0].columns, -s.number))
    alike = [s for s in readable if s.uid == best.uid and s.is_axial == best.is_axial]
    if len(alike) > 1:
        uid = "one SeriesInstanceUID" if best.uid else "series without SeriesInstanceUID"
        raise CtgridError(
            f"{where} holds {len(alike)} volumes under {uid}; choose one with --series, or all with --all-series of "
            f"ctgrid prepare: {listing(alike)}"
        )
    return best


def listing(series: Sequence[DicomSeries]) -> str:
    """Name series in one line.

    Args:
        series: The series to be named.
    """
    names = ", ".join(str(s) for s in series[:_LISTED])
    return names + (f" and {len(series) - _LISTED} more" if len(series) > _LISTED else "")


def why_passed_over(series: DicomSeries, chosen: DicomSeries, asked: bool) -> str:
    """Say why a series is not the chosen one.

    Args:
        series: One that was not chosen.
        chosen: The one that was.
        asked: Whether the caller asked for it.
    """
    if series.reason is not None:
        return series.reason
    if asked:
        return f"series {chosen.number} was asked for"
    if chosen.is_axial and not series.is_axial:
        return "it is not axial"
    return f"it has {len(series.frames)} slices, series {chosen.number} has {len(chosen.frames)}"
