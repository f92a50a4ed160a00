"""What denoising needs besides the models: the estimate of a scan's noise."""

from __future__ import annotations

from ctgrid.scan.noise import estimate_noise, estimate_noise_per_slice

__all__ = ["estimate_noise", "estimate_noise_per_slice"]
