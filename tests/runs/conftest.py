"""What every evaluation writes, for the tests of descriptions and of reports."""

from __future__ import annotations

from typing import Any

import pytest

SCRIPT = "<script>alert(1)</script>"  # as a name that comes from a file


@pytest.fixture(scope="session")
def samples() -> dict[str, Any]:
    """Return what every evaluation writes, small, by kind; names hold markup."""
    denoising = [
        {
            **{"volume": f"scan {SCRIPT}", "noise": f"gaussian:{noise}", "noise_hu": noise, "method": method},
            **{"psnr": 40.0 - noise / 20 + better, "ssim": 0.8 + better / 50, "seconds": 1.5, "edge_gain": None},
        }
        for noise in (50, 100)
        for method, better in (("noisy", 0.0), ("nlm", 5.0))
    ]
    nodule = {"diameter_mm": 4.0, "contrast_hu": 200.0, "recovered": 0.75}
    nodules = [
        {
            **{"volume": "scan", "noise": "gaussian:50", "method": "nlm", "lung_litres": 1.0, "seconds": 2.0},
            **{"nodules": [nodule, {**nodule, "recovered": 0.25}], "false_per_litre": 0.5, "lost_per_litre": 3.0},
        }
    ]
    heights = [0.1, 0.5, 0.9]
    volumes = {
        "kind": "volumes",
        "protocol": {"name": "stylegan-v", "version": 1, "sha256": "ab" * 32},
        "measures": [
            {
                **{"measure": "FVD", "frames": 16, "value": 512.5, "confidence": [500.0, 525.0], "n_real": 8},
                **{"n_fake": 9, "detector": {"name": "i3d", "sha256": "cd" * 32}, "warnings": ["few samples"]},
            }
        ],
        "ct": {
            "summary": {"flicker": {"real": {"mean": 1.25, "sd": 0.5}, "fake": {"mean": 2.5, "sd": None}}},
            "distances": {"spectrum_db": {"value": 3.5, "unit": "dB", "meaning": "m", "real_each": [1.0, 2.0]}},
            "resemblance": {
                "figures": {
                    "streaks": {"unit": "share", "real": {"min": 0.5}, "fake": {"median": 0.9}, "outside": True}
                },
                "notes": ["part of a chest"],
            },
            "curves": {"lung_mm2": {"relative_z": heights, "real": [1.0, 3.0, 2.0], "fake": [1.0, 2.0, 2.0]}},
            "warnings": ["one spacing"],
        },
        "memorisation": {
            **{"verdict": "new", "reference": "test-to-train", "warnings": []},
            "samples": [{"name": "a", "verdict": "new", "near_share": 0.01, "nearest_slice": {"ssim": 0.5}}],
        },
    }
    row = {"volume": "scan", "psnr": 35.25, "ssim": 0.9, "ms_ssim": 0.95, "seconds": 1.0}
    upscaled = {
        "kind": "super-resolution",
        "rows": [{**row, "method": "bicubic"}, {**row, "method": "stage 2", "psnr": 37.5}],
    }
    means = {name: {"seeds": 1, "fd": {"mean": fd, "min": fd, "max": fd}} for name, fd in (("2-d", 5.5), ("3-d", 4.5))}
    ablation = {
        "kind": "ablation",
        "name": "positions",
        "title": "Positions",
        "complete": False,
        "summary": means,
        "rows": [],
    }
    window = {"window_hu": [-1000, 1000], "psnr_db": 40.0, "ssim": 0.95}
    way = {"windows": {"full": window}, "bias_hu": -0.5, "worst_slice": 3, "worst_psnr_db": 35.0}
    ceiling = {"slices": [1, 3], "size": 64, "cell": 16, "full": way, "cells": way, "grids": way}
    other = {"kind": "something-else", "rows": [{"arm": "2-D", "loss": 0.5}, {"arm": "3-D", "loss": 0.25}]}
    movies = {
        **{
            "kind": "video",
            "protocol": volumes["protocol"],
            "measures": volumes["measures"],
            "left_out": ["FID: no file"],
        },
        "flicker": [
            {"frames": 16, "real": 2.5, "real_sd": 0.5, "n_real": 3, "fake": 3.5, "fake_sd": None, "n_fake": 1}
        ],
        "pairs": [{"clip": SCRIPT, "frames": 16, "psnr": 30.0, "ssim": 0.9}, {"clip": "b", "psnr": 40.0, "ssim": 0.95}],
    }
    return {
        **{"denoising": denoising, "nodules": nodules, "volumes": volumes, "video": movies},
        **{"super-resolution": upscaled, "ablation": ablation, "rows": other, "ceiling": ceiling},
    }
