"""The noise-power spectrum: how strong noise is at every spatial frequency."""

from __future__ import annotations

import numpy as np

from ctgrid.base.errors import CtgridError

LEAST_SIDE = 8
"""Fewer pixels than this resolve no spectrum."""


def noise_power_spectrum(images: np.ndarray, spacing_mm: float | tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the radial noise-power spectrum of images that hold nothing but noise.

    The mean over all directions of :func:`noise_power_spectrum_2d`, in rings as wide as one step of the discrete
    Fourier transform, up to the lower of the two Nyquist frequencies. White noise of standard deviation s gives
    the constant s² · dx · dy. Frequency 0 is left out, as the mean was removed.

    Args:
        images: (n, y, x) or (y, x) noise in HU, such as the difference of two scans or a patch of water.
        spacing_mm: pixel spacing, one number or (y, x).

    Returns:
        Frequencies in 1/mm, and the NPS in HU² mm², both float64 (m,).

    Raises:
        CtgridError: the images are too small, not finite, or the spacing is not positive.
    """
    nps, fy, fx = noise_power_spectrum_2d(images, spacing_mm)
    radius = np.hypot(fy[:, None], fx[None, :])
    step = max(fy[1], fx[1])
    rings = np.rint(radius / step).astype(int)
    last = int(min(np.abs(fy).max(), np.abs(fx).max()) / step + 1e-6)
    count = np.bincount(rings.ravel())[1 : last + 1]
    frequency = np.bincount(rings.ravel(), radius.ravel())[1 : last + 1] / count
    return frequency, np.bincount(rings.ravel(), nps.ravel())[1 : last + 1] / count


def noise_power_spectrum_2d(
    images: np.ndarray, spacing_mm: float | tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the two-dimensional noise-power spectrum, averaged over images.

    NPS(u, v) = dx dy / (Nx Ny) · mean |DFT(image − mean of image)|² (ICRU Report 87, 2012), so that the
    integral over all frequencies is the variance.

    Args:
        images: (n, y, x) or (y, x) noise in HU.
        spacing_mm: pixel spacing, one number or (y, x).

    Returns:
        NPS (y, x) in HU² mm², zero frequency first, and its frequencies along y and x in 1/mm.

    Raises:
        CtgridError: the images are too small, not finite, or the spacing is not positive.
    """
    images = np.asarray(images, np.float64)
    images = images[None] if images.ndim == 2 else images
    dy, dx = (spacing_mm, spacing_mm) if isinstance(spacing_mm, int | float) else spacing_mm
    if images.ndim != 3 or len(images) == 0 or min(images.shape[1:]) < LEAST_SIDE:
        raise CtgridError(f"noise images of shape {images.shape}: (n, y, x) with sides of {LEAST_SIDE} or more needed")
    if not (dy > 0 and dx > 0):
        raise CtgridError(f"pixel spacing must be positive, got {dy:g} x {dx:g} mm")
    if not np.isfinite(images).all():
        raise CtgridError("the noise images hold NaN or infinite pixels")
    ny, nx = images.shape[1:]
    noise = images - images.mean(axis=(1, 2), keepdims=True)
    power = (np.abs(np.fft.fft2(noise)) ** 2).mean(axis=0)
    return power * (dx * dy / (nx * ny)), np.fft.fftfreq(ny, dy), np.fft.fftfreq(nx, dx)
