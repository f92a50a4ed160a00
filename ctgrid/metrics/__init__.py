"""Measures of single images and of sequences of slices."""

from __future__ import annotations

from ctgrid.metrics.edges import edge_gain, gradient_correlation
from ctgrid.metrics.flicker import flicker
from ctgrid.metrics.frechet import frechet_distance
from ctgrid.metrics.kernel import kernel_distance
from ctgrid.metrics.reconstruction import ms_ssim, psnr, ssim
from ctgrid.metrics.sequence import seam_ratio, slice_steps
from ctgrid.metrics.spectrum import noise_power_spectrum
from ctgrid.metrics.vif import vif

__all__ = [
    "edge_gain",
    "flicker",
    "frechet_distance",
    "gradient_correlation",
    "kernel_distance",
    "ms_ssim",
    "noise_power_spectrum",
    "psnr",
    "seam_ratio",
    "slice_steps",
    "ssim",
    "vif",
]
