"""Find out which linear map turns stored values into HU, and record how it was found.

CT-RATE files come raw (stored values that need the slope and intercept of a sidecar) or fixed (HU already,
with the same sidecar beside them). Rescaling twice, or not at all, is the field's known bug. A *reading* is
one candidate map; the evidence for it is where air and soft tissue land. Exactly one map is applied, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.errors import CtgridError
from ctgrid.preprocess.sidecar import read_sidecar, sidecar_path

if TYPE_CHECKING:
    from ctgrid.formats import StoredScan
    from ctgrid.volume import Volume

AIR_HU = (-1100.0, -800.0)
SOFT_TISSUE_HU = (-300.0, 300.0)
DENSE_HU = 600.0
LEAST_AIR = 0.02  # share of all voxels; ten real chest scans: 0.31 to 0.86, noise of 400 HU leaves a quarter
MOST_DENSE = 0.1  # the same scans: at most 0.01; with noise of 400 HU 0.04
LEAST_SUPPORT = 0.02
CLEAR_LEAD = 4.0
HU_MODES = ("auto", "stored", "header", "sidecar")


@dataclass(frozen=True)
class Reading:
    """One candidate: HU = slope * stored + intercept.

    Attributes:
        source: "stored", "header" or "sidecar".
        slope: HU per stored unit.
        intercept: HU at stored value 0.
    """

    source: str
    slope: float
    intercept: float

    def record(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return {"source": self.source, "slope": self.slope, "intercept": self.intercept}


def readings_of(scan: StoredScan, path: Path) -> list[Reading]:
    """List the candidate maps of a scan; the first is what the file itself states.

    Args:
        scan: Stored values and the header's own map.
        path: Where the scan was read.
    """
    own = "stored" if (scan.slope, scan.intercept) == (1.0, 0.0) else "header"
    readings = [Reading(own, scan.slope, scan.intercept)]
    sidecar = read_sidecar(path) if scan.format == "nifti" else None
    if sidecar is not None:
        readings.append(Reading("sidecar", sidecar["RescaleSlope"], sidecar["RescaleIntercept"]))
    return readings


def support(values: np.ndarray, reading: Reading) -> float:
    """Return how well a reading puts air near -1000 HU and soft tissue near 0 HU, from 0 to 0.5.

    The measure is the smaller of the two shares of voxels. A scan read some 1000 HU too low has its soft
    tissue where air should be, but then next to nothing where soft tissue should be. One read too high may
    have padding for air and air for soft tissue, but then its soft tissue is as dense as bone: that is 0.

    Args:
        values: Stored values, any shape; a sample is enough.
        reading: The map to be judged.
    """
    hu = values.astype(np.float32) * reading.slope + reading.intercept
    if np.mean(hu > DENSE_HU) > MOST_DENSE:
        return 0.0
    air = np.mean((hu >= AIR_HU[0]) & (hu <= AIR_HU[1]))
    soft = np.mean((hu >= SOFT_TISSUE_HU[0]) & (hu <= SOFT_TISSUE_HU[1]))
    return float(min(air, soft))


def resolve_hu(scan: StoredScan, path: Path, mode: str = "auto") -> tuple[np.ndarray, dict[str, Any]]:
    """Choose a reading and apply it.

    Args:
        scan: Stored values and the header's own map.
        path: Where the scan was read.
        mode: "auto", or the reading to be used.

    Returns:
        HU (z, y, x) as int16 or float32, and the record of the decision.

    Raises:
        CtgridError: Unknown mode, a reading that the scan does not have, or two readings of like evidence.
    """
    if mode not in HU_MODES:
        raise CtgridError(f"hu={mode!r} is unknown; choose one of {', '.join(HU_MODES)}")
    if mode == "stored":
        reading = Reading("stored", 1.0, 0.0)
    elif mode == "header":
        reading = Reading("header", scan.slope, scan.intercept)
    else:
        readings = readings_of(scan, path)
        if mode == "sidecar" and len(readings) == 1:
            raise CtgridError(f"{path} has no sidecar {sidecar_path(path).name}; use hu='auto'")
        reading = readings[-1] if mode == "sidecar" else _by_evidence(scan.values, readings, path)
    return apply_reading(scan.values, reading), {**reading.record(), "mode": mode}


def decisive(sample: np.ndarray, readings: Sequence[Reading]) -> Reading | None:
    """Return the reading that the evidence favours beyond doubt, or None.

    Beyond doubt: at least 2 % of the voxels on both sides, and four times the support of any other reading.

    Args:
        sample: Stored values, any shape.
        readings: The candidates, at least two.
    """
    ranked = sorted(((support(sample, reading), reading) for reading in readings), key=lambda pair: -pair[0])
    (best, reading), (second, _) = ranked[:2]
    return reading if best >= LEAST_SUPPORT and best >= CLEAR_LEAD * second else None


def _by_evidence(values: np.ndarray, readings: list[Reading], path: Path) -> Reading:
    own = readings[0]
    others = [r for r in readings[1:] if (r.slope, r.intercept) != (own.slope, own.intercept)]
    if not others:
        return own
    reading = decisive(evidence_sample(values), [own, *others])
    if reading is None:
        texts = " or ".join(f"{r.source} (slope {r.slope:g}, intercept {r.intercept:g})" for r in (own, *others))
        raise CtgridError(
            f"{path}: cannot tell how to get HU, by {texts}: air and soft tissue fit neither or both; "
            f"choose with hu='{own.source}' or hu='{others[0].source}'"
        )
    return reading


def evidence_sample(values: np.ndarray) -> np.ndarray:
    """Thin a volume to about a million voxels, evenly.

    Args:
        values: (z, y, x).
    """
    step = max(1, round((values.size / 1e6) ** (1 / 3)))
    return values[::step, ::step, ::step]


def apply_reading(values: np.ndarray, reading: Reading) -> np.ndarray:
    """Map stored values to HU: int16 where that is exact, else float32.

    Args:
        values: (z, y, x) as stored.
        reading: The map.
    """
    identity = (reading.slope, reading.intercept) == (1.0, 0.0)
    exact = values.dtype.kind in "iu" and reading.slope.is_integer() and reading.intercept.is_integer()
    if exact:
        slope, intercept = int(reading.slope), int(reading.intercept)
        ends = [int(v) * slope + intercept for v in (values.min(), values.max())]
        exact = min(ends) >= -32768 and max(ends) <= 32767
    dtype = np.dtype(np.int16 if exact else np.float32)
    if identity:
        return values.astype(dtype, copy=False)
    out = np.empty(values.shape, dtype)
    for target, source in zip(out, values, strict=True):  # slice by slice: no wide copy of the whole
        if exact:
            target[...] = source.astype(np.int64) * slope + intercept
        else:
            target[...] = source * reading.slope + reading.intercept
    return out


def require_ct(volume: Volume, min_slices: int = 2) -> None:
    """Refuse what a CT model cannot take: too few slices, or no air near -1000 HU.

    Args:
        volume: The volume to be checked, in HU.
        min_slices: The fewest slices along z.

    Raises:
        CtgridError: The volume is too thin, or its values are not those of a CT.
    """
    name = volume.record.get("source", "volume")
    if volume.shape[0] < min_slices:
        raise CtgridError(f"{name} has {volume.shape[0]} slice(s) of {min_slices} needed; give a whole volume")
    sample = evidence_sample(volume.hu)
    air = float(np.mean((sample >= AIR_HU[0]) & (sample <= AIR_HU[1])))
    if air < LEAST_AIR:
        low, high = np.percentile(sample, [1, 99])
        raise CtgridError(
            f"{name} has no air near -1000 HU (values run from {low:g} to {high:g}); "
            f"it is not a CT in HU: MR, or stored values that still need their slope and intercept"
        )
