"""Small round nodules, planted in a real lung: where, how, and what is left of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

from ctgrid.base.draws import generator_for, integer, uniform
from ctgrid.base.errors import CtgridError

DIAMETERS_MM = (3.0, 4.0, 6.0, 8.0, 10.0)
CONTRASTS_HU = (50.0, 100.0, 200.0, 400.0)

VESSEL_HU = -650.0
"""Smoothed lung above this is a vessel, a wall or the edge."""

SMOOTH_MM = 1.0
CLEARANCE_MM = 2.0
"""Distance from a nodule's edge to vessels, where the lung has such places."""

APART_MM = 12.0
"""Least distance between the edges of two nodules."""

FINENESS = 8
"""Points along each side of a voxel by which its share of a nodule is found."""

DISC_SHARE, RING_MM = 0.6, (1.5, 4.0)
"""Contrast is the mean within this share of the radius, less that of a ring so far outside the edge."""

STREAM = 707


@dataclass(frozen=True)
class Nodule:
    """One nodule.

    Attributes:
        diameter_mm: of the sphere.
        contrast_hu: added to the lung where the sphere fills a voxel.
        centre: (z, y, x) in voxels.
    """

    diameter_mm: float
    contrast_hu: float
    centre: tuple[float, float, float]


def place_nodules(
    hu: np.ndarray, lungs: np.ndarray, spacing_mm: tuple[float, float, float], seed: int, repeats: int = 1
) -> list[Nodule]:
    """Choose places inside the lung, away from vessels, for every diameter and contrast.

    Large ones choose first. Each takes a random one of the places with enough clearance, or of the best there
    are.

    Args:
        hu: (n, y, x) the clean scan.
        lungs: (n, y, x) bool.
        spacing_mm: (z, y, x).
        seed: of the places.
        repeats: nodules of each kind.

    Raises:
        CtgridError: where the lung holds no place for any.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    smooth = gaussian_filter(hu.astype(np.float32), [SMOOTH_MM / s for s in spacing_mm])
    room = np.pad(lungs & (smooth < VESSEL_HU), ((1, 1), (0, 0), (0, 0)))
    clearance = distance_transform_edt(room, sampling=spacing_mm)[1:-1].astype(np.float32)
    generator = generator_for(seed, STREAM)
    chosen: list[Nodule] = []
    kinds = sorted(product(DIAMETERS_MM, CONTRASTS_HU, range(repeats)), key=lambda kind: -kind[0])
    for diameter, contrast, _ in kinds:
        wanted = min(diameter / 2 + CLEARANCE_MM, 0.8 * float(clearance.max()))
        places = np.argwhere((clearance >= wanted) & (clearance > 0))
        if not len(places):
            break
        z, y, x = (int(i) for i in places[integer(0, len(places), generator)])
        shift = [uniform(generator) - 0.5 for _ in range(3)]  # nodules do not sit on voxel centres
        chosen.append(Nodule(diameter, contrast, (z + shift[0], y + shift[1], x + shift[2])))
        _forbid(clearance, (z, y, x), spacing_mm, diameter / 2 + APART_MM + max(DIAMETERS_MM) / 2)
    if not chosen:
        raise CtgridError("the scan holds no lung to plant nodules in; choose slices through the lungs")
    return chosen


def plant(hu: np.ndarray, nodules: list[Nodule], spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Return a scan with nodules: spheres of constant contrast on top of the lung, edges by partial volume.

    Args:
        hu: (n, y, x).
        nodules: to be added.
        spacing_mm: (z, y, x).

    Returns:
        (n, y, x) float32.
    """
    planted = hu.astype(np.float32)
    fine = (np.arange(FINENESS) + 0.5) / FINENESS - 0.5
    for nodule in nodules:
        radius = nodule.diameter_mm / 2
        box, offsets = box_around(hu.shape, nodule.centre, spacing_mm, radius)
        shares = [(o[:, None] + fine * s) ** 2 for o, s in zip(offsets, spacing_mm, strict=True)]
        z, y, x = shares
        squared = z[:, None, None, :, None, None] + y[None, :, None, None, :, None] + x[None, None, :, None, None, :]
        planted[box] += nodule.contrast_hu * (squared <= radius**2).mean(axis=(3, 4, 5), dtype=np.float32)
    return planted


def contrast_of(hu: np.ndarray, nodule: Nodule, spacing_mm: tuple[float, float, float]) -> float:
    """Return a nodule's measured contrast: the mean near its centre less that of the ring around it, in HU.

    Args:
        hu: (n, y, x).
        nodule: what is measured.
        spacing_mm: (z, y, x).
    """
    radius = nodule.diameter_mm / 2
    box, (z, y, x) = box_around(hu.shape, nodule.centre, spacing_mm, radius + RING_MM[1])
    part = hu[box]
    distance = np.sqrt(z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2)
    core = distance <= max(DISC_SHARE * radius, float(distance.min()))
    middle = np.abs(z) <= max(spacing_mm[0] / 2, float(np.abs(z).min()))
    ring = middle[:, None, None] & (distance >= radius + RING_MM[0]) & (distance <= radius + RING_MM[1])
    if not ring.any():
        return math.nan
    return float(part[core].mean(dtype=np.float64) - part[ring].mean(dtype=np.float64))


def box_around(
    shape: tuple[int, ...], centre: tuple[float, float, float], spacing_mm: tuple[float, float, float], reach_mm: float
) -> tuple[tuple[slice, ...], list[np.ndarray]]:
    """Return the voxels within reach of a centre, and their distances from it along each axis in mm."""
    box, offsets = [], []
    for n, c, s in zip(shape, centre, spacing_mm, strict=True):
        low, high = max(0, math.floor(c - reach_mm / s) - 1), min(n, math.ceil(c + reach_mm / s) + 2)
        box.append(slice(low, high))
        offsets.append((np.arange(low, high) - c) * s)
    return tuple(box), offsets


def _forbid(
    clearance: np.ndarray, centre: tuple[int, int, int], spacing_mm: tuple[float, float, float], reach_mm: float
) -> None:
    """Leave no room within reach of a centre."""
    box, (z, y, x) = box_around(clearance.shape, centre, spacing_mm, reach_mm)
    near = z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2 < reach_mm**2
    clearance[box][near] = 0
