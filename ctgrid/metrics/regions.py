"""Where lungs, soft tissue and bone are, and how far off HU are there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctgrid.base.errors import CtgridError

TISSUES_HU = {"lung": (-950.0, -700.0), "soft": (-100.0, 200.0), "bone": (300.0, 1000.0)}
"""HU of the clean scan that stand for a tissue: lung inside the lungs, soft tissue and bone inside the body."""

BODY_HU = -300.0
"""Above this a voxel is body (or table)."""

LUNG_BELOW_HU = -500.0
"""Below this is air or lung."""

MM3_PER_ML = 1000
LEAST_LUNG_ML = 20.0
"""Air inside the body of less than this is bowel, airway or nothing."""

CLOSED_MM = 10.0
"""Vessels and nodules up to this wide are part of the lung around them."""


@dataclass(frozen=True)
class Difference:
    """How a region differs from its reference.

    Attributes:
        voxels: in the region.
        bias_hu: mean difference; NaN without voxels.
        spread_hu: standard deviation of the difference; NaN without voxels.
    """

    voxels: int
    bias_hu: float
    spread_hu: float


def body_mask(hu: np.ndarray) -> np.ndarray:
    """Return the body in each slice: the largest region above -300 HU, its holes filled.

    Where the field of view cuts through the wall of the chest, the lung behind it is not inside.

    Args:
        hu: (n, y, x) in HU.

    Returns:
        (n, y, x) bool.
    """
    from scipy.ndimage import binary_fill_holes, label

    masks = np.zeros(hu.shape, bool)
    for image, mask in zip(hu, masks, strict=True):
        labels, count = label(image > BODY_HU)
        if count:
            largest = 1 + int(np.bincount(labels.ravel())[1:].argmax())
            mask[:] = binary_fill_holes(labels == largest)
    return masks


def lung_mask(hu: np.ndarray, spacing_mm: tuple[float, float, float], body: np.ndarray | None = None) -> np.ndarray:
    """Return the lungs: large regions below -500 HU inside the body, vessels and nodules within filled in.

    Regions are found in three dimensions. The trachea, connected to the lungs, counts as lung.

    Args:
        hu: (n, y, x) in HU.
        spacing_mm: (z, y, x).
        body: its :func:`body_mask`, where that is known.

    Returns:
        (n, y, x) bool, all False where there is no lung.
    """
    from scipy.ndimage import label

    inner = (hu < LUNG_BELOW_HU) & (body_mask(hu) if body is None else body)
    labels, count = label(inner)
    if not count:
        return inner
    sizes = np.bincount(labels.ravel()) * float(np.prod(spacing_mm)) / MM3_PER_ML
    keep = sizes >= LEAST_LUNG_ML
    keep[0] = False
    lungs = keep[labels]
    for plane in lungs:
        plane[:] = _closed(plane, CLOSED_MM / 2 / spacing_mm[1])
    return lungs


def _closed(mask: np.ndarray, radius_px: float) -> np.ndarray:
    """Return a mask (y, x) with gaps up to twice the radius closed, by distance, in its bounding box."""
    from scipy.ndimage import distance_transform_edt, find_objects

    boxes = find_objects(mask.astype(np.uint8))
    if not boxes:
        return mask
    reach = int(radius_px) + 2
    part = np.pad(mask[boxes[0]], reach)
    grown = distance_transform_edt(~part) <= radius_px
    closed = mask.copy()
    closed[boxes[0]] = (distance_transform_edt(grown) > radius_px)[reach:-reach, reach:-reach]
    return np.asarray(closed | mask)


def tissue_masks(hu: np.ndarray, body: np.ndarray, lungs: np.ndarray) -> dict[str, np.ndarray]:
    """Return one mask for each of :data:`TISSUES_HU`.

    Args:
        hu: the clean scan or some of its slices, any shape.
        body: of the same shape, see :func:`body_mask`.
        lungs: of the same shape, see :func:`lung_mask`.
    """
    inside = {"lung": lungs, "soft": body & ~lungs, "bone": body & ~lungs}
    return {name: inside[name] & (hu >= low) & (hu <= high) for name, (low, high) in TISSUES_HU.items()}


def difference(a: np.ndarray, reference: np.ndarray, mask: np.ndarray) -> Difference:
    """Return bias and spread of ``a - reference`` inside a mask.

    Args:
        a: HU of any shape.
        reference: what they should be, of the same shape.
        mask: bool, of the same shape.

    Raises:
        CtgridError: where the shapes differ.
    """
    if not a.shape == reference.shape == mask.shape:
        raise CtgridError(f"differences need one shape, got {a.shape}, {reference.shape} and mask {mask.shape}")
    off = a[mask].astype(np.float64) - reference[mask]
    if not off.size:
        return Difference(0, float("nan"), float("nan"))
    return Difference(off.size, float(off.mean()), float(off.std()))
