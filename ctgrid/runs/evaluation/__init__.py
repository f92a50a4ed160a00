"""Measuring denoising: noise of known kind on clean scans, methods side by side, and planted nodules."""
