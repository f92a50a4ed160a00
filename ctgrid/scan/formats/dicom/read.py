"""Read one DICOM series from a folder, a zip archive or a single file."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import full_suffix
from ctgrid.base.limits import check_bytes
from ctgrid.base.remains import scratch
from ctgrid.scan.formats.dicom.encoded import syntax_name
from ctgrid.scan.formats.dicom.facts import common_facts, note_of, one_position
from ctgrid.scan.formats.dicom.files import DicomFile, dicom_files
from ctgrid.scan.formats.dicom.geometry import one_size, stack
from ctgrid.scan.formats.dicom.header import Frame, Header, read_headers
from ctgrid.scan.formats.dicom.padding import PADDED_HU
from ctgrid.scan.formats.dicom.passes import zipped
from ctgrid.scan.formats.dicom.pixels import Decoded, decode
from ctgrid.scan.formats.dicom.series import DicomSeries, choose, group, listing, why_passed_over
from ctgrid.scan.formats.stored import MARK, StoredScan
from ctgrid.scan.geometry import check_affine

_PROJECTIONS = frozenset({"MIP", "MINIP"})


def read_dicom(path: Path, series: str | None = None, others: Collection[str] = ()) -> StoredScan:
    """Read a CT series: slices ordered by position, each in HU by its own rescale tags.

    Args:
        path: A folder (searched with all its subfolders), a ``.zip``, or one DICOM file.
        series: A series' number in the list of ``ctgrid info``, its UID, or the UID's unique ending; None takes the
            CT series with most axial slices.
        others: Suffixes of other formats, to be named where a folder holds only such.

    Returns:
        The scan; ``details`` tells which series was taken, which were passed over and why, and what was mended.

    Raises:
        CtgridError: Nothing readable, no CT, or a series that is no evenly spaced stack of slices.
    """
    with dicom_files(path) as files:
        headers = read_headers(files)
        if not headers.whole and headers.damaged:
            raise CtgridError(_unreadable(headers.damaged, str(path)))
        if not headers.whole:
            raise CtgridError(_nothing(path, others))
        every = group(headers.whole)
        chosen = choose(every, series, path)
        rest = [s for s in every if s is not chosen]
        where = f"{path}, series {chosen}" if rest else str(path)
        try:
            elsewhere = _check_damaged(headers.damaged, chosen, where)
            return _read(chosen, where, _record(chosen, rest, series is not None), elsewhere)
        except CtgridError as error:
            if not rest:
                raise
            raise CtgridError(f"{error} (other series: {listing(rest)})") from error


def _check_damaged(damaged: Sequence[DicomFile], chosen: DicomSeries, where: str) -> int:
    """Refuse damaged files beside the series' own, which may be slices of it; return how many lie elsewhere."""
    folders = {header.file.folder for header in chosen.headers}
    beside = [file for file in damaged if file.folder in folders]
    if beside:
        raise CtgridError(_unreadable(beside, where))
    return len(damaged)


def _unreadable(files: Sequence[DicomFile], where: str) -> str:
    names = ", ".join(file.name for file in files[:3]) + (" ..." if len(files) > 3 else "")
    return (
        f"{where}: {names} cannot be read: damaged, or it ends before its pixels, perhaps a slice; "
        f"fetch it again, or take it out of the folder if it is none"
    )


def _read(chosen: DicomSeries, where: str, details: dict[str, Any], damaged: int) -> StoredScan:
    headers = {header.frames[0].file: header for header in chosen.headers if header.frames}
    one_size([(header.rows, header.columns) for header in chosen.headers if header.frames], where)
    ordered = stack(chosen.frames, where)
    maps = _maps(chosen.frames, where)
    affine = check_affine(ordered.affine, where)
    facts, vary = common_facts(chosen.headers)
    one_position(vary, where)
    values, told = _values(ordered.places, headers, where)
    details |= {**facts, **ordered.facts, "duplicates_dropped": told.dropped}
    if told.padded:
        details["padding_set_to_air"] = {"voxels": told.padded, "hu": PADDED_HU}
    if vary:
        details["varies"] = vary
    if len(set(maps)) > 1:
        slopes, intercepts = ([float(v) for v in (min(m), max(m))] for m in zip(*maps, strict=True))
        details["rescale_varies"] = {"slope": slopes, "intercept": intercepts}
    details["notes"] = _notes(chosen, details, told, values.size)
    warnings = _warnings(chosen, told, values)
    if damaged:
        warnings.append(f"{damaged} DICOM files in other folders cannot be read, cut short or damaged")
    if warnings:
        details["warnings"] = warnings
    applied = next((frame.meaning.rescale for place in ordered.places[:1] for frame in place), None)
    return StoredScan(values, affine, "dicom", details=details, applied=applied)


def _notes(chosen: DicomSeries, details: dict[str, Any], told: _Told, voxels: int) -> list[str]:
    """Say what was mended or left out, and what is not the same throughout."""
    notes = []
    if told.dropped:
        notes.append(f"{told.dropped} slices were there twice, with equal pixels; one of each was kept")
    if chosen.left_out:
        notes.append(f"{chosen.left_out} files of the series were left out: localizers, screenshots or reports")
    if "gantry_tilt_deg" in details:
        notes.append(f"the stack leans by {details['gantry_tilt_deg']} degrees (gantry tilt); the affine is sheared")
    if "rescale_varies" in details:
        notes.append("rescale slope and intercept differ between slices; each slice's own were applied")
    if told.padded:
        share = f"{told.padded} voxels ({100 * told.padded / voxels:.2g} %)"
        notes.append(f"{share} of PixelPaddingValue were above air and were set to {PADDED_HU} HU")
    meant = Counter(frame.meaning.note for frame in chosen.frames if frame.meaning.note is not None)
    notes += [f"{note} ({n} of {len(chosen.frames)} slices)" for note, n in meant.items()]
    differs = note_of(details.get("varies", {}))
    return notes if differs is None else [*notes, differs]


def _warnings(chosen: DicomSeries, told: _Told, values: np.ndarray) -> list[str]:
    """Say what was decided on weak evidence."""
    warnings = []
    if chosen.odd:
        warnings.append(
            f"{len(chosen.odd)} files of the series were left out: they lie across the stack or have no place in it, "
            f"as scouts and dose sheets do"
        )
    if zipped(chosen.headers):
        warnings.append("instance numbers run through the stack more than once: it may be two passes in one")
    projections = sum(not _PROJECTIONS.isdisjoint(re.split("[ _]", "_".join(h.image_type))) for h in chosen.headers)
    if projections:
        warnings.append(
            f"ImageType of {projections} of {len(chosen.headers)} files says projection: values are extremes over slabs"
        )
    warnings += [f"{remark} ({n} of {len(chosen.frames)} slices)" for remark, n in told.remarks.items()]
    if values.dtype == np.int32:
        warnings.append(f"values reach {int(values.max())} HU, which no tissue has: undeclared padding?")
    return warnings


def _maps(frames: Sequence[Frame], where: str) -> list[tuple[float, float]]:
    """Return the rescale maps of all slices; all or none must state one."""
    maps = [frame.meaning.rescale for frame in frames if frame.meaning.rescale is not None]
    if maps and len(maps) < len(frames):
        raise CtgridError(
            f"{where}: {len(frames) - len(maps)} of {len(frames)} slices have no RescaleSlope; they are damaged"
        )
    tables = sum(frame.meaning.table for frame in frames)
    if 0 < tables < len(frames):
        raise CtgridError(f"{where}: {tables} of {len(frames)} slices have a ModalityLUTSequence, the others none")
    broken = sum(not math.isfinite(value) for own in maps for value in own)
    if broken:
        raise CtgridError(
            f"{where}: {broken} times RescaleSlope or RescaleIntercept is missing or no number; the header is damaged"
        )
    if any(slope == 0 for slope, _ in maps):
        raise CtgridError(f"{where}: RescaleSlope is 0, so no HU can be had; the header is damaged")
    return maps


@dataclass
class _Told:
    """What decoding had to say of the slices that were kept."""

    dropped: int = 0
    padded: int = 0
    remarks: Counter[str] = field(default_factory=Counter)


def _values(places: list[list[Frame]], headers: dict[int, Header], where: str) -> tuple[np.ndarray, _Told]:
    """Decode slice by slice into one array; of several at one position, all must hold the same."""
    first = headers[places[0][0].file]
    check_bytes(2 * len(places) * first.rows * first.columns, f"{where}: its {len(places)} slices make")
    out = np.empty((len(places), first.rows, first.columns), np.int16)
    told = _Told()
    with scratch() as folder:
        files = _Files(headers, where, folder)
        for k, place in enumerate(places):
            decoded = files.slice(place[0])
            plane = decoded.hu
            told.padded += decoded.padded
            told.remarks.update(decoded.remarks)
            for other in place[1:]:
                if not np.array_equal(plane, files.slice(other).hu):
                    names = " and ".join(headers[frame.file].file.name for frame in (place[0], other))
                    raise CtgridError(
                        f"{where}: two different slices lie at the same position {_position(other)}: {names}; "
                        f"it holds several acquisitions or reconstructions, split it"
                    )
                told.dropped += 1
            out = out.astype(_common(out.dtype, plane.dtype), copy=False)
            out[k] = plane
    return out, told


class _Files:
    """Slices by file; a multi-frame file is decoded once."""

    def __init__(self, headers: dict[int, Header], where: str, scratch: Path) -> None:
        self._headers, self._where, self._scratch = headers, where, scratch
        self._last: tuple[int, dict[int, Decoded]] | None = None

    def slice(self, frame: Frame) -> Decoded:
        if self._last is None or self._last[0] != frame.file:
            self._last = frame.file, decode(self._headers[frame.file], self._where, self._scratch)
        return self._last[1][frame.number]


def _common(one: np.dtype[Any], two: np.dtype[Any]) -> np.dtype[Any]:
    if one == two:
        return one
    return np.dtype(np.float32) if "f" in (one.kind, two.kind) else np.dtype(np.int32)


def _position(frame: Frame) -> str:
    return "(" + ", ".join(f"{value:.1f}" for value in frame.position or ()) + ") mm"


def _record(chosen: DicomSeries, others: list[DicomSeries], asked: bool) -> dict[str, Any]:
    """Return what a record says about the series, nothing of the patient."""
    header = chosen.headers[0]
    details: dict[str, Any] = {
        "files": len(chosen.headers),
        "series_in_folder": len(others) + 1,
        "series": chosen.number,
        "series_uid": chosen.uid,
        "modality": header.modality,
        "transfer_syntax": " | ".join(dict.fromkeys(syntax_name(header.syntax) for header in chosen.headers)),
        "series_list": [chosen.describe() | {"chosen": True}],
    }
    for other in others:
        details["series_list"].append(
            other.describe() | {"chosen": False, "reason": why_passed_over(other, chosen, asked)}
        )
    details["series_list"].sort(key=lambda item: item["number"])
    if MARK in header.facts.get("series_description", ""):
        details["written_by_ctgrid"] = True
    return details


def _nothing(path: Path, others: Collection[str]) -> str:
    if path.is_dir():
        images = sum(full_suffix(p) in others for p in path.iterdir() if p.is_file())
        hint = f", but {images} files of other formats; give one of them" if images else ""
        return f"{path} holds no DICOM files (subfolders were searched){hint}"
    return f"{path} holds no DICOM files" if path.suffix.lower() == ".zip" else f"{path} is not a readable DICOM file"
