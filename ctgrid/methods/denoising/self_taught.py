"""Learn from the scan itself: the detail network, taught the scan's own noise by recorrupting it, no clean scan needed.

Noise z is drawn that is like the scan's own (:mod:`ctgrid.scan.own_noise`) and added to the scan y, as a y + α z. Among
all guesses from that, (α + 1/α) z has its least squares where the noise of y + α z itself has (Pang et al. 2021,
Recorrupted-to-Recorrupted, CVPR): so z, which is known, stands for the noise, which is not, of whatever grain.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctgrid.base.draws import generator_for, integer
from ctgrid.base.precision import autocast
from ctgrid.base.progress import Progress, silent
from ctgrid.base.settings import gather, spelled_out
from ctgrid.methods.denoising.detail import (
    SEEN_HU,
    SEEN_SIGMAS,
    DetailDenoiser,
    floor_of,
    padding_values,
    remove_noise,
    slice_levels,
    without_padding,
)
from ctgrid.methods.denoising.result import LEAST_HU, DenoiseResult, noise_of, untouched
from ctgrid.methods.denoising.settings import SelfSettings, Strength
from ctgrid.methods.pipeline import Stopwatch
from ctgrid.scan.ct import require_ct
from ctgrid.scan.geometry import reorient
from ctgrid.scan.noise import smoothed
from ctgrid.scan.own_noise import OwnNoise, measure_own_noise
from ctgrid.scan.volume import Volume
from ctgrid.scan.windows import AIR_HU
from ctgrid.stages.networks.detail import UNIT_HU

ALPHA = 0.5
"""Of the noise that is added: little, so that what is learned with it holds for the scan as it is."""

CROP, TOGETHER = 128, 4
"""Pixels along an example, and examples in a step."""

LEARNING_RATE, WARM_UP = 1e-4, 20
KEPT = 0.99
"""Of the weights' running mean, at every step."""

HELD_OUT = 8
"""Every so many slices one is not learned from: there it is seen whether learning helped."""

CHECKED = 32
"""Examples there."""

COUNTED = (0.65, 1.5)
"""Of the noise's variance, between which it may well lie: what is drawn may be a fifth too strong, in HU, or too weak.
What is learned from the first takes anatomy away, from the other leaves noise, and its own error would show neither.
Where neighbouring slices are alike, that may be anatomy, and then as much again differs: the first is less by both."""

KNOTS_HU = {"air": AIR_HU, "lung": -800.0, "body": 0.0}
"""Values that what is learned is worth a share of its own at; between two of them the share is between theirs."""

LEAST_SHARE, LEAST_PIXELS = 0.05, 0.01
"""A smaller share counts as none, and so does that of tissue which fewer of the pixels there show."""

TISSUE_HU, LEAST_TISSUE, TRIES = -900, 0.2, 6
"""Crops with less than that share above are drawn anew, so often."""


@dataclass(frozen=True)
class Lesson:
    """What is learned from.

    Attributes:
        hu: (n, y, x), axial slices from the feet.
        noise: what theirs is like.
        neighbours: slices on either side that the network sees.
        floor_hu: what lies below is cut off; None where nothing is.
    """

    hu: np.ndarray
    noise: OwnNoise
    neighbours: int
    floor_hu: float | None

    def batch(self, slices: np.ndarray, count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Draw examples.

        Args:
            slices: numbers of those to draw from.
            count: of examples.
            generator: what is drawn comes from it.

        Returns:
            What the network sees (B, 2 n + 1, c, c) and is to predict (B, 1, c, c), in units; the noise that it is told
            (B,) in HU; 1 where the answer counts and 0 where values were cut off (B, 1, c, c).
        """
        seen, wanted, told, counts = zip(*(self._example(slices, generator) for _ in range(count)), strict=True)
        return torch.stack(seen), torch.stack(wanted), torch.tensor(told), torch.stack(counts)

    def _example(self, slices: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Tensor, float, Tensor]:
        sides = [min(CROP, n) for n in self.hu.shape[1:]]
        for _ in range(TRIES):
            z = int(slices[integer(0, len(slices), generator)])
            corner = [integer(0, n - side + 1, generator) for n, side in zip(self.hu.shape[1:], sides, strict=True)]
            y, x = (slice(start, start + side) for start, side in zip(corner, sides, strict=True))
            if (self.hu[z, y, x] > TISSUE_HU).mean() >= LEAST_TISSUE:
                break
        low, high = max(0, z - self.neighbours), min(len(self.hu) - 1, z + self.neighbours)
        around = np.clip(np.arange(z - self.neighbours, z + self.neighbours + 1), low, high)
        added = self.noise.draw(low, high - low + 1, (y, x), generator)[around - low]
        noisy = torch.from_numpy(self.hu[around, y, x].astype(np.float32))
        level = float(self.noise.levels[z])
        counts = torch.ones(1, *sides)
        if self.floor_hu is not None:
            middle = noisy[self.neighbours][None]
            mean = torch.nn.functional.avg_pool2d(middle[None], 9, 1, 4, count_include_pad=False)[0]
            counts = (mean > self.floor_hu + 2 * level).float()
        told = level * (1 + ALPHA**2) ** 0.5
        reach = SEEN_HU + SEEN_SIGMAS * told
        seen = (noisy + ALPHA * added).clamp(-reach, reach) / UNIT_HU
        wanted = (ALPHA + 1 / ALPHA) * added[self.neighbours][None] / UNIT_HU
        turns, mirrored = integer(0, 4, generator), integer(0, 2, generator)
        if sides[0] == sides[1]:
            seen, wanted, counts = (torch.rot90(part, turns, (-2, -1)) for part in (seen, wanted, counts))
        if mirrored:
            seen, wanted, counts = (part.flip(-1) for part in (seen, wanted, counts))
        return seen, wanted, told, counts


def lesson_of(hu: np.ndarray, spacing_mm: tuple[float, float], levels: np.ndarray, neighbours: int) -> Lesson:
    """Look at a scan and return what is learned from it.

    Args:
        hu: (n, y, x), axial slices from the feet.
        spacing_mm: of the pixels (y, x).
        levels: (n,) noise of each, HU.
        neighbours: slices on either side that the network sees.
    """
    padding = padding_values(hu)
    inside = without_padding(hu, padding)
    return Lesson(inside, measure_own_noise(inside, spacing_mm, levels), neighbours, floor_of(hu, padding))


def learn(
    network: Any,
    lesson: Lesson,
    how: SelfSettings,
    *,
    device: torch.device,
    dtype: torch.dtype,
    progress: Progress = silent,
) -> tuple[Any, dict[str, Any]]:
    """Teach a copy of a network the scan; return it, or the network itself where that is better, and what was done.

    Args:
        network: predicts noise; it stays as it is.
        lesson: the scan.
        how: steps and minutes at most, and the seed.
        device: where the network is.
        dtype: it computes in.
        progress: called after every step.

    Returns:
        The network in evaluation mode, and ``steps_done``, ``learned`` (false where it did not help), ``shares`` of
        what was learned that are taken in air, lung and body, and ``error_before`` and ``error_after`` on slices that
        were not learned from, of the start and of the result, over what no network could lower.
    """
    numbers = np.arange(len(lesson.hu))
    held = numbers[HELD_OUT // 2 :: HELD_OUT] if len(numbers) >= HELD_OUT else numbers
    own = np.setdiff1d(numbers, held) if len(numbers) >= HELD_OUT else numbers
    pupil = copy.deepcopy(network).requires_grad_(True).train()
    mean = copy.deepcopy(network)
    optimiser = torch.optim.Adam(pupil.parameters(), lr=LEARNING_RATE)
    ends = time.monotonic() + 60 * how.learn_minutes
    done = 0
    for done in range(1, how.learn_steps + 1):
        rate = min(1.0, done / WARM_UP) * 0.5 * (1 + np.cos(np.pi * (done - 1) / how.learn_steps))
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * rate
        optimiser.zero_grad()
        batch = lesson.batch(own, TOGETHER, generator_for(how.seed, done))
        _error(pupil, batch, device, dtype).backward()
        optimiser.step()
        with torch.no_grad():
            share = 1 - min(KEPT, done / (done + 10))
            for kept, new in zip(mean.parameters(), pupil.parameters(), strict=True):
                kept.lerp_(new, share)
        progress("learning from the scan", done, how.learn_steps)
        if time.monotonic() > ends:
            break
    unseen = _unseen(lesson, held, how.seed)
    shares = _worth(network, mean, unseen, lesson.noise.along_z, device, dtype)
    both = Blend(network, mean, shares).eval()
    before, after = (_mean_error(each, unseen, device, dtype) for each in (network, both))
    learned = bool(shares.any()) and after < before
    facts: dict[str, Any] = {
        "steps_done": done,
        "learned": learned,
        "shares": dict(zip(KNOTS_HU, (shares * learned).round(2).tolist(), strict=True)),
        "error_before": round(before, 5),
        "error_after": round(after, 5),
    }
    return (both if learned else network), facts


def _error(network: Any, batch: tuple[Tensor, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the mean squared error over the noise's variance."""
    seen, wanted, told, counts = (part.to(device) for part in batch)
    with autocast(device, dtype):
        found = network.noise_of(seen, told)
    square = (found.float() - wanted).square() * counts / (told / UNIT_HU).square()[:, None, None, None]
    return square.sum() / counts.sum().clamp(min=1)


class Blend(torch.nn.Module):
    """The network that learning started from, and of what was learned the share that the tissue allows."""

    def __init__(self, start: Any, learned: Any, shares: np.ndarray) -> None:
        """Keep the two networks, and the shares at :data:`KNOTS_HU`."""
        super().__init__()
        self.start, self.learned, self.neighbours = start, learned, start.neighbours
        self.register_buffer("shares", torch.from_numpy(shares).float())

    def noise_of(self, noisy: Tensor, noise_hu: Tensor, prior: Tensor | None = None) -> Tensor:
        """Return the noise of the middle slices; as the networks' own."""
        first = self.start.noise_of(noisy, noise_hu, prior).float()
        share = torch.einsum("k,kbiyx->biyx", self.shares, nearness(noisy, first))
        return first + share * (self.learned.noise_of(noisy, noise_hu, prior).float() - first)


def nearness(noisy: Tensor, noise: Tensor) -> Tensor:
    """Return how near tissue is to each of :data:`KNOTS_HU`, (3, B, 1, y, x), of sum 1.

    Args:
        noisy: (B, 2 n + 1, y, x) in units.
        noise: of the middle slices, (B, 1, y, x).
    """
    middle = noisy[:, noisy.shape[1] // 2][:, None].float() - noise
    hu = UNIT_HU * torch.nn.functional.avg_pool2d(middle, 5, 1, 2, count_include_pad=False)
    air, lung, body = KNOTS_HU.values()
    inner = ((hu - air) / (lung - air)).clamp(0, 1)
    solid = ((hu - lung) / (body - lung)).clamp(0, 1)
    return torch.stack([1 - inner, inner * (1 - solid), solid])


def _unseen(lesson: Lesson, slices: np.ndarray, seed: int) -> list[tuple[Tensor, ...]]:
    """Draw the examples that networks are compared by, batches of :meth:`Lesson.batch` from slices not learned from."""
    numbers = range(max(1, CHECKED // TOGETHER))
    return [lesson.batch(slices, TOGETHER, generator_for(seed, 0, number + 1)) for number in numbers]


@torch.no_grad()
def _worth(
    network: Any,
    other: Any,
    batches: Sequence[tuple[Tensor, ...]],
    along_z: float,
    device: torch.device,
    dtype: torch.dtype,
) -> np.ndarray:
    """Return the share of what a network has learned that has the least error; the smaller one of :data:`COUNTED`.

    For noise N of the start and N + D of the other, N + s D is nearest to what is wanted, w, with
    s = <D, w - N> / <D, D>, where <D, w> is in proportion to the noise's variance.

    Returns:
        (3,), 0 to 1, at :data:`KNOTS_HU`.
    """
    sums = np.zeros((4, len(KNOTS_HU)))
    for batch in batches:
        seen, wanted, told, counts = (part.to(device) for part in batch)
        with autocast(device, dtype):
            first, second = (each.eval().noise_of(seen, told).float() for each in (network, other))
        change = second - first
        parts = torch.stack([change * wanted, change * first, change.square(), torch.ones_like(change)]) * counts
        sums += torch.einsum("kbiyx,qbiyx->qk", nearness(seen, first), parts).double().cpu().numpy()
    hit, had, size, pixels = sums
    least, most = COUNTED[0] * (1 - along_z) ** 2, COUNTED[1]
    shares = np.min([(counted * hit - had) / np.maximum(size, 1e-12) for counted in (least, most)], axis=0).clip(0, 1)
    return np.where((shares >= LEAST_SHARE) & (pixels >= LEAST_PIXELS * pixels.sum()), shares, 0.0)


@torch.no_grad()
def _mean_error(network: Any, batches: Sequence[tuple[Tensor, ...]], device: torch.device, dtype: torch.dtype) -> float:
    """Return the error of a network on batches, the mean of theirs."""
    return float(np.mean([float(_error(network.eval(), batch, device, dtype)) for batch in batches]))


@dataclass(frozen=True)
class SelfTaught:
    """The detail network, taught every scan anew by that scan."""

    start: DetailDenoiser

    @classmethod
    def load(cls, model: str = "embedded", device: str = "auto", dtype: str = "auto") -> SelfTaught:
        """Load the detail network that learning starts from; see :meth:`DetailDenoiser.load`."""
        return cls(DetailDenoiser.load(model, device, dtype))

    def describe(self) -> dict[str, Any]:
        """Return the model's name and hashes, and where it runs."""
        return self.start.describe()

    @property
    def folder(self) -> Path:
        """The model's."""
        return self.start.folder

    @spelled_out(SelfSettings)
    def run(
        self,
        volume: Volume,
        strength: Strength = "auto",
        *,
        only: Sequence[int] | None = None,
        progress: Progress = silent,
        **settings: Any,
    ) -> DenoiseResult:
        """Learn from one volume, and denoise it.

        Args:
            volume: the scan.
            strength: the noise in HU, or ``auto``.
            only: numbers of the slices to denoise, counted from the feet; all are learned from. None is all.
            progress: called with (phase, done, total).
            settings: see :class:`ctgrid.methods.denoising.settings.SelfSettings`.

        Raises:
            CtgridError: where the volume is no CT, or a setting is out of range.
        """
        require_ct(volume, min_slices=1)
        how, start, watch = gather(SelfSettings, settings), self.start, Stopwatch()
        with watch("estimate noise"):
            noise_hu = noise_of(volume, strength)
        recorded = {"method": "self", "strength": strength, "noise_hu": round(noise_hu, 2), **how.as_dict()}
        if noise_hu < LEAST_HU:
            return untouched(volume, noise_hu, recorded, watch.rounded())
        progress("looking at the noise", 0, 1)
        with watch("estimate noise"):
            levels, per_slice = slice_levels(volume, strength, noise_hu)
            axial = reorient(volume.hu, volume.affine, "LPS")[0]
            each = np.full(len(axial), noise_hu) if per_slice is None else smoothed(per_slice, noise_hu)
            upright = replace(volume, hu=volume.hu).reoriented("LPS")
            spacing = upright.spacing_mm[1], upright.spacing_mm[2]
            lesson = lesson_of(axial, spacing, each, start.network.neighbours)
        with watch("learn"):
            network, facts = learn(
                start.network, lesson, how, device=start.device, dtype=start.dtype, progress=progress
            )
        noise = {"along_z": round(lesson.noise.along_z, 3), "windows": lesson.noise.windows}
        with watch("detail"):
            result = remove_noise(
                volume,
                network,
                levels,
                device=start.device,
                dtype=start.dtype,
                batch_size=how.batch_size,
                only=only,
                progress=progress,
            )
        recorded |= {"learning": {**facts, "own_noise": noise}}
        return DenoiseResult(result, watch.rounded(), noise_hu, recorded, noise_per_slice_hu=per_slice)
