"""Volumes to be measured: folders of scans, single files and prepared stores, all in one form, read one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.runs.evaluation.lost import Lost, said_of

if TYPE_CHECKING:
    from ctgrid.scan.hu.metadata import MetadataTable

SIZE = 512
Frame = Literal["own", "generatect"]
"""How a scan is brought to slices: with its own field of view and slices, or by protocol ``generatect`` to 201."""

_SHARD = "slices/c/0/0/0"  # the one file that holds a stored volume's slices


@dataclass(frozen=True, eq=False)
class Slices:
    """The axial slices of one volume.

    Attributes:
        hu: (n, S, S) int16 within [-1000, 1000] HU, feet to head; rows go to the patient's back, columns to the
            patient's left (LPS).
        spacing_mm: (z, y, x), between slices, rows and columns.
    """

    hu: np.ndarray
    spacing_mm: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Sample:
    """One volume, not read yet.

    Attributes:
        name: unique among the samples it was opened with.
        path: the file or folder it lies in.
        digest: SHA-256 of its content, wherever it lies and whatever it is called.
        load: reads it anew at every call; raises :class:`CtgridError` where it is damaged or no CT.
        frame: what :attr:`load` brings it to: a :data:`Frame`, or with the field of view that it is cut out in.
        field_mm: longer side of its slices, where a header tells without reading them; None elsewhere.
    """

    name: str
    path: Path
    digest: str
    load: Callable[[], Slices]
    frame: str = "own"
    field_mm: float | None = None


def open_samples(
    path: Path,
    *,
    size: int | None = SIZE,
    slices: int | None = None,
    frame: Frame = "own",
    field_mm: float | None = None,
    left_out: list[str] | None = None,
    lost: Lost | None = None,
    metadata: MetadataTable | None = None,
    progress: Progress = silent,
) -> list[Sample]:
    """List the volumes at a path without holding any of them.

    Args:
        path: a folder with volumes of any format that ctgrid reads, at any depth; one file; a DICOM series; or a
            prepared store. Records, manifests and pictures that lie there too are passed over.
        size: rows and columns S that :attr:`Sample.load` gives (padded to a square with air, then antialiased
            bicubic); None keeps a volume's own.
        slices: number of slices, linear along z; None keeps a volume's own.
        frame: ``generatect`` brings scans to that protocol's 201 slices first, resized as they are, without padding;
            a store must have been made by it.
        field_mm: cuts a square of so many mm out around the body, of ``size`` pixels a side (512 where that is None).
        left_out: gets a line for every scan that the frame's protocol leaves out, and every DICOM series that is no CT.
        lost: notes what cannot be read; None raises instead.
        metadata: the collection's table, for scans that hold stored values.
        progress: told of every volume, whose content is hashed.

    Returns:
        At least one sample, sorted by name.

    Raises:
        CtgridError: where nothing is there, no volume, or a store of another frame.
    """
    from ctgrid.data.store.store import Store, is_store

    path, lost = Path(path), lost or Lost(strict=True)
    if field_mm is not None:
        samples = open_samples(
            path,
            size=None,
            slices=slices,
            frame=frame,
            left_out=left_out,
            lost=lost,
            metadata=metadata,
            progress=progress,
        )
        return [_cut_out(sample, field_mm, size or SIZE) for sample in samples]
    if not path.exists():
        raise CtgridError(f"{path} does not exist; give a folder of volumes, a file or a prepared store")
    if is_store(path):
        store = Store.open(path)
        if frame not in ("own", store.settings.protocol):
            raise CtgridError(
                f"{path} was made by protocol {store.settings.protocol} and cannot be brought to the frame of "
                f"{frame}; give the scans themselves, or prepare them with --protocol {frame}"
            )
        samples = _stored(store, size, slices, lost, progress)
    else:
        left_out = [] if left_out is None else left_out
        samples = _scans(path, size, slices, frame, left_out, lost, metadata, progress)
        if not samples and left_out and not lost.lines:
            by = "" if frame == "own" else f"protocol {frame} leaves out every volume here; "
            raise CtgridError(f"{path}: {by}{left_out[0]}")
    if not samples and lost.lines:
        raise CtgridError(f"{path}: no volume here can be read; {lost.lines[0]}")
    if not samples:
        raise CtgridError(f"{path} holds no volume; give a folder of volumes, a file or a prepared store")
    return sorted(samples, key=lambda sample: sample.name)


def _scans(
    path: Path,
    size: int | None,
    slices: int | None,
    frame: Frame,
    left_out: list[str],
    lost: Lost,
    table: MetadataTable | None,
    progress: Progress,
) -> list[Sample]:
    """List files and DICOM series, but for those that the frame leaves out."""
    from ctgrid.scan.cases import find_cases, named
    from ctgrid.scan.series import each_series
    from ctgrid.scan.source import identity

    every = list(each_series(find_cases([path])))
    passed_over = [case for case in every if case.left_out is not None]
    left_out += [said_of(one.path, f"{one.path}, series {one.number}: {one.left_out}") for one in passed_over]
    cases = named(case for case in every if case.left_out is None)
    samples = []
    for i, case in enumerate(cases):
        progress(f"hashing {path.name}", i, len(cases))
        try:
            reason = None if frame == "own" else _outside(case.path, case.series)
            own = table.subset([case.path]) if table is not None else None
            known = {} if reason is not None else identity(case.path, own, case.series)
        except (CtgridError, OSError) as error:
            lost.note(case.path, error)
            continue
        if reason is not None:
            left_out.append(said_of(case.path, reason))
            continue
        digest = _digest({key: known[key] for key in ("sha256", "series", "sidecar", "metadata") if key in known})
        load = partial(_load_scan if frame == "own" else _load_framed, case.path, case.series, size, slices, own)
        samples.append(Sample(case.name, case.path, digest, load, frame, _field_of(case.path)))
    return samples


def _load_scan(
    path: Path, series: str | None, size: int | None, slices: int | None, table: MetadataTable | None
) -> Slices:
    """Read a scan and turn it upright, as protocol ``canonical`` does."""
    from ctgrid.scan.ct import require_ct
    from ctgrid.scan.geometry import reorient
    from ctgrid.scan.protocols.canonical import DISPLAY, canonical_pass
    from ctgrid.scan.volume import Volume

    volume = Volume.read(path, metadata=table, series=series)
    require_ct(volume)
    if size is None:
        size = max(reorient(volume.hu, volume.affine, DISPLAY)[0].shape[1:])
    made = canonical_pass(volume, size=size, k=1, slices=slices)
    return Slices(made.slices, made.record.spacing_mm)


def _cut_out(sample: Sample, field_mm: float, size: int) -> Sample:
    """Return the sample in a square of ``field_mm`` around the body."""
    from ctgrid.runs.evaluation.ct.square import square

    def load() -> Slices:
        whole = sample.load()
        pixel = field_mm / size
        return Slices(square(whole.hu, whole.spacing_mm, field_mm, size), (whole.spacing_mm[0], pixel, pixel))

    return replace(sample, load=load, frame=f"{sample.frame}, {field_mm:g} mm", field_mm=field_mm)


def _stored(store: Any, size: int | None, slices: int | None, lost: Lost, progress: Progress) -> list[Sample]:
    """List the volumes of a store."""
    from ctgrid.base.files import sha256_of

    names, samples = store.names(), []
    for i, name in enumerate(names):
        progress(f"hashing {store.path.name}", i, len(names))
        try:
            volume = store.volume(name)
            known = {"slices": sha256_of(volume.path / _SHARD), "spacing_mm": volume.spacing_mm}
            digest = _digest(known | {"inverse": _turn(volume.record)})
        except (CtgridError, OSError) as error:
            lost.note(store.path / name, error)
            continue
        field_mm = max(count * spacing for count, spacing in zip(volume.shape[1:], volume.spacing_mm[1:], strict=True))
        load = partial(_load_stored, volume.path, size, slices)
        samples.append(Sample(name, volume.path, digest, load, field_mm=field_mm))
    return samples


def _field_of(path: Path) -> float | None:
    """Return the field of view of a NIfTI file by its header; what is wrong with one is said where it is read."""
    from ctgrid.scan.formats.nifti.read import field_in

    try:
        return field_in(path) if _header_tells(path) else None
    except (CtgridError, OSError):
        return None


def _header_tells(path: Path) -> bool:
    """Tell whether a file says what it holds in front of its voxels."""
    from ctgrid.base.files import full_suffix
    from ctgrid.scan.formats.kinds import NIFTI_SUFFIXES

    return path.is_file() and full_suffix(path) in NIFTI_SUFFIXES


def _outside(path: Path, series: str | None) -> str | None:
    """Say why protocol ``generatect`` leaves a scan out; None where it does not. NIfTI is asked by its header."""
    from ctgrid.scan.formats.nifti.read import slices_in
    from ctgrid.scan.formats.open import read_stored
    from ctgrid.scan.protocols.generatect import why_outside

    return why_outside(path, slices_in(path) if _header_tells(path) else len(read_stored(path, series).values))


def _load_framed(
    path: Path, series: str | None, size: int | None, slices: int | None, table: MetadataTable | None
) -> Slices:
    """Read a scan as GenerateCT's loader does, and turn it upright."""
    from ctgrid.scan.formats.open import read_stored
    from ctgrid.scan.protocols.generatect import generatect_pass
    from ctgrid.scan.protocols.protocols import orientation_of

    scan = read_stored(path, series)
    made = generatect_pass(path, size or max(scan.values.shape[1:]), k=1, metadata=table, scan=scan)
    return _brought(path, made.slices, orientation_of(made.record.to_json()), made.record.spacing_mm, size, slices)


def _load_stored(path: Path, size: int | None, slices: int | None) -> Slices:
    """Read a stored volume, turn it upright, and bring it to the size wanted."""
    from ctgrid.data.store.store import StoredVolume

    volume = StoredVolume(path)
    return _brought(path, volume.read_slices(), volume.orientation, volume.spacing_mm, size, slices)


def _brought(
    path: Path,
    slices_hu: np.ndarray,
    orientation: str,
    spacing_mm: tuple[float, float, float],
    size: int | None,
    slices: int | None,
) -> Slices:
    """Turn a protocol's slices upright and bring them to the size wanted."""
    from ctgrid.scan.protocols.oriented import upright
    from ctgrid.scan.protocols.resample import denormalise, normalise, resample_z, resize_plane

    hu, (z, y, x) = upright(slices_hu, orientation, spacing_mm)
    n, rows, columns = hu.shape
    if rows != columns:
        raise CtgridError(f"{path} was not scanned in axial slices; the measures look at axial slices alone")
    size, slices = size or rows, slices or n
    if (n, rows) != (slices, size):
        unit = resample_z(resize_plane(normalise(hu), size, size), slices)
        hu = np.rint(denormalise(unit)).astype(np.int16)
    return Slices(hu, (z * n / slices, y * rows / size, x * columns / size))


def _turn(record: Mapping[str, Any]) -> list[Any]:
    """Return what decides how stored slices lie in the patient."""
    inverse = record["inverse"]
    return [inverse["protocol"], record["geometry"]["orientation"], bool(inverse.get("reversed_z"))]


def _digest(known: Mapping[str, Any]) -> str:
    return sha256(json.dumps(known, sort_keys=True, default=str).encode("utf-8")).hexdigest()
