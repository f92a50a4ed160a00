"""Draw the two pictures that README opens with, and those of several synthetic people and of their spines.

python benchmarks/pictures.py --chests REAL SYNTHETIC --out docs/images
python benchmarks/pictures.py --scan NOISY DENOISED --out docs/images
python benchmarks/pictures.py --people SEED0 SEED1 ... --out docs/images
python benchmarks/pictures.py --spines SEED0 SEED1 ... REAL --out docs/images

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
BONE_WINDOW_HU = (-150.0, 650.0)
SLAB_MM = 5.0
"""Thickness of a sagittal picture."""

BONE_HU = 150


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


def below(rows: list[Image.Image]) -> Image.Image:
    """Put rows below each other."""
    out = Image.new("L", (max(row.width for row in rows), SIDE * len(rows)), 255)
    for number, row in enumerate(rows):
        out.paste(row, (0, SIDE * number))
    return out


def planes(path: Path, name: str) -> list[Image.Image]:
    """Draw an axial slice at half the height and a coronal one through the middle."""
    volume = Volume.read(path).reoriented("LPS")
    z, y, x = volume.spacing_mm
    count, rows, _ = volume.shape
    axial, coronal = volume.hu[count // 2], volume.hu[::-1, rows // 2]
    return [tile(axial, (y, x), WINDOW_HU, name), tile(coronal, (z, x), WINDOW_HU, f"{name}, coronal")]


def draw_scan(noisy_path: Path, denoised_path: Path) -> Image.Image:
    """Draw a scan's middle slice before and after denoising, and what was removed."""
    before, after = (Volume.read(path).reoriented("LPS") for path in (noisy_path, denoised_path))
    middle, (_, y, x) = len(before.hu) // 2, before.spacing_mm
    noisy, clean = before.hu[middle].astype(np.float64), after.hu[middle].astype(np.float64)
    shown = [(noisy, WINDOW_HU, "noisy"), (clean, WINDOW_HU, "denoised"), (noisy - clean, REMOVED_HU, "removed")]
    return beside([tile(plane, (y, x), window, label) for plane, window, label in shown])


def draw_people(paths: list[Path]) -> Image.Image:
    """Draw volumes below each other, two in a row, at two thirds of the size."""
    rows = []
    for first in range(0, len(paths), 2):
        pair = range(first, min(first + 2, len(paths)))
        rows.append(beside([drawn for i in pair for drawn in planes(paths[i], f"seed {i}")]))
    out = below(rows)
    return out.resize((out.width * 2 // 3, out.height * 2 // 3), Image.Resampling.LANCZOS)


def draw_spines(paths: list[Path]) -> Image.Image:
    """Draw the sagittal plane through the most bone behind the middle of each volume, five in a row."""
    tiles = []
    for number, path in enumerate(paths):
        volume = Volume.read(path).reoriented("LPS")
        z, y, x = volume.spacing_mm
        count, rows, columns = volume.shape
        behind = volume.hu[count // 4 : 3 * count // 4, rows // 2 :, columns // 3 : 2 * columns // 3]
        bone = (behind > BONE_HU).sum(axis=(0, 1))
        column = columns // 3 + int(np.convolve(bone, np.ones(15), "same").argmax())
        reach = round(SLAB_MM / x / 2)
        plane = volume.hu[::-1, :, column - reach : column + reach + 1].mean(axis=2)
        name = "real" if number == len(paths) - 1 else f"seed {number}"
        tiles.append(tile(plane, (z, y), BONE_WINDOW_HU, name))
    return below([beside(tiles[first : first + 5]) for first in range(0, len(tiles), 5)])


def main() -> None:
    """Parse arguments and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chests", type=Path, nargs=2)
    parser.add_argument("--scan", type=Path, nargs=2)
    parser.add_argument("--people", type=Path, nargs="+")
    parser.add_argument("--spines", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    if given.chests:
        real, synthetic = given.chests
        drawn = beside([*planes(real, "real"), *planes(synthetic, "synthetic")])
        drawn.save(given.out / "demo.png", optimize=True)
    if given.scan:
        draw_scan(*given.scan).save(given.out / "denoised.png", optimize=True)
    if given.people:
        draw_people(given.people).quantize(64).save(given.out / "people.png", optimize=True)
    if given.spines:
        draw_spines(given.spines).quantize(64).save(given.out / "spines.png", optimize=True)


if __name__ == "__main__":
    main()
