"""How noisy a scan is and how sharp its noise, so that a simulated dose is relative to the scan's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import avg_pool2d

WINDOW_MM = 6.0
"""Side of the patches whose spread is measured: small beside organs, some grains of noise across."""

TISSUE_HU = (-20.0, 120.0)
SOFT_TISSUE_HU, LEAST_COEFFICIENTS = (-300.0, 300.0), 500
LEAST_PATCHES = 100
QUIET_HU = 4.0
"""Below this a scan counts as free of noise: a phantom, or denoised."""

COARSEST_MM = 2.0
"""With larger pixels a patch holds too much anatomy to tell its noise."""

CUTOFFS_PER_MM = (0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.25, 1.6)


@dataclass(frozen=True)
class Grain:
    """The noise of soft tissue.

    Attributes:
        spread_hu: standard deviation within even patches.
        sharpness: the finest wavelet's standard deviation over it; 1 for white noise, less for smooth kernels.
        patches: bool (n, y', x'), where the patches lie.
    """

    spread_hu: float
    sharpness: float
    patches: np.ndarray


def measure_grain(hu: np.ndarray, spacing_mm: tuple[float, float]) -> Grain | None:
    """Measure the noise in soft tissue: the mode of the local spread (Christianson et al. 2015, AJR 205:W337).

    Patches with edges spread more than even ones, which are the most frequent kind.

    Args:
        hu: (n, y, x) some slices.
        spacing_mm: pixel spacing (y, x).

    Returns:
        The grain, or None where there is too little soft tissue, too coarse pixels, or no noise to speak of.
    """
    if max(spacing_mm) > COARSEST_MM:
        return None
    mean, spread = local_spread(torch.from_numpy(hu.astype(np.float32)), spacing_mm)
    tissue = (mean > TISSUE_HU[0]) & (mean < TISSUE_HU[1])
    if int(tissue.sum()) < LEAST_PATCHES:
        return None
    mode = half_sample_mode(spread[tissue].numpy())
    patches = tissue & (spread > 0.7 * mode) & (spread < 1.3 * mode)
    level = float(spread[patches].square().mean().sqrt()) if mode >= QUIET_HU else 0.0
    fine = [noise for noise in map(finest_spread, hu) if noise is not None]
    if level < QUIET_HU or not fine:
        return None
    return Grain(level, float(np.median(fine)) / level, patches.numpy())


def finest_spread(hu: np.ndarray) -> float | None:
    """Return the spread of a slice's finest diagonal wavelet coefficients in soft tissue, in HU: its noise, if white.

    The median absolute value over 0.6745 (Donoho & Johnstone 1994, Biometrika 81:425).

    Args:
        hu: (y, x).

    Returns:
        The spread; None where the slice holds too little soft tissue.
    """
    import pywt

    mean, (_, _, diagonal) = pywt.dwt2(hu.astype(np.float32), "db2")
    low, high = (2 * bound for bound in SOFT_TISSUE_HU)  # an approximation coefficient is twice the mean
    found = np.abs(diagonal[(mean > low) & (mean < high)])
    return float(np.median(found)) / 0.6745 if found.size >= LEAST_COEFFICIENTS else None


def local_spread(images: Tensor, spacing_mm: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of half overlapping patches.

    Args:
        images: (n, y, x) float32.
        spacing_mm: pixel spacing (y, x).

    Returns:
        Two tensors (n, y', x').
    """
    sides = [max(4, round(WINDOW_MM / mm)) for mm in spacing_mm]
    sides = [min(side, n) for side, n in zip(sides, images.shape[1:], strict=True)]
    steps = [max(1, side // 2) for side in sides]
    x = rearrange(images, "n y x -> n 1 y x").double()
    mean, square = (avg_pool2d(a, sides, steps)[:, 0] for a in (x, x.square()))
    count = sides[0] * sides[1]
    return mean, ((square - mean.square()).clamp(min=0) * (count / (count - 1))).sqrt()


def half_sample_mode(values: np.ndarray) -> float:
    """Return the mode of a sample: the densest half of the densest half ... (Bickel & Fruehwirth 2006).

    Args:
        values: any shape, not empty.
    """
    values = np.sort(values, axis=None)
    while len(values) > 3:
        half = (len(values) + 1) // 2
        widths = values[half - 1 :] - values[: len(values) - half + 1]
        start = int(widths.argmin())
        values = values[start : start + half]
    return float(values.mean())


def match_cutoff(sharpness: float, spacing_mm: tuple[float, float]) -> float:
    """Return the cut-off whose filtered noise is about as sharp as the scan's, in 1/mm.

    Back-projected noise has the spectrum f · window(f)² up to the detector's Nyquist frequency.

    Args:
        sharpness: see :class:`Grain`.
        spacing_mm: pixel spacing (y, x).
    """
    expected = [_expected_sharpness(cutoff, spacing_mm) for cutoff in CUTOFFS_PER_MM]
    distance = np.abs(np.log(np.maximum(expected, 1e-6) / max(sharpness, 1e-6)))
    return CUTOFFS_PER_MM[int(distance.argmin())]


def _expected_sharpness(cutoff: float, spacing_mm: tuple[float, float]) -> float:
    """Return the finest diagonal wavelet's standard deviation over the spread within a patch."""
    import pywt

    fy, fx = (np.fft.fftfreq(128, mm) for mm in spacing_mm)
    f = np.hypot(fy[:, None], fx[None])
    limit = min(cutoff, 0.5 / min(spacing_mm))
    nps = f * np.where(f < limit, 0.5 + 0.5 * np.cos(np.pi * f / cutoff), 0) ** 2
    high = np.abs(np.fft.fft(pywt.Wavelet("db2").dec_hi, 128)) ** 2
    boxes = [np.abs(np.fft.fft(np.ones(n) / n, 128)) ** 2 for n in (max(4, round(WINDOW_MM / mm)) for mm in spacing_mm)]
    within = (nps * (1 - np.outer(*boxes))).sum()
    return float(np.sqrt((nps * np.outer(high, high)).sum() / within))
