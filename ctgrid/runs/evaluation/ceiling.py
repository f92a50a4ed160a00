"""How well a codec alone gives a scan back: the ceiling for whatever is made in its latents.

Slices are compared in HU with what the codec was given (framed to a square and clipped to [-1000, 1000] HU, as
every model here gets them), at full size; as cells, each encoded alone; and as cells of whole grid images.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.metrics.reconstruction import ssim
from ctgrid.scan.geometry import reorient
from ctgrid.scan.grid import downsample, from_grid, to_grid
from ctgrid.scan.protocols.canonical import DISPLAY, to_canonical
from ctgrid.scan.protocols.resample import denormalise
from ctgrid.scan.volume import Volume
from ctgrid.scan.windows import FULL_WINDOW_HU, LUNG_WINDOW_HU, SOFT_TISSUE_WINDOW_HU
from ctgrid.stages.codecs.codecs import Codec

WINDOWS_HU = {"full": FULL_WINDOW_HU, "lung": LUNG_WINDOW_HU, "soft_tissue": SOFT_TISSUE_WINDOW_HU}
"""Windows that both images are clipped to; their width is the data range of PSNR and SSIM."""
MOST_SLICES = 32
"""Slices looked at where none are named: evenly spaced."""
SMALLEST_CELL = 16
"""Pixels: SSIM's Gaussian needs 11."""


@dataclass
class _Tally:
    """Sums over the slices of one size."""

    slices: list[int] = field(default_factory=list)
    error: list[float] = field(default_factory=list)  # mean of reconstruction - reference, by slice
    absolute: list[float] = field(default_factory=list)
    squared: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in WINDOWS_HU})
    similar: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in WINDOWS_HU})
    inside: dict[str, np.ndarray] = field(default_factory=lambda: {name: np.zeros(2) for name in WINDOWS_HU})

    def add(self, numbers: list[int], made: Tensor, given: Tensor) -> None:
        """Compare slices (n, 1, h, w) in [-1, 1]."""
        pairs = zip(numbers, denormalise(made[:, 0].numpy()), denormalise(given[:, 0].numpy()), strict=True)
        for number, ours, reference in pairs:
            difference = (ours - reference).astype(np.float64)
            self.slices.append(number)
            self.error.append(float(difference.mean()))
            self.absolute.append(float(np.abs(difference).mean()))
            for name, (low, high) in WINDOWS_HU.items():
                a, b = ours.clip(low, high), reference.clip(low, high)
                self.squared[name].append(float(np.mean((a.astype(np.float64) - b) ** 2)))
                self.similar[name].append(ssim(a, b, high - low))
                within = (reference > low) & (reference < high)
                self.inside[name] += difference[within].sum(), within.sum()

    def report(self) -> dict[str, Any]:
        """Return the figures of all slices together, and the worst slice, by window."""
        windows = {}
        for name, (low, high) in WINDOWS_HU.items():
            squared = np.array(self.squared[name])
            worst = int(squared.argmax())
            total, count = self.inside[name]
            windows[name] = {
                "window_hu": [low, high],
                "data_range_hu": high - low,
                "psnr_db": _psnr(squared.mean(), high - low),
                "ssim": float(np.mean(self.similar[name])),
                "bias_hu": float(total / count) if count else None,
                "worst_slice": self.slices[worst],
                "worst_psnr_db": _psnr(squared[worst], high - low),
            }
        rmse = float(np.sqrt(np.mean(self.squared["full"])))
        means = {"bias_hu": float(np.mean(self.error)), "mae_hu": float(np.mean(self.absolute)), "rmse_hu": rmse}
        full = {key: windows["full"][key] for key in ("psnr_db", "ssim", "worst_slice", "worst_psnr_db")}
        return {**full, **means, "windows": windows}


def codec_ceiling(
    volume: Volume,
    codec: Codec,
    *,
    size: int = 512,
    k: int = 4,
    slices: slice | None = None,
    batch_size: int = 1,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Encode and decode slices of a scan and compare.

    Args:
        volume: the scan, in HU, in any orientation.
        codec: the autoencoder, on its device.
        size: S, pixels of a slice's side.
        k: cells along a grid's side; cells have S/k pixels.
        slices: which axial slices, numbered from the feet; None takes at most 32, evenly spaced.
        batch_size: full slices at once.
        progress: called after every slice.

    Returns:
        ``size``, ``k``, ``slices`` (their numbers), ``phases`` (seconds), and for ``full``, ``cells`` (each encoded
        alone) and ``grids`` (cells of grid images encoded as a whole): PSNR in dB, SSIM, bias, mean absolute and
        root mean square error in HU, the worst slice, and the same in each of :data:`WINDOWS_HU`. A window's PSNR
        is that of all slices together; its bias is over the voxels whose reference lies inside it.

    Raises:
        CtgridError: where the size does not fit the codec or no slice is chosen.
    """
    step = k * codec.downsample
    if size % step or size < k * SMALLEST_CELL:
        raise CtgridError(f"size must be a multiple of {step} and at least {k * SMALLEST_CELL}, got {size}")
    hu, affine = reorient(volume.hu, volume.affine, DISPLAY)
    numbers = choose_slices(len(hu), slices)
    tallies = {"full": _Tally(), "cells": _Tally(), "grids": _Tally()}
    phases = {"codec": 0.0, "compare": 0.0}

    def compared(kind: str, group: list[int], given: Tensor, through: Callable[[Tensor], Tensor]) -> None:
        started = time.perf_counter()
        made = through(given)[: len(group)]
        middle = time.perf_counter()
        tallies[kind].add(group, made, given[: len(group)])
        phases["codec"] += middle - started
        phases["compare"] += time.perf_counter() - middle

    for first in range(0, len(numbers), k * k):
        group = numbers[first : first + k * k]
        images = torch.from_numpy(to_canonical(Volume(hu[group], affine), size)[0])[:, None]
        for start in range(0, len(group), batch_size):
            part = slice(start, start + batch_size)
            compared("full", group[part], images[part], lambda batch: _through(codec, batch))
            progress("full slices", first + min(start + batch_size, len(group)), len(numbers))
        cells = downsample(images, k).clamp(-1, 1)
        compared("cells", group, cells, lambda batch: _through(codec, batch))
        filled = torch.cat([cells, cells[-1:].expand(k * k - len(group), -1, -1, -1)])  # a last grid may be short
        compared("grids", group, filled, lambda batch: from_grid(_through(codec, to_grid(batch, k)), k))
    reports = {kind: tally.report() for kind, tally in tallies.items()}
    return {"size": size, "k": k, "cell": size // k, "slices": numbers, "phases": phases, **reports}


def choose_slices(count: int, chosen: slice | None) -> list[int]:
    """Return the numbers of the slices to look at, ascending.

    Args:
        count: slices of the scan.
        chosen: Python's A:B:STEP; None takes at most :data:`MOST_SLICES`, evenly spaced.

    Raises:
        CtgridError: where that is none.
    """
    if chosen is None:
        every = np.linspace(0, count - 1, min(count, MOST_SLICES))
        return sorted({round(float(number)) for number in every})
    numbers = sorted(range(count)[chosen])
    if not numbers:
        text = f"{chosen.start}:{chosen.stop}:{chosen.step}".replace("None", "")
        raise CtgridError(f"slices {text} choose none of the scan's slices 0 to {count - 1}")
    return numbers


def _through(codec: Codec, images: Tensor) -> Tensor:
    return codec.decode(codec.encode(images.to(codec.device))).cpu()


def _psnr(squared: float, data_range: float) -> float:
    """Return 10 log10(range² / mean squared error) in dB; infinite where nothing differs."""
    return float(10 * np.log10(data_range**2 / squared)) if squared > 0 else float("inf")
