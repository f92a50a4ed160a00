"""Say what a scan is, without changing anything: what ``ctgrid info`` prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.scan.formats.open import read_stored
from ctgrid.scan.formats.stored import StoredScan
from ctgrid.scan.geometry import axis_codes, is_sheared, spacing_mm

if TYPE_CHECKING:
    from ctgrid.scan.hu.metadata import MetadataTable

_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)


def describe_scan(path: Path, metadata: MetadataTable | None = None, series: str | None = None) -> dict[str, Any]:
    """Describe a scan: grid, geometry, how its HU are found, and its values.

    Args:
        path: Anything that :func:`ctgrid.scan.formats.open.read_stored` reads.
        metadata: A table with slope and intercept of many scans.
        series: Which DICOM series.

    Returns:
        JSON-able. ``hu.source`` is None, and ``hu.problem`` says why, where the HU cannot be told; values are then
        those stored.

    Raises:
        CtgridError: The scan cannot be read.
    """
    from ctgrid.scan.hu.doubts import doubts
    from ctgrid.scan.hu.spacing import audit_scan

    scan = read_stored(path, series)
    hu, values = _hu(scan, path, metadata)
    try:
        affine, differing = audit_scan(scan, path, metadata)
        told = []
    except CtgridError as error:  # of a row that cannot be read, as of HU that cannot be told: shown all the same
        affine, differing, told = scan.affine, None, [str(error)]
    spacing = spacing_mm(affine)
    warnings = [*doubts(scan, path, affine, hu if hu["source"] else {}, differing, metadata), *told]
    return {
        "path": str(path),
        "format": scan.format,
        "shape": list(scan.values.shape),
        "spacing_mm": [round(mm, 6) for mm in spacing],
        "orientation": axis_codes(affine),
        "hu": hu,
        "dtype": str(scan.values.dtype),
        "affine": affine.tolist(),
        "sheared": is_sheared(affine),
        "slices": scan.values.shape[0],
        "field_of_view_mm": [round(n * mm, 3) for n, mm in zip(scan.values.shape, spacing, strict=True)],
        "values": summary(values) | {"unit": "HU" if hu["source"] else "stored"},
        "spacing": differing,
        "warnings": warnings,
        "details": {key: value for key, value in scan.details.items() if key != "warnings"},
    }


def _hu(scan: StoredScan, path: Path, metadata: MetadataTable | None) -> tuple[dict[str, Any], np.ndarray]:
    from ctgrid.scan.hu.decide import resolve_hu

    try:
        values, hu = resolve_hu(scan, path, "auto", metadata)
    except CtgridError as error:
        return {"source": None, "slope": None, "intercept": None, "problem": str(error)}, scan.values
    return hu, values


def summary(values: np.ndarray) -> dict[str, Any]:
    """Return range and mean of all finite values, and percentiles of an even sample of about a million.

    Args:
        values: (z, y, x).
    """
    odd = 0
    low, high, total, count = np.inf, -np.inf, 0.0, 0
    for plane in values:  # slice by slice: no wide copy of the whole
        finite = plane[np.isfinite(plane)] if plane.dtype.kind == "f" else plane
        odd += plane.size - finite.size
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
            total, count = total + float(finite.sum(dtype=np.float64)), count + finite.size
    step = max(1, round((values.size / 1e6) ** (1 / 3)))
    sample = values[::step, ::step, ::step].astype(np.float64).ravel()
    sample = sample[np.isfinite(sample)]
    marks = np.percentile(sample, _PERCENTILES).tolist() if sample.size else []
    return {
        "min": low if count else None,
        "max": high if count else None,
        "mean": round(total / count, 4) if count else None,
        "percentiles": {str(p): round(v, 4) for p, v in zip(_PERCENTILES, marks, strict=False)},
        "not_finite": odd,
    }
