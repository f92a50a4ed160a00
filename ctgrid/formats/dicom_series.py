"""Group DICOM files into series and choose the one to be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctgrid.errors import CtgridError
from ctgrid.formats.dicom_header import Frame, Header

_AXIAL = 0.7071  # cosine between slice normal and the body's long axis: within 45 degrees
_LISTED = 6


@dataclass(frozen=True)
class Series:
    """The files of one SeriesInstanceUID.

    Attributes:
        number: Its place in the list, from 1.
        headers: Its files that hold slices of one volume.
        left_out: Number of its files that do not belong to the volume: localizers, screenshots, reports.
        reason: Why it cannot be read as a CT volume, or None.
    """

    number: int
    headers: tuple[Header, ...]
    left_out: int
    reason: str | None

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
        return abs(rx * cy - ry * cx) > _AXIAL

    def describe(self) -> dict[str, Any]:
        """Return what people need to tell series apart, JSON-able."""
        header = self.headers[0]
        return {
            "number": self.number,
            "uid": self.uid,
            "modality": header.modality,
            "description": header.facts.get("series_description", ""),
            "files": len(self.headers) + self.left_out,
            "slices": len(self.frames),
            "size": [header.rows, header.columns],
            "axial": self.is_axial,
        }

    def __str__(self) -> str:
        description = self.describe()["description"]
        return (
            f"{self.number} ({self.headers[0].modality}, {len(self.headers)} files{description and ', ' + description})"
        )


def group(headers: Sequence[Header]) -> list[Series]:
    """Sort files into series, ordered by SeriesNumber and UID.

    Args:
        headers: Headers of all files.
    """
    by_uid: dict[str, list[Header]] = {}
    for header in headers:
        by_uid.setdefault(header.series_uid, []).append(header)

    def order(item: tuple[str, list[Header]]) -> tuple[float, str]:
        number = item[1][0].facts.get("series_number", "")
        return float(number) if number.lstrip("+-").isdigit() else float("inf"), item[0]

    return [_series(i, members) for i, (_, members) in enumerate(sorted(by_uid.items(), key=order), start=1)]


def _series(number: int, members: list[Header]) -> Series:
    slices = [header for header in members if not _is_stray(header)]
    kept = slices or members
    return Series(number, tuple(kept), len(members) - len(kept), _reason(kept))


def _is_stray(header: Header) -> bool:
    """Tell what scanners file beside the slices from a slice: scout, colour screenshot, no image, no place."""
    colour = header.samples != 1 or not header.photometric.startswith("MONOCHROME")
    screenshot = header.is_capture and all(frame.position is None for frame in header.frames)
    return header.is_localizer or colour or screenshot or not header.frames


def _reason(headers: list[Header]) -> str | None:
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
    kind = headers[0].facts.get("rescale_type", "HU").upper()
    return None if kind in ("HU", "US", "HU_MOD") else f"its values are {kind}, not HU"


def choose(series: Sequence[Series], wanted: str | None, where: Path) -> Series:
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
    return max(readable, key=lambda s: (s.is_axial, len(s.frames), s.headers[0].rows * s.headers[0].columns, -s.number))


def listing(series: Sequence[Series]) -> str:
    """Name series in one line.

    Args:
        series: The series to be named.
    """
    names = ", ".join(str(s) for s in series[:_LISTED])
    return names + (f" and {len(series) - _LISTED} more" if len(series) > _LISTED else "")


def why_passed_over(series: Series, chosen: Series, asked: bool) -> str:
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
