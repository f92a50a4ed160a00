"""Measures of single images and of sequences of slices."""

from __future__ import annotations

from ctgrid.metrics.reconstruction import psnr, ssim
from ctgrid.metrics.sequence import seam_ratio, slice_steps

__all__ = ["psnr", "seam_ratio", "slice_steps", "ssim"]
