"""Noise like a scan's own: its spectrum, its strength from place to place and its likeness between slices, as measured.

What differs between neighbouring slices in even soft tissue is noise and little else; its spectrum is the scan's. How
strong it is elsewhere follows from the finest part of those differences, and is never more than in soft tissue nearby.
So noise can be drawn that a network cannot tell from the scan's, of whatever grain that is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from ctgrid.base.draws import normal

WINDOW = 32
"""Pixels along the windows that a spectrum is measured in."""

BLOCK = 8
"""Pixels along the parts of a window whose means must all be soft tissue."""

WINDOW_HU = (-150.0, 200.0)
QUIETER = 1.5
"""Windows whose variance is more than this times the usual hold edges that moved, and do not count."""

LEAST_WINDOWS, MOST_WINDOWS = 12, 600
PAIRS = 24
"""Pairs of neighbouring slices that are looked at."""

BINS = 24
USUAL_CUTOFF = 0.35
"""Of a filtered back-projection's spectrum, f times a squared Hann window, in cycles a pixel: where none is found."""

GROUP = 8
"""Neighbouring slices that share a map of where noise is strong."""

MARGIN = 16
"""Pixels around what is drawn, so that its borders are not each other's neighbours."""

CELL = 16
"""Pixels along the cells of such a map."""

REACH_MM = 20.0
"""Standard deviation of the Gaussian by which soft tissue tells of the noise between."""

LEAST_LOCAL, MOST_LOCAL = 0.2, 2.5
"""Of a place's noise over that of its slice."""


@dataclass(frozen=True)
class OwnNoise:
    """What noise of a scan is like; made by :func:`measure_own_noise`.

    Attributes:
        power: by spatial frequency from 0 to the corner of the pixels' band, (24,), of any sum.
        levels: standard deviation in every slice, HU, (n,).
        local: strength over that in the slice's soft tissue, (groups, gy, gx), in cells of 16 pixels.
        along_z: correlation of neighbouring slices, 0 to 0.5.
        windows: that the spectrum was measured in; 0 where it is the usual one.
    """

    power: np.ndarray
    levels: np.ndarray
    local: np.ndarray
    along_z: float
    windows: int

    def draw(self, first: int, count: int, box: tuple[slice, slice], generator: torch.Generator) -> Tensor:
        """Draw noise for a part of the scan.

        Args:
            first: lowest slice.
            count: of slices.
            box: pixels (y, x).
            generator: what is drawn comes from it.

        Returns:
            (count, y, x) float32 in HU.
        """
        height, width = (side.stop - side.start for side in box)
        shape = (height + 2 * MARGIN, width + 2 * MARGIN)
        white = normal((count + 1, *shape), generator)
        near, far = _mixing(self.along_z)
        white = near * white[:-1] + far * white[1:]
        gain = self._gain(shape)
        grained = torch.fft.irfft2(torch.fft.rfft2(white) * gain, s=shape)[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
        at = torch.arange(first, first + count)
        levels = torch.from_numpy(self.levels.astype(np.float32))[at]
        return grained * levels[:, None, None] * self._local(at, box)

    def _gain(self, shape: tuple[int, int]) -> Tensor:
        """Return the filter that gives white noise the spectrum and leaves its variance."""
        fy, fx = torch.fft.fftfreq(shape[0]), torch.fft.fftfreq(shape[1])
        power = torch.from_numpy(np.interp(torch.hypot(fy[:, None], fx[None]).numpy(), _centres(), self.power))
        return (power / power.mean()).sqrt()[:, : shape[1] // 2 + 1].float()

    def _local(self, at: Tensor, box: tuple[slice, slice]) -> Tensor:
        """Return how strong noise is in the pixels of a box, (len(at), y, x)."""
        groups = torch.from_numpy(self.local.astype(np.float32))[(at // GROUP).clamp(max=len(self.local) - 1)]
        places = []
        for side, cells in zip(box, groups.shape[1:], strict=True):
            middle = (torch.arange(side.start, side.stop) + 0.5) / CELL - 0.5
            low = middle.floor().clamp(0, cells - 1).long()
            places.append((low, (low + 1).clamp(max=cells - 1), (middle - low).clamp(0, 1)))
        (y0, y1, ty), (x0, x1, tx) = places
        rows = groups[:, y0] * (1 - ty)[:, None] + groups[:, y1] * ty[:, None]
        return rows[:, :, x0] * (1 - tx) + rows[:, :, x1] * tx


def measure_own_noise(hu: np.ndarray, spacing_mm: tuple[float, float], levels: np.ndarray) -> OwnNoise:
    """Measure what the noise of a scan is like.

    Args:
        hu: (n, y, x), axial slices.
        spacing_mm: of the pixels (y, x).
        levels: (n,) standard deviation of the noise in every slice, HU.
    """
    windows, likeness = _windows_of(hu)
    measured = len(windows) >= LEAST_WINDOWS
    return OwnNoise(
        power=_spectrum(windows) if measured else _usual_spectrum(),
        levels=np.asarray(levels, np.float64),
        local=_local_maps(hu, spacing_mm),
        along_z=float(np.clip(likeness, 0.0, 0.5)) if measured else 0.0,
        windows=len(windows) if measured else 0,
    )


def _mixing(correlation: float) -> tuple[float, float]:
    """Return weights a, b of two white slices with a² + b² = 1 and a b = correlation of neighbours."""
    half = 0.5 * np.arcsin(2 * min(correlation, 0.5))
    return float(np.cos(half)), float(np.sin(half))


def _centres() -> np.ndarray:
    """Return the frequencies of the bins, cycles a pixel."""
    return (np.arange(BINS) + 0.5) * np.sqrt(0.5) / BINS


def _usual_spectrum() -> np.ndarray:
    f = _centres()
    return np.where(f < USUAL_CUTOFF, f * np.square(0.5 + 0.5 * np.cos(np.pi * f / USUAL_CUTOFF)), 1e-4)


def _windows_of(hu: np.ndarray) -> tuple[np.ndarray, float]:
    """Return windows (w, s, s) of noise from even soft tissue, and how alike it is in neighbouring slices."""
    side = min(WINDOW, *hu.shape[1:])
    found: list[np.ndarray] = []
    products: list[tuple[float, float]] = []
    for below in np.unique(np.linspace(0, max(0, len(hu) - 2), PAIRS).round().astype(int)):
        pair = hu[below : below + 2].astype(np.float32)
        for y, x in _soft_places(pair.mean(0), side):
            parts = [_flat(plane[y : y + side, x : x + side]) for plane in pair]
            if len(parts) == 1:  # a single slice: its own even places must do
                found.append(parts[0])
                continue
            found.append((parts[1] - parts[0]) / np.float32(np.sqrt(2)))
            fine = [np.diff(np.diff(part, axis=0), axis=1) for part in parts]
            products.append((float((fine[0] * fine[1]).mean()), float(np.square(fine).mean())))
    if not found:
        return np.zeros((0, side, side), np.float32), 0.0
    windows = np.stack(found)
    variance = windows.var((1, 2))
    quiet = variance <= QUIETER * np.median(variance[variance <= np.median(variance)])
    chosen = np.flatnonzero(quiet & (variance > 0))[:MOST_WINDOWS]
    likeness = 0.0
    if products and len(chosen):
        together, alone = np.array(products)[chosen].sum(0)
        likeness = together / alone if alone else 0.0
    return windows[chosen], likeness


def _soft_places(image: np.ndarray, side: int) -> Iterator[tuple[int, int]]:
    """Yield corners of half overlapping windows that are soft tissue throughout."""
    block = min(BLOCK, side)
    rows, columns = (n // block for n in image.shape)
    means = image[: rows * block, : columns * block].reshape(rows, block, columns, block).mean((1, 3))
    soft = (means > WINDOW_HU[0]) & (means < WINDOW_HU[1])
    across = max(1, side // block)
    for y in range(0, rows - across + 1, max(1, across // 2)):
        for x in range(0, columns - across + 1, max(1, across // 2)):
            if soft[y : y + across, x : x + across].all():
                yield y * block, x * block


def _flat(window: np.ndarray) -> np.ndarray:
    """Return a window less the plane that fits it best."""
    rest = window - window.mean()
    for axis in (0, 1):
        ramp = np.linspace(-1, 1, rest.shape[axis], dtype=np.float32)
        ramp = ramp[:, None] if axis == 0 else ramp[None]
        rest = rest - ramp * ((rest * ramp).sum() / np.square(np.broadcast_to(ramp, rest.shape)).sum())
    return np.asarray(rest, np.float32)


def _spectrum(windows: np.ndarray) -> np.ndarray:
    """Return the mean power of windows in rings of frequency; every window counts as much."""
    side = windows.shape[1]
    taper = np.outer(np.hanning(side + 2)[1:-1], np.hanning(side + 2)[1:-1])
    power = np.zeros((side, side))
    for window in windows:
        power += np.square(np.abs(np.fft.fft2(window * taper))) / window.var()
    along = np.fft.fftfreq(side)
    frequency = np.hypot(along[:, None], along).ravel()
    ring = np.minimum(frequency / np.sqrt(0.5) * BINS, BINS - 1).astype(int)
    counts = np.bincount(ring, minlength=BINS)
    known = np.flatnonzero(counts)
    values = np.bincount(ring, power.ravel(), BINS)[known] / counts[known]
    return np.interp(np.arange(BINS), known, values)


def _local_maps(hu: np.ndarray, spacing_mm: tuple[float, float]) -> np.ndarray:
    """Return how strong noise is in cells over that in soft tissue, for every group of slices.

    By what differs between neighbouring slices, and by the finest part of that. Where vessels differ too, the finest
    part is the less wrong; outside the body, where noise is finer, the whole is. Nowhere is noise stronger than in soft
    tissue nearby, which more photons are lost in. So it is the least of the three.
    """
    from scipy.ndimage import gaussian_filter

    sigma = [REACH_MM / (CELL * mm) for mm in spacing_mm]
    maps = []
    for first in range(0, len(hu), GROUP):
        below = np.arange(first, max(first + 1, min(first + GROUP, len(hu) - 1)), 2).clip(max=max(0, len(hu) - 2))
        mean = _cells(hu[below].astype(np.float32)).mean((0, 3))
        soft = ((mean > WINDOW_HU[0]) & (mean < WINDOW_HU[1])).astype(np.float64)
        ratios = []
        for square in map(np.square, _spreads(hu, below)):
            usual = float((square * soft).sum() / max(soft.sum(), 1e-9))
            if not usual:
                ratios = [np.ones(soft.shape)]
                break
            near, share = (gaussian_filter(part, sigma, mode="nearest") for part in (square * soft, soft))
            ratios.append(gaussian_filter(square, 0.7, mode="nearest") / usual)
            most = (near / usual + 0.02) / (share + 0.02)  # where none is near, all of the slice's counts
            ratios.append(np.where(soft > 0, np.inf, most))
        maps.append(np.sqrt(np.min(ratios, axis=0)))
    return np.stack(maps).clip(LEAST_LOCAL, MOST_LOCAL)


def _spreads(hu: np.ndarray, below: np.ndarray) -> list[np.ndarray]:
    """Return the spread of what differs between slices by cell, (gy, gx), and that of its finest part."""
    whole, fine = [], []
    for number in below:
        plane = hu[number].astype(np.float32)
        if number + 1 < len(hu):
            plane = hu[number + 1] - plane
        across = np.diff(plane, 2, axis=0, prepend=plane[:1], append=plane[-1:])
        fine.append(np.diff(across, 2, axis=1, prepend=across[:, :1], append=across[:, -1:]))
        whole.append(plane)
    found = fine if len(hu) == 1 else whole, fine  # of a single slice, the whole is all anatomy
    cells = [_cells(np.stack(planes)) for planes in found]
    return [np.median(np.abs(part - np.median(part, axis=3, keepdims=True)), axis=(0, 3)) for part in cells]


def _cells(planes: np.ndarray) -> np.ndarray:
    """Return the pixels of planes (n, y, x) by cell, (n, gy, gx, 256), borders repeated where a cell is not full."""
    padded = np.pad(planes, ((0, 0), (0, -planes.shape[1] % CELL), (0, -planes.shape[2] % CELL)), mode="edge")
    return rearrange(padded, "n (y a) (x b) -> n y x (a b)", a=CELL, b=CELL)
