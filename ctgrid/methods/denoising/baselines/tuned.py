"""Parameters of the classical filters, tuned on the validation volume.

By ``benchmarks/tune_baselines.py`` on three slices of ``rider_0117`` (RIDER Pilot, the lung bases) with white
noise of 50, 100, 200 and 400 HU, for the highest PSNR; the patch-based filter on the middle of one slice. The test
volume had no part in it. In between, the set tuned at the nearest noise by ratio is used: what is named by
multiples of the noise follows it. docs/measured/filters.md has the scores.
"""

from __future__ import annotations

from typing import Any

_WAVELET = {"mode": "soft", "shrinkage": "BayesShrink", "levels": 5, "shifts": 3}
_PATCH_BASED = {"samples": 50, "bandwidth": 3.0, "spread_px": 10.0}

TUNED: dict[str, dict[float, dict[str, Any]]] = {
    "bilateral": {
        50.0: {"window": 5, "colour": 2.5, "spatial_px": 4.0},
        100.0: {"window": 5, "colour": 3.0, "spatial_px": 4.0},
        200.0: {"window": 5, "colour": 3.0, "spatial_px": 4.0},
        400.0: {"window": 5, "colour": 5.0, "spatial_px": 4.0},
    },
    "nlm": {
        50.0: {"patch": 5, "distance": 5, "h": 0.8, "sigma": 1.0},
        100.0: {"patch": 5, "distance": 4, "h": 0.8, "sigma": 1.1},
        200.0: {"patch": 7, "distance": 6, "h": 0.6, "sigma": 1.05},
        400.0: {"patch": 7, "distance": 8, "h": 0.4, "sigma": 1.1},
    },
    "tv": {
        50.0: {"weight": 0.7, "steps": 100},
        100.0: {"weight": 0.8, "steps": 200},
        200.0: {"weight": 0.9, "steps": 200},
        400.0: {"weight": 1.0, "steps": 200},
    },
    "wavelet": {
        50.0: {**_WAVELET, "name": "db2", "sigma": 1.2},
        100.0: {**_WAVELET, "name": "db2", "sigma": 1.0},
        200.0: {**_WAVELET, "name": "coif2", "sigma": 1.0},
        400.0: {**_WAVELET, "name": "haar", "sigma": 1.0},
    },
    "curvature-flow": {50.0: {"time": 1.0}, 100.0: {"time": 1.0}, 200.0: {"time": 1.0}, 400.0: {"time": 1.25}},
    "anisotropic-diffusion": {
        50.0: {"time": 0.5, "conductance": 1.5},
        100.0: {"time": 0.5, "conductance": 3.0},
        200.0: {"time": 0.5, "conductance": 4.0},
        400.0: {"time": 0.5, "conductance": 4.0},
    },
    "patch-based": {
        50.0: {**_PATCH_BASED, "radius": 2, "iterations": 10},
        100.0: {**_PATCH_BASED, "radius": 3, "iterations": 20},
        200.0: {**_PATCH_BASED, "radius": 1, "iterations": 20, "bandwidth": 12.0},
        400.0: {**_PATCH_BASED, "radius": 3, "iterations": 20, "bandwidth": 12.0},
    },
}
