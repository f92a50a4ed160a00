"""Read one DICOM series from a folder, a zip archive or a single file."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.errors import CtgridError
from ctgrid.files import full_suffix
from ctgrid.formats import MARK, READABLE, StoredScan
from ctgrid.formats.dicom_files import dicom_files
from ctgrid.formats.dicom_geometry import one_size, stack
from ctgrid.formats.dicom_header import Frame, Header, read_header
from ctgrid.formats.dicom_pixels import decode, syntax_name
from ctgrid.formats.dicom_series import Series, choose, group, listing, why_passed_over
from ctgrid.geometry import check_affine


def read_dicom(path: Path, series: str | None = None) -> StoredScan:
    """Read a CT series: slices ordered by position, each in HU by its own rescale tags.

    Args:
        path: A folder (searched with all its subfolders), a ``.zip``, or one DICOM file.
        series: A series' number in the list of ``ctgrid info``, its UID, or the UID's unique ending; None takes the
            CT series with most axial slices.

    Returns:
        The scan; ``details`` tells which series was taken, which were passed over and why, and what was mended.

    Raises:
        CtgridError: Nothing readable, no CT, or a series that is no evenly spaced stack of slices.
    """
    with dicom_files(path) as files:
        headers = [header for i, file in enumerate(files) if (header := read_header(file, i)) is not None]
        if not headers:
            raise CtgridError(_nothing(path))
        every = group(headers)
        chosen = choose(every, series, path)
        others = [s for s in every if s is not chosen]
        where = f"{path}, series {chosen}" if others else str(path)
        try:
            return _read(chosen, where, _record(chosen, others, series is not None))
        except CtgridError as error:
            if not others:
                raise
            raise CtgridError(f"{error} (other series: {listing(others)})") from error


def _read(chosen: Series, where: str, details: dict[str, Any]) -> StoredScan:
    headers = {header.frames[0].file: header for header in chosen.headers if header.frames}
    one_size([(header.rows, header.columns) for header in headers.values()], where)
    maps = _maps(chosen.frames, where)
    ordered = stack(chosen.frames, where)
    affine = check_affine(ordered.affine, where)
    values, dropped = _values(ordered.places, headers, where)
    details.update(ordered.facts)
    notes = []
    if dropped:
        notes.append(f"{dropped} slices were there twice, with equal pixels; one of each was kept")
    if chosen.left_out:
        notes.append(f"{chosen.left_out} files of the series were left out: localizers, screenshots or reports")
    if "gantry_tilt_deg" in ordered.facts:
        notes.append(
            f"the stack leans by {ordered.facts['gantry_tilt_deg']} degrees (gantry tilt); the affine is sheared"
        )
    if len(set(maps)) > 1:
        slopes, intercepts = ([float(v) for v in (min(m), max(m))] for m in zip(*maps, strict=True))
        details["rescale_varies"] = {"slope": slopes, "intercept": intercepts}
        notes.append("rescale slope and intercept differ between slices; each slice's own were applied")
    details |= {"duplicates_dropped": dropped, "notes": notes}
    applied = next((frame.rescale for place in ordered.places[:1] for frame in place), None)
    return StoredScan(values, affine, "dicom", details=details, applied=applied)


def _maps(frames: Sequence[Frame], where: str) -> list[tuple[float, float]]:
    """Return the rescale maps of all slices; all or none must state one."""
    maps = [frame.rescale for frame in frames if frame.rescale is not None]
    if maps and len(maps) < len(frames):
        raise CtgridError(
            f"{where}: {len(frames) - len(maps)} of {len(frames)} slices have no RescaleSlope; they are damaged"
        )
    broken = sum(not math.isfinite(value) for own in maps for value in own)
    if broken:
        raise CtgridError(
            f"{where}: {broken} times RescaleSlope or RescaleIntercept is missing or no number; the header is damaged"
        )
    if any(slope == 0 for slope, _ in maps):
        raise CtgridError(f"{where}: RescaleSlope is 0, so no HU can be had; the header is damaged")
    return maps


def _values(places: list[list[Frame]], headers: dict[int, Header], where: str) -> tuple[np.ndarray, int]:
    """Decode slice by slice into one array; of several at one position, all must hold the same."""
    first = headers[places[0][0].file]
    out = np.empty((len(places), first.rows, first.columns), np.int16)
    dropped = 0
    with tempfile.TemporaryDirectory(prefix="ctgrid-") as scratch:
        files = _Decoded(headers, where, Path(scratch))
        for k, place in enumerate(places):
            plane = files.plane(place[0])
            for other in place[1:]:
                if not np.array_equal(plane, files.plane(other)):
                    names = " and ".join(headers[frame.file].file.name for frame in (place[0], other))
                    raise CtgridError(
                        f"{where}: two different slices lie at the same position {_position(other)}: {names}; "
                        f"it holds several acquisitions or reconstructions, split it"
                    )
                dropped += 1
            out = out.astype(_common(out.dtype, plane.dtype), copy=False)
            out[k] = plane
    return out, dropped


class _Decoded:
    """Slices by file; a multi-frame file is decoded once."""

    def __init__(self, headers: dict[int, Header], where: str, scratch: Path) -> None:
        self._headers, self._where, self._scratch = headers, where, scratch
        self._last: tuple[int, np.ndarray] | None = None

    def plane(self, frame: Frame) -> np.ndarray:
        if self._last is None or self._last[0] != frame.file:
            self._last = frame.file, decode(self._headers[frame.file], self._where, self._scratch)
        return self._last[1][frame.number]


def _common(one: np.dtype[Any], two: np.dtype[Any]) -> np.dtype[Any]:
    if one == two:
        return one
    return np.dtype(np.float32) if "f" in (one.kind, two.kind) else np.dtype(np.int32)


def _position(frame: Frame) -> str:
    return "(" + ", ".join(f"{value:.1f}" for value in frame.position or ()) + ") mm"


def _record(chosen: Series, others: list[Series], asked: bool) -> dict[str, Any]:
    """Return what a record says about the series, nothing of the patient."""
    header = chosen.headers[0]
    description = chosen.describe()
    details: dict[str, Any] = {
        "files": len(chosen.headers),
        "series_in_folder": len(others) + 1,
        "series": chosen.number,
        "series_uid": chosen.uid,
        "modality": header.modality,
        "image_type": list(header.image_type),
        "transfer_syntax": syntax_name(header.syntax),
        "slice_thickness_mm": header.frames[0].thickness if header.frames else None,
        **header.facts,
        "series_list": [description | {"chosen": True}],
    }
    for other in others:
        details["series_list"].append(
            other.describe() | {"chosen": False, "reason": why_passed_over(other, chosen, asked)}
        )
    details["series_list"].sort(key=lambda item: item["number"])
    if MARK in header.facts.get("series_description", ""):
        details["written_by_ctgrid"] = True
    return details


def _nothing(path: Path) -> str:
    if path.is_dir():
        images = sum(full_suffix(p) in READABLE for p in path.iterdir() if p.is_file())
        hint = f", but {images} files of other formats; give one of them" if images else ""
        return f"{path} holds no DICOM files (subfolders were searched){hint}"
    return f"{path} holds no DICOM files" if path.suffix.lower() == ".zip" else f"{path} is not a readable DICOM file"
