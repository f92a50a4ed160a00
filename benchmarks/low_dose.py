"""Validate simulated low doses: projector, noise against dose, noise-power spectrum, HU bias, streaks, speed.

    python benchmarks/low_dose.py                            # prints one JSON object; a few minutes on two cores
    python benchmarks/low_dose.py --figures docs/images      # and draws low-dose-slices.png and low-dose-nps.png

Everything is measured on water cylinders and phantoms; no scan is needed.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ctgrid.data.simulate import labelled_phantom, low_dose
from ctgrid.data.simulate.phantom import phantom_slice
from ctgrid.data.simulate.photons import MU_WATER_PER_MM
from ctgrid.data.simulate.projector import project, reconstruct, scanner_for
from ctgrid.metrics.spectrum import noise_power_spectrum, noise_power_spectrum_2d
from ctgrid.scan.volume import Volume

PIXEL_MM, SIDE = 0.7, 512
DOSES = (0.5, 0.25, 0.1)
SLICES = 16
SHOULDERS_MM = 244


def cylinder(diameter_mm: float) -> Volume:
    """Water in air, with rods of lung (-850 HU) and bone (700 HU)."""
    c = (np.arange(SIDE) - (SIDE - 1) / 2) * PIXEL_MM
    y, x = c[:, None], c[None, :]
    plane = np.where(x**2 + y**2 < (diameter_mm / 2) ** 2, 0.0, -1000.0).astype(np.float32)
    plane[(x - 50) ** 2 + y**2 < 25**2] = -850
    plane[(x + 50) ** 2 + y**2 < 12**2] = 700
    return Volume(np.repeat(plane[None], SLICES, 0), np.diag([-PIXEL_MM, -PIXEL_MM, 2.5, 1.0]))


def patch(noise: np.ndarray, y_mm: float, x_mm: float, half_mm: float) -> np.ndarray:
    """Cut a square around a place."""
    cy, cx, h = (round(mm / PIXEL_MM) for mm in (y_mm, x_mm, half_mm))
    middle = SIDE // 2
    return noise[:, middle + cy - h : middle + cy + h, middle + cx - h : middle + cx + h]


def projector_accuracy() -> dict[str, Any]:
    """A disc of water: line integrals against the chord, and its exact projections reconstructed."""
    rows = {}
    for beam in ("fan", "parallel"):
        scanner = scanner_for((SIDE, SIDE), (PIXEL_MM, PIXEL_MM), beam)  # type: ignore[arg-type]
        fine = (np.arange(SIDE * 4) - (SIDE * 4 - 1) / 2) * PIXEL_MM / 4
        disc = ((fine[None] - 20) ** 2 + (fine[:, None] + 30) ** 2 < 100**2).astype(np.float32)
        disc = disc.reshape(SIDE, 4, SIDE, 4).mean((1, 3)) * MU_WATER_PER_MM
        theta, t = scanner.lines()
        exact = 2 * MU_WATER_PER_MM * (100**2 - (t - 20 * theta.cos() + 30 * theta.sin()) ** 2).clamp(min=0).sqrt()
        error = project(torch.from_numpy(disc)[..., None], scanner)[..., 0] - exact
        image = reconstruct(exact.float()[..., None], scanner, 0.5 / PIXEL_MM)[..., 0].numpy()
        c = (np.arange(SIDE) - (SIDE - 1) / 2) * PIXEL_MM
        inside = (c[None] - 20) ** 2 + (c[:, None] + 30) ** 2 < 90**2
        hu = (image[inside] / MU_WATER_PER_MM - 1) * 1000
        rows[beam] = {
            "line_integral_rms_percent_of_longest": 100 * float(error.square().mean().sqrt() / exact.max()),
            "disc_mean_error_hu": float(hu.mean()),
            "disc_sd_hu": float(hu.std()),
        }
    return rows


def noise_against_dose() -> dict[str, Any]:
    """Added noise in the middle of water, and what the law of 1/dose - 1 expects of the first dose's."""
    rows: dict[str, Any] = {}
    for diameter in (200, 300):
        scan = cylinder(diameter)
        for electronic in (0.0, 10.0):
            sds = {}
            for dose in DOSES:
                noise = low_dose(scan, dose, photons=2e5, electronic_noise=electronic).hu - scan.hu
                sds[dose] = float(patch(noise, -40, 0, 15).std())
            first = sds[DOSES[0]]
            rows[f"{diameter} mm, electronic noise {electronic:g}"] = {
                str(dose): {"sd_hu": sd, "expected_hu": first * (1 / dose - 1) ** 0.5} for dose, sd in sds.items()
            }
    return rows


def spectra() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Noise-power spectra of the noise that a quarter of the dose adds in water, for three kernels."""
    scan, curves = cylinder(200), {}
    for cutoff in (0.5, 0.7, 1.0):
        noise = low_dose(scan, 0.25, photons=2e5, cutoff_per_mm=cutoff).hu - scan.hu
        curves[f"cut-off {cutoff:g} per mm"] = noise_power_spectrum(patch(noise, -40, 0, 22.4), PIXEL_MM)
    return curves


def hu_bias() -> dict[str, Any]:
    """Mean of the added noise in water, lung and bone at a quarter and a tenth of the dose."""
    rows: dict[str, Any] = {}
    for diameter in (200, 300, 400):
        scan = cylinder(diameter)
        for dose in (0.25, 0.1):
            noise = low_dose(scan, dose, photons=2e5).hu - scan.hu
            rows[f"{diameter} mm, dose {dose:g}"] = {
                "water": float(patch(noise, -40, 0, 15).mean()),
                "lung": float(noise[scan.hu == -850].mean()),
                "bone": float(noise[scan.hu == 700].mean()),
            }
    return rows


def streaks(seed: int = 2) -> dict[str, Any]:
    """Between the shoulders: power of waves along y (streaks from left to right) over that of waves along x."""
    size = (1.0, 400 / SIDE, 400 / SIDE)
    plane = phantom_slice(seed, SHOULDERS_MM, (300, SIDE, SIDE), size, 0.0)
    chest = phantom_slice(seed, 120, (300, SIDE, SIDE), size, 0.0)
    ratios = {}
    for name, hu in (("shoulders", plane), ("heart", chest)):
        scan = Volume(np.repeat(hu[None], SLICES, 0), np.diag([-size[2], -size[1], 1.0, 1.0]))
        noise = low_dose(scan, 0.25, photons=2e5).hu.astype(np.float32) - hu
        nps, fy, fx = noise_power_spectrum_2d(noise[:, 192:320, 192:320], size[1])
        along_y = nps[(np.abs(fy) > 0.05) & (np.abs(fy) < 0.4)][:, np.abs(fx) < 0.03].mean()
        along_x = nps[np.abs(fy) < 0.03][:, (np.abs(fx) > 0.05) & (np.abs(fx) < 0.4)].mean()
        ratios[name] = {"ratio": float(along_y / along_x), "sd_hu": float(noise[:, 192:320, 192:320].std())}
    return ratios


def on_a_phantom(seed: int = 3) -> tuple[dict[str, Any], np.ndarray]:
    """HU bias and noise of whole tissues of a phantom; and pictures' material."""
    hu, labels = labelled_phantom(seed, (SLICES, SIDE, SIDE))
    start = time.process_time()
    result = low_dose(hu, 0.25, photons=2e5)
    seconds = (time.process_time() - start) / SLICES
    noise = result.hu.astype(np.float32) - hu.hu
    groups = {"lung": labels.hu == 2, "heart": labels.hu == 5, "liver": labels.hu == 8, "bone": labels.hu == 7}
    rows: dict[str, Any] = {
        name: {"bias_hu": float(noise[m].mean()), "sd_hu": float(noise[m].std())} for name, m in groups.items()
    }
    rows["processor_seconds_per_slice"] = seconds
    return rows, np.stack([hu.hu, result.hu, low_dose(hu, 0.05, photons=2e5).hu])


def draw(folder: Path, curves: dict[str, tuple[np.ndarray, np.ndarray]], volumes: np.ndarray) -> None:
    """Write the two figures of docs/simulate.md and docs/measured/low-dose.md."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from PIL import Image, ImageDraw

    figure, axis = pyplot.subplots(figsize=(6, 3.4), dpi=110)
    for name, (frequency, nps) in curves.items():
        axis.plot(frequency, nps, label=name)
    axis.set(xlabel="spatial frequency in 1/mm", ylabel="NPS in HU² mm²", xlim=(0, 0.75), ylim=(0, None))
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(folder / "low-dose-nps.png")
    rows = []
    for z, (low, high) in ((13, (-160, 240)), (7, (-1000, 400))):
        crop = volumes[:, z, 70:400, 6:506].astype(np.float32)
        rows.append(np.hstack(list((crop - low) / (high - low))))
    image = Image.fromarray((np.vstack(rows).clip(0, 1) * 255).astype(np.uint8))
    image = image.resize((1080, round(1080 * image.height / image.width)), Image.Resampling.LANCZOS)
    for i, text in enumerate(("phantom", "dose 0.25", "dose 0.05")):
        ImageDraw.Draw(image).text((i * 360 + 8, 6), text, fill=255)
    image.quantize(48).save(folder / "low-dose-slices.png", optimize=True)


def rounded(value: Any) -> Any:
    """Keep three digits."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return float(f"{value:.3g}") if isinstance(value, float) else value


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figures", type=Path, metavar="DIR", help="folder for the two figures")
    folder = parser.parse_args().figures
    curves = spectra()
    phantom_rows, volumes = on_a_phantom()
    report = {
        "projector": projector_accuracy(),
        "noise_against_dose": noise_against_dose(),
        "nps_peak_per_mm": {name: float(f[nps.argmax()]) for name, (f, nps) in curves.items()},
        "nps_at_lowest_frequency_over_peak": {name: float(nps[0] / nps.max()) for name, (_, nps) in curves.items()},
        "hu_bias": hu_bias(),
        "streak_anisotropy": streaks(),
        "phantom": phantom_rows,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(rounded(report), indent=2))
    if folder is not None:
        draw(folder, curves, volumes)


if __name__ == "__main__":
    main()
