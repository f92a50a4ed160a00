"""Noise estimated, scans denoised, and how far results may be off. A face: what it names lives on the storeys below."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    "ctgrid",
    submod_attrs={
        "methods.denoising.methods": ["METHODS", "denoise", "load_method"],
        "methods.denoising.trust.maps": ["Trust", "trust_of"],
        "scan.noise": ["estimate_noise", "estimate_noise_per_slice"],
    },
)
