"""Noise like a scan's own: its spectrum, its strength from place to place and its likeness between slices, as measured.

What differs between neighbouring slices in even soft tissue is noise and little else; its spectrum is the scan's, where
a few windows that hold edges do not count. How strong it is elsewhere follows from the finest part of those
differences, is never more than in soft tissue nearby, and never more than all that differs there: anatomy only adds to
that. So noise can be drawn that a network cannot tell from the scan's, of whatever grain that is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

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

ROUNDS = 3
"""Of measuring the windows' levels and their spectrum by each other."""

ALIKE_SHARE = 0.3
"""Likeness of slices is that of the frequencies with so much of the most power or more, above the mean one: anatomy,
which is alike too, is coarser."""

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

ENVELOPE_CELLS, ENVELOPE_SHARE = 5, 0.25
"""Noise is at most what so small a share of the cells in a square of so many across differ by."""

OF_NORMAL = 1.4826
"""Standard deviation of normal values over their median distance from the median."""

LEAST_LOCAL, MOST_LOCAL = 0.2, 2.5
"""Of a place's noise over that of its slice."""


@dataclass(frozen=True)
class OwnNoise:
    """What noise of a scan is like; made by :func:`measure_own_noise`.

    Attributes:
        power: by spatial frequency (fy, fx) in the order of the FFT, of any number of them, square, and of any sum.
            Rays along the shoulders are noisier than those across: it is not the same in all directions.
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

    def spectrum(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the power at the frequencies of images (y, x), in the order of the FFT, of mean 1."""
        return _at_size(self.power, shape)

    def _gain(self, shape: tuple[int, int]) -> Tensor:
        """Return the filter that gives white noise the spectrum and leaves its variance."""
        return torch.from_numpy(self.spectrum(shape)).sqrt()[:, : shape[1] // 2 + 1].float()

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
    pairs, places = _windows_of(hu)
    measured = len(pairs) >= LEAST_WINDOWS
    power = _spectrum_in(pairs)
    along_z = float(np.clip(_likeness(pairs, power), 0.0, 0.5)) if measured and pairs.shape[1] > 1 else 0.0
    own = OwnNoise(
        power=power,
        levels=np.asarray(levels, np.float64),
        local=_local_maps(hu, spacing_mm, np.asarray(levels, np.float64), along_z),
        along_z=along_z,
        windows=len(pairs) if measured else 0,
    )
    return _as_strong_as(own, pairs, places) if measured and pairs.shape[1] > 1 else own


def measure_spectrum(hu: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the power of a scan's noise at the frequencies of images (y, x), in the order of the FFT, of mean 1.

    Args:
        hu: (n, y, x), axial slices.
        shape: of the images.
    """
    return _at_size(_spectrum_in(_windows_of(hu)[0]), shape)


def _at_size(power: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return power at the frequencies of images of another shape, of mean 1."""
    from scipy.ndimage import map_coordinates

    at = np.meshgrid(*(np.fft.fftfreq(n) * len(power) for n in shape), indexing="ij")
    found = map_coordinates(power, at, order=1, mode="grid-wrap")
    return np.asarray(found / found.mean())


def _spectrum_in(pairs: np.ndarray) -> np.ndarray:
    """Return the power in windows (w, 2, s, s), or the usual one where they are too few."""
    return _spectrum(_differences(pairs)) if len(pairs) >= LEAST_WINDOWS else _usual_spectrum()


def _as_strong_as(own: OwnNoise, pairs: np.ndarray, places: np.ndarray) -> OwnNoise:
    """Return noise whose variance is that of what differs in windows (w, 2, s, s), as often too high as too low."""
    side = pairs.shape[-1]
    expected = []
    for z, y, x in places:
        local = own._local(torch.tensor([z]), (slice(y, y + side), slice(x, x + side)))
        expected.append(float(local.square().mean()) * float(own.levels[z]) ** 2)
    found = _differences(pairs).var((1, 2)) / (1 - own.along_z)
    scale = float(np.sqrt(np.median(found / np.maximum(expected, 1e-9))))
    return replace(own, local=(own.local * scale).clip(LEAST_LOCAL, MOST_LOCAL))


def _mixing(correlation: float) -> tuple[float, float]:
    """Return weights a, b of two white slices with a² + b² = 1 and a b = correlation of neighbours."""
    half = 0.5 * np.arcsin(2 * min(correlation, 0.5))
    return float(np.cos(half)), float(np.sin(half))


def _usual_spectrum() -> np.ndarray:
    f = _radius(WINDOW)
    return np.where(f < USUAL_CUTOFF, f * np.square(0.5 + 0.5 * np.cos(np.pi * f / USUAL_CUTOFF)), 1e-4)


def _windows_of(hu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return windows of even soft tissue in neighbouring slices, planes taken out, and where they are.

    Returns:
        (w, 2, s, s) in HU, (w, 1, s, s) of a single slice; lower slice and corner (z, y, x) of each, (w, 3).
    """
    side = min(WINDOW, *hu.shape[1:])
    found: list[np.ndarray] = []
    places: list[tuple[int, int, int]] = []
    for below in np.unique(np.linspace(0, max(0, len(hu) - 2), PAIRS).round().astype(int)):
        pair = hu[below : below + 2].astype(np.float32)
        for y, x in _soft_places(pair.mean(0), side):
            found.append(np.stack([_flat(plane[y : y + side, x : x + side]) for plane in pair]))
            places.append((int(below), y, x))
    if not found:
        return np.zeros((0, min(2, len(hu)), side, side), np.float32), np.zeros((0, 3), int)
    windows = np.stack(found)
    variance = _differences(windows).var((1, 2))
    quiet = variance <= QUIETER * np.median(variance[variance <= np.median(variance)])
    chosen = np.flatnonzero(quiet & (variance > 0))
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), MOST_WINDOWS)).round().astype(int)]
    return windows[chosen], np.array(places)[chosen]


def _differences(pairs: np.ndarray) -> np.ndarray:
    """Return what is noise of windows (w, 2, s, s), with its variance; a single slice must do as it is."""
    return pairs[:, 0] if pairs.shape[1] == 1 else (pairs[:, 1] - pairs[:, 0]) / np.float32(np.sqrt(2))


def _likeness(pairs: np.ndarray, power: np.ndarray) -> float:
    """Return how alike noise of that spectrum is in the two slices of windows (w, 2, s, s)."""
    radius = _radius(len(power))
    fine = (power >= ALIKE_SHARE * power.max()) & (radius >= (radius * power).sum() / power.sum())
    below, above = np.fft.fft2(pairs * _taper(pairs.shape[-1])).swapaxes(0, 1)[..., fine]
    together, alone = (below * above.conj()).real.sum(1), (np.square(np.abs([below, above])).sum((0, 2)) / 2)
    return float(np.median(together / np.maximum(alone, 1e-9)))


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
    """Return the usual power of windows (w, s, s) at every frequency (s, s), each window's level left out.

    It is the median over windows, for an edge that moved adds power at low frequencies to a few; the median of
    exponential values is their mean times the logarithm of 2, at every frequency.
    """
    from scipy.ndimage import uniform_filter

    power = np.square(np.abs(np.fft.fft2(windows * _taper(windows.shape[-1]))))
    found = power.mean(0)
    for _ in range(ROUNDS):
        level = (power / np.maximum(found, 1e-9)).mean((1, 2), keepdims=True)
        found = uniform_filter(np.median(power / np.maximum(level, 1e-9), axis=0), 3, mode="wrap")
    return np.asarray(found)


def _taper(side: int) -> np.ndarray:
    """Return what fades a window out towards its borders, (side, side)."""
    along = np.hanning(side + 2)[1:-1]
    return np.outer(along, along)


def _radius(side: int) -> np.ndarray:
    """Return the size of every frequency of a window, cycles a pixel, (side, side)."""
    along = np.fft.fftfreq(side)
    return np.hypot(along[:, None], along)


def _local_maps(hu: np.ndarray, spacing_mm: tuple[float, float], levels: np.ndarray, along_z: float) -> np.ndarray:
    """Return how strong noise is in cells over that in soft tissue, for every group of slices.

    By what differs between neighbouring slices, and by the finest part of that. Where vessels differ too, the finest
    part is the less wrong; outside the body, where noise is finer, the whole is. Nowhere is noise stronger than in soft
    tissue nearby, which more photons are lost in, nor than what differs there in the evenest cells around: levels that
    edges or a coarse grain made too high end here. So it is the least of the four.
    """
    from scipy.ndimage import gaussian_filter, percentile_filter

    sigma = [REACH_MM / (CELL * mm) for mm in spacing_mm]
    maps = []
    for first in range(0, len(hu), GROUP):
        below = np.arange(first, max(first + 1, min(first + GROUP, len(hu) - 1)), 2).clip(max=max(0, len(hu) - 2))
        mean = _cells(hu[below].astype(np.float32)).mean((0, 3))
        soft = ((mean > WINDOW_HU[0]) & (mean < WINDOW_HU[1])).astype(np.float64)
        ratios = []
        spreads = _spreads(hu, below)
        for square in map(np.square, spreads):
            usual = float((square * soft).sum() / max(soft.sum(), 1e-9))
            if not usual:
                ratios = [np.ones(soft.shape)]
                break
            near, share = (gaussian_filter(part, sigma, mode="nearest") for part in (square * soft, soft))
            ratios.append(gaussian_filter(square, 0.7, mode="nearest") / usual)
            most = (near / usual + 0.02) / (share + 0.02)  # where none is near, all of the slice's counts
            ratios.append(np.where(soft > 0, np.inf, most))
        level = float(np.square(levels[first : first + GROUP]).mean())
        if len(hu) > 1 and level and usual:
            even = percentile_filter(spreads[0], 100 * ENVELOPE_SHARE, ENVELOPE_CELLS, mode="nearest")
            differs = np.square(OF_NORMAL * gaussian_filter(even, 1.0, mode="nearest")) / (2 * (1 - along_z))
            ratios.append(differs / level)
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
