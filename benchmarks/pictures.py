"""Draw the two pictures that README opens with.

python benchmarks/pictures.py --real REAL --synthetic SYNTHETIC --noisy NOISY --denoised DENOISED --out docs/images

REAL and SYNTHETIC are whole chests, NOISY and DENOISED the same scan before and after ``ctgrid denoise``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ctgrid import Volume

SIDE = 300
"""Pixels of a tile's height."""

WINDOW_HU = (-1000.0, 400.0)
REMOVED_HU = (-300.0, 300.0)


def tile(plane: np.ndarray, spacing_mm: tuple[float, float], window: tuple[float, float], label: str) -> Image.Image:
    """Draw a plane (rows, columns) in HU in its true proportions, with a label."""
    low, high = window
    gray = Image.fromarray((np.clip((plane - low) / (high - low), 0, 1) * 255).astype(np.uint8))
    width = round(SIDE * plane.shape[1] * spacing_mm[1] / (plane.shape[0] * spacing_mm[0]))
    out = gray.resize((width, SIDE), Image.Resampling.LANCZOS)
    ImageDraw.Draw(out).text((8, 6), label, fill=255, font=ImageFont.load_default(15), stroke_width=2, stroke_fill=0)
    return out


def beside(tiles: list[Image.Image]) -> Image.Image:
    """Put tiles side by side."""
    gap = 4
    out = Image.new("L", (sum(t.width for t in tiles) + gap * (len(tiles) - 1), SIDE), 255)
    left = 0
    for one in tiles:
        out.paste(one, (left, 0))
        left += one.width + gap
    return out


def planes(path: Path, name: str) -> list[Image.Image]:
    """Draw an axial slice at half the height and a coronal one through the middle."""
    volume = Volume.read(path).reoriented("LPS")
    z, y, x = volume.spacing_mm
    count, rows, _ = volume.shape
    axial, coronal = volume.hu[count // 2], volume.hu[::-1, rows // 2]
    return [tile(axial, (y, x), WINDOW_HU, name), tile(coronal, (z, x), WINDOW_HU, f"{name}, coronal")]


def main() -> None:
    """Parse arguments and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("real", "synthetic", "noisy", "denoised", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    drawn = beside([*planes(given.real, "real"), *planes(given.synthetic, "synthetic")])
    drawn.save(given.out / "demo.png", optimize=True)

    before, after = (Volume.read(path).reoriented("LPS") for path in (given.noisy, given.denoised))
    middle, (_, y, x) = len(before.hu) // 2, before.spacing_mm
    noisy, clean = before.hu[middle].astype(np.float64), after.hu[middle].astype(np.float64)
    shown = [(noisy, WINDOW_HU, "noisy"), (clean, WINDOW_HU, "denoised"), (noisy - clean, REMOVED_HU, "removed")]
    beside([tile(plane, (y, x), window, label) for plane, window, label in shown]).save(
        given.out / "denoised.png", optimize=True
    )


if __name__ == "__main__":
    main()
