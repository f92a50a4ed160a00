"""Order the slices of a series by position and find their common affine, or say why there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.scan.formats.dicom.header import Frame
from ctgrid.scan.geometry import affine_from_columns_lps

SAME_POSITION_MM = 0.01
MOST_UNEVEN = 0.1  # of a step: positions written with one decimal stay below it at a spacing of 0.6 mm
GAP_FIT = 0.2  # a gap is a whole number of steps, to this share of one
SAME_DIRECTION = 2e-4  # between direction cosines: 0.07 mm over a field of view of 350 mm
NOT_SQUARE = 1e-3
STRAIGHT_MM = 0.01  # sideways offset over the whole stack that is rounding, not tilt
STEEPEST_DEG = 45.0


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices in order.

    Attributes:
        places: For each position, in the order of the slice normal, the frames found there.
        affine: (4, 4) voxel (x, y, z) to RAS+ mm.
        facts: What belongs into the record: tilt, unevenness.
    """

    places: list[list[Frame]]
    affine: np.ndarray
    facts: dict[str, Any] = field(default_factory=dict)


def stack(frames: Sequence[Frame], where: str) -> Stack:
    """Order slices along their normal and fit one affine to their positions.

    The slice axis is the mean step between positions. Where it leans against the normal (gantry tilt), the
    affine is sheared and says so.

    Args:
        frames: Slices of one series.
        where: What is read, for messages.

    Raises:
        CtgridError: Geometry tags missing or contradictory, slices missing, or steps uneven.
    """
    row, column = _directions(frames, where)
    spacing = _spacing(frames, where)
    normal = np.cross(row, column)
    positions = np.array([frame.position for frame in frames])
    places = _places(positions, normal, where)
    at = np.array([positions[place[0]] for place in places])
    facts: dict[str, Any] = {}
    if len(places) == 1:
        step = normal * _lone_step(frames[0], where)
        origin = at[0]
    else:
        origin, step = _line(at, normal, where, facts)
    affine = affine_from_columns_lps(row * spacing[1], column * spacing[0], step, origin)
    return Stack([[frames[i] for i in place] for place in places], affine, facts)


def _directions(frames: Sequence[Frame], where: str) -> tuple[np.ndarray, np.ndarray]:
    for name in ("position", "orientation"):
        missing = sum(getattr(frame, name) is None for frame in frames)
        if missing:
            raise CtgridError(
                f"{where}: {missing} of {len(frames)} slices have no Image{name.title()}Patient, "
                f"so their place in the patient is unknown"
            )
    found = np.array([frame.orientation for frame in frames])
    middle = np.array(Counter(frame.orientation for frame in frames).most_common(1)[0][0])
    other = int((np.abs(found - middle).max(axis=1) > SAME_DIRECTION).sum())
    if other:
        raise CtgridError(
            f"{where}: orientations are mixed, {other} of {len(frames)} slices differ from the others; "
            f"split the series by ImageOrientationPatient"
        )
    row, column = middle[:3], middle[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if min(lengths) < 1 - NOT_SQUARE or max(lengths) > 1 + NOT_SQUARE or abs(row @ column) > NOT_SQUARE:
        raise CtgridError(
            f"{where}: ImageOrientationPatient {middle.tolist()} is no pair of perpendicular directions; "
            f"its header is damaged"
        )
    return row / lengths[0], column / lengths[1]


def _spacing(frames: Sequence[Frame], where: str) -> tuple[float, float]:
    found = [frame.spacing for frame in frames]
    missing = sum(spacing is None or min(spacing) <= 0 for spacing in found)
    if missing:
        raise CtgridError(f"{where}: {missing} of {len(frames)} slices have no valid PixelSpacing")
    array = np.array(found)
    middle = np.median(array, axis=0)
    if (np.abs(array / middle - 1) > NOT_SQUARE).any():
        raise CtgridError(
            f"{where}: pixel spacing is mixed, from {array.min():g} to {array.max():g} mm; "
            f"split the series by PixelSpacing"
        )
    return float(middle[0]), float(middle[1])


def _places(positions: np.ndarray, normal: np.ndarray, where: str) -> list[list[int]]:
    """Put slices at the same position together, in ascending order along the normal."""
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    places: list[list[int]] = []
    for i in order:
        if places and along[i] - along[places[-1][0]] < SAME_POSITION_MM:
            sideways = float(np.linalg.norm(positions[i] - positions[places[-1][0]]))
            if sideways > 10 * SAME_POSITION_MM:
                raise CtgridError(
                    f"{where}: two slices at {along[i]:.2f} mm along the stack lie {sideways:.2f} mm apart sideways; "
                    f"it mixes two stacks, split the series"
                )
            places[-1].append(int(i))
        else:
            places.append([int(i)])
    return places


def _lone_step(frame: Frame, where: str) -> float:
    """Return the thickness of a slice that has no neighbour."""
    for value in (frame.thickness, frame.distance):
        if value is not None and value > 0:
            return value
    raise CtgridError(f"{where} is a single slice without SliceThickness, so its extent along z is unknown")


def _line(at: np.ndarray, normal: np.ndarray, where: str, facts: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Fit positions[k] = origin + k * step by least squares; refuse what is not on that line."""
    steps = np.diff(at @ normal)
    usual = float(np.median(steps))
    _refuse_gaps(at, steps, usual, where)
    k = np.arange(len(at))
    centre = k - k.mean()
    step = centre @ at / (centre @ centre)
    origin = at.mean(axis=0) - k.mean() * step
    off = np.abs(at - origin - k[:, None] * step)
    if off.max() > MOST_UNEVEN * usual:
        worst = int(off.max(axis=1).argmax())
        raise CtgridError(
            f"{where}: slices are unevenly spaced, steps from {steps.min():.3f} to {steps.max():.3f} mm, and slice "
            f"{worst + 1} of {len(at)} lies {off.max():.3f} mm off; resample it evenly or choose another series"
        )
    if off.max() > SAME_POSITION_MM:
        facts["uneven_mm"] = round(float(off.max()), 4)
    upright = normal * (step @ normal)
    sideways = float(np.linalg.norm(step - upright))
    if sideways * (len(at) - 1) <= STRAIGHT_MM:
        return origin, upright
    tilt = float(np.degrees(np.arctan2(sideways, step @ normal)))
    if tilt > STEEPEST_DEG:
        raise CtgridError(f"{where}: the stack leans by {tilt:.0f} degrees against its slices; it is no gantry tilt")
    facts["gantry_tilt_deg"] = round(tilt, 3)
    return origin, step


def _refuse_gaps(at: np.ndarray, steps: np.ndarray, usual: float, where: str) -> None:
    """Tell missing slices (steps of a whole multiple) from spacing that is merely uneven."""
    multiples = steps / usual
    whole = np.rint(multiples)
    wide = np.flatnonzero(multiples > 1.5)
    if len(wide) == 0 or (np.abs(multiples - whole) > GAP_FIT).any():
        return
    names = [f"{int(whole[i]) - 1} between {_mm(at[i])} and {_mm(at[i + 1])}" for i in wide[:3]]
    more = f" and at {len(wide) - 3} more places" if len(wide) > 3 else ""
    raise CtgridError(
        f"{where}: slices are missing, {', '.join(names)}{more}, where steps are {usual:.3g} mm; "
        f"fetch the missing slices or choose another series"
    )


def _mm(position: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.1f}" for value in position) + ") mm"


def one_size(sizes: Sequence[tuple[int, int]], where: str) -> None:
    """Refuse slices of different sizes.

    Args:
        sizes: (rows, columns) of each file.
        where: What is read, for messages.

    Raises:
        CtgridError: More than one size.
    """
    counts = Counter(sizes).most_common()
    if len(counts) > 1:
        names = ", ".join(f"{rows} x {columns} ({n} files)" for (rows, columns), n in counts[:4])
        raise CtgridError(f"{where}: slices differ in size: {names}; split the series")
