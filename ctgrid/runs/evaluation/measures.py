"""What is measured of a denoised slice beside the clean one."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ctgrid.metrics.edges import edge_gain, gradient_correlation
from ctgrid.metrics.reconstruction import MS_LEAST_SIDE, ms_ssim, psnr, ssim
from ctgrid.metrics.regions import difference, tissue_masks
from ctgrid.metrics.spectrum import noise_power_spectrum
from ctgrid.metrics.vif import LEAST_SIDE, vif
from ctgrid.scan.windows import FULL_WINDOW_HU, LUNG_WINDOW_HU, SOFT_TISSUE_WINDOW_HU

VIEWS_HU = {"lung": LUNG_WINDOW_HU, "soft": SOFT_TISSUE_WINDOW_HU}
"""Windows that radiologists look through, by the names of their measures."""

PATCH_PX = 64
PATCH_HU = (-150.0, 200.0)
PATCH_SHARE = 0.98
"""A patch serves the noise-power spectrum where this share of its clean pixels is soft tissue."""


def measure_slice(found: np.ndarray, clean: np.ndarray) -> dict[str, float]:
    """Measure one slice; both are clipped to [-1000, 1000] HU first.

    Args:
        found: (y, x) HU.
        clean: (y, x) HU.

    Returns:
        ``psnr``, ``ssim`` and ``vif`` over 2000 HU, the same as ``psnr_lung`` ... through :data:`VIEWS_HU`,
        ``ms_ssim``, ``edge`` and ``edge_gain``; NaN where a slice is too small.
    """
    low, high = FULL_WINDOW_HU
    found, clean = (np.clip(image.astype(np.float64), low, high) for image in (found, clean))
    row = {"psnr": psnr(found, clean, high - low), "ssim": ssim(found - low, clean - low, high - low)}
    large = min(clean.shape) >= MS_LEAST_SIDE
    row["ms_ssim"] = ms_ssim(found - low, clean - low, high - low) if large else math.nan
    told = vif if min(clean.shape) >= LEAST_SIDE else _nothing
    row["vif"] = told(found, clean, high - low)
    for name, (bottom, top) in VIEWS_HU.items():
        a, b = (np.clip(image, bottom, top) - bottom for image in (found, clean))
        row[f"psnr_{name}"], row[f"ssim_{name}"] = psnr(a, b, top - bottom), ssim(a, b, top - bottom)
        row[f"vif_{name}"] = told(a, b, top - bottom)
    row["edge"], row["edge_gain"] = gradient_correlation(found, clean), edge_gain(found, clean)
    return row


def _nothing(a: np.ndarray, b: np.ndarray, data_range: float) -> float:
    """Stand in for a measure that a slice is too small for."""
    return math.nan


def measure_residual(noisy: np.ndarray, found: np.ndarray, clean: np.ndarray) -> dict[str, float]:
    """Measure how much anatomy is in what a method removed from one slice; clipped as in :func:`measure_slice`.

    Args:
        noisy: (y, x) HU.
        found: (y, x) HU.
        clean: (y, x) HU.

    Returns:
        ``edges_removed``: the slope of the residual's gradients against the clean slice's steepest, 0 where only noise
        was removed, 0.1 where a tenth of the edges went with it.
    """
    noisy, found, clean = (np.clip(image.astype(np.float64), *FULL_WINDOW_HU) for image in (noisy, found, clean))
    return {"edges_removed": edge_gain(noisy - found, clean)}


def measure_tissues(
    found: np.ndarray, clean: np.ndarray, body: np.ndarray, lungs: np.ndarray
) -> dict[str, float | None]:
    """Measure how far off HU are in each tissue, all slices together; clipped as in :func:`measure_slice`.

    Args:
        found: (n, y, x) HU.
        clean: (n, y, x) HU.
        body: (n, y, x) bool.
        lungs: (n, y, x) bool.

    Returns:
        ``hu_bias_*`` and ``residual_*`` (standard deviation) in lung, soft tissue and bone; None where there is
        no such tissue.
    """
    row: dict[str, float | None] = {}
    for name, mask in tissue_masks(clean, body, lungs).items():
        off = difference(np.clip(found, *FULL_WINDOW_HU), np.clip(clean, *FULL_WINDOW_HU), mask)
        row[f"hu_bias_{name}"] = round(off.bias_hu, 3) if off.voxels else None
        row[f"residual_{name}"] = round(off.spread_hu, 3) if off.voxels else None
    return row


def mean_of(rows: Iterable[dict[str, float]]) -> dict[str, float | None]:
    """Return the mean of each measure over slices that have it; None where none has."""
    rows = list(rows)
    means: dict[str, float | None] = {}
    for name in rows[0]:
        values = [row[name] for row in rows if math.isfinite(row[name])]
        means[name] = round(float(np.mean(values)), 5) if values else None
    return means


def residual_spectrum(
    found: np.ndarray, clean: np.ndarray, spacing_mm: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the noise-power spectrum of what is left of the noise in soft tissue.

    Args:
        found: (n, y, x) HU.
        clean: (n, y, x) HU.
        spacing_mm: (y, x).

    Returns:
        Frequencies in 1/mm and NPS in HU² mm², or None where no patch is soft tissue throughout.
    """
    patches = []
    for a, b in zip(found, clean, strict=True):
        for y in range(0, b.shape[0] - PATCH_PX + 1, PATCH_PX // 2):
            for x in range(0, b.shape[1] - PATCH_PX + 1, PATCH_PX // 2):
                place = slice(y, y + PATCH_PX), slice(x, x + PATCH_PX)
                soft = (b[place] >= PATCH_HU[0]) & (b[place] <= PATCH_HU[1])
                if soft.mean() >= PATCH_SHARE:
                    patches.append(np.clip(a[place], *FULL_WINDOW_HU) - b[place].astype(np.float64))
    return noise_power_spectrum(np.stack(patches), spacing_mm) if patches else None
