"""Measures of denoising, super-resolution and generated volumes, with everything kept that was found."""
