"""Volumes to be measured: folders of scans, single files and prepared stores, all in one form, read one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.errors import CtgridError
from ctgrid.progress import Progress, silent

SIZE = 512
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
    """

    name: str
    path: Path
    digest: str
    load: Callable[[], Slices]


def open_samples(
    path: Path, *, size: int | None = SIZE, slices: int | None = None, progress: Progress = silent
) -> list[Sample]:
    """List the volumes at a path without holding any of them.

    Args:
        path: a folder with volumes of any format that ctgrid reads, at any depth; one file; a DICOM series; or a
            prepared store. Records, manifests and pictures that lie there too are passed over.
        size: rows and columns S that :attr:`Sample.load` gives (padded to a square with air, then antialiased
            bicubic); None keeps a volume's own.
        slices: number of slices, linear along z; None keeps a volume's own.
        progress: told of every volume, whose content is hashed.

    Returns:
        At least one sample, sorted by name.

    Raises:
        CtgridError: where nothing is there, or no volume.
    """
    from ctgrid.data.store.store import Store, is_store

    path = Path(path)
    if not path.exists():
        raise CtgridError(f"{path} does not exist; give a folder of volumes, a file or a prepared store")
    samples = _stored(Store.open(path), size, slices, progress) if is_store(path) else []
    if not is_store(path):
        samples = _scans(path, size, slices, progress)
    if not samples:
        raise CtgridError(f"{path} holds no volume; give a folder of volumes, a file or a prepared store")
    return sorted(samples, key=lambda sample: sample.name)


def _scans(path: Path, size: int | None, slices: int | None, progress: Progress) -> list[Sample]:
    """List files and DICOM series."""
    from ctgrid.data.store.cases import find_cases, named
    from ctgrid.data.store.series import each_series
    from ctgrid.data.store.source import identity

    cases = named(case for case in each_series(find_cases([path])) if case.left_out is None)
    samples = []
    for i, case in enumerate(cases):
        progress(f"hashing {path.name}", i, len(cases))
        known = identity(case.path, None, case.series)
        digest = _digest({key: known[key] for key in ("sha256", "series", "sidecar") if key in known})
        load = partial(_load_scan, case.path, case.series, size, slices)
        samples.append(Sample(case.name, case.path, digest, load))
    return samples


def _load_scan(path: Path, series: str | None, size: int | None, slices: int | None) -> Slices:
    """Read a scan and turn it upright, as protocol ``canonical`` does."""
    from ctgrid.geometry import reorient
    from ctgrid.preprocess.canonical import DISPLAY, canonical_pass
    from ctgrid.preprocess.hu import require_ct
    from ctgrid.volume import Volume

    volume = Volume.read(path, series=series)
    require_ct(volume)
    if size is None:
        size = max(reorient(volume.hu, volume.affine, DISPLAY)[0].shape[1:])
    made = canonical_pass(volume, size=size, k=1, slices=slices)
    return Slices(made.slices, made.record.spacing_mm)


def _stored(store: Any, size: int | None, slices: int | None, progress: Progress) -> list[Sample]:
    """List the volumes of a store."""
    from ctgrid.files import sha256_of

    names, samples = store.names(), []
    for i, name in enumerate(names):
        progress(f"hashing {store.path.name}", i, len(names))
        volume = store.volume(name)
        known = {"slices": sha256_of(volume.path / _SHARD), "spacing_mm": volume.spacing_mm}
        load = partial(_load_stored, volume.path, size, slices)
        samples.append(Sample(name, volume.path, _digest(known | {"inverse": _turn(volume.record)}), load))
    return samples


def _load_stored(path: Path, size: int | None, slices: int | None) -> Slices:
    """Read a stored volume, turn it upright, and bring it to the size wanted."""
    from ctgrid.data.store.store import StoredVolume
    from ctgrid.geometry import reorient, spacing_mm
    from ctgrid.preprocess.resample import denormalise, normalise, resample_z, resize_plane

    volume = StoredVolume(path)
    hu, affine = reorient(volume.read_slices(), _stored_affine(volume), "LPS")
    n, rows, columns = hu.shape
    if rows != columns:
        raise CtgridError(f"{path} was not scanned in axial slices; the measures look at axial slices alone")
    z, y, x = spacing_mm(affine)
    size, slices = size or rows, slices or n
    if (n, rows) != (slices, size):
        unit = resample_z(resize_plane(normalise(hu), size, size), slices)
        hu = np.rint(denormalise(unit)).astype(np.int16)
    return Slices(np.ascontiguousarray(hu), (z * n / slices, y * rows / size, x * columns / size))


def _turn(record: Mapping[str, Any]) -> list[Any]:
    """Return what decides how stored slices lie in the patient."""
    inverse = record["inverse"]
    return [inverse["protocol"], record["geometry"]["orientation"], bool(inverse.get("reversed_z"))]


def _stored_affine(volume: Any) -> np.ndarray:
    """Return directions and spacing of stored slices: (4, 4), index (column, row, slice) to RAS+ mm, no origin.

    Protocol ``canonical`` stores slices in LPS. Protocol ``generatect`` transposes them (rows follow the file's
    first axis, columns its second) and may reverse their order.
    """
    from ctgrid.geometry import affine_from_lps

    z, y, x = volume.spacing_mm
    protocol, _, reversed_z = _turn(volume.record)
    if protocol == "canonical":
        return affine_from_lps((x, y, z), (0, 0, 0), tuple(np.eye(3).ravel()))
    scan = np.asarray(volume.record["geometry"]["affine"], dtype=np.float64)[:3, :3]
    unit = scan / np.linalg.norm(scan, axis=0)
    affine = np.eye(4)
    affine[:3, :3] = unit[:, [1, 0, 2]] * np.array([x, y, -z if reversed_z else z])
    return affine


def _digest(known: Mapping[str, Any]) -> str:
    return sha256(json.dumps(known, sort_keys=True, default=str).encode("utf-8")).hexdigest()
