"""Noisy versions of scans: drawn from the seed alone, of the level that is told, cut where there is too much."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from ctgrid.base.draws import generator_for
from ctgrid.data import pairs
from ctgrid.data.pairs import DEEPEST, make_pairs, with_white_noise
from ctgrid.data.volumes import VolumeSlices
from ctgrid.scan.volume import Volume


def volume(slices: int, name: str = "a") -> VolumeSlices:
    """Slices that are told apart by their value."""
    hu = torch.arange(slices, dtype=torch.int16).view(-1, 1, 1).expand(-1, 16, 16).contiguous()
    return VolumeSlices(name, hu, (2.0, 0.7, 0.8))


def made(volumes: list[VolumeSlices], **changes: Any) -> tuple[list[pairs.NoisyPair], list[Any]]:
    """Make pairs with a diffusion that takes 1 HU away, and return what it was asked."""
    asked: list[Any] = []

    def diffuse(noisy: Volume, noise_hu: float, seed: int, place: tuple[int, int]) -> Volume:
        asked.append((noisy, noise_hu, seed, place))
        return Volume(noisy.hu.astype(np.float32) - np.float32(1.4), noisy.affine)

    settings = {"versions": 2, "levels_hu": (10.0, 40.0), "low_dose_share": 0.0, "seed": 5} | changes
    return make_pairs(volumes, diffuse, **settings), asked


def test_a_version_is_a_part_of_the_scan_with_its_noise_and_prior() -> None:
    steps: list[tuple[int, int]] = []
    found, asked = made([volume(60), volume(7, "b")], progress=lambda what, done, of: steps.append((done, of)))
    assert [pair.name for pair in found] == ["a", "a", "b", "b"] and steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for pair, (noisy, level, seed, (first, whole)) in zip(found, asked, strict=True):
        depth = min(DEEPEST, whole)
        assert whole == (60 if pair.name == "a" else 7) and 0 <= first <= whole - depth and seed in (5, 6)
        assert pair.clean[:, 0, 0].tolist() == list(range(first, first + depth))
        assert np.allclose(np.abs(np.diag(noisy.affine)[:3]), (0.8, 0.7, 2.0))
        assert pair.clean.dtype == pair.noisy.dtype == pair.prior.dtype == torch.int16
        assert torch.equal(pair.prior, pair.noisy - 1)
        assert 10 <= pair.noise_hu <= 40 and level == pair.noise_hu
        assert float((pair.noisy - pair.clean).float().std()) == pytest.approx(level, rel=0.1)
    assert len({float(pair.noise_hu) for pair in found}) == 4


def test_the_seed_decides_and_a_volume_is_drawn_alone() -> None:
    """More volumes or versions change none of those before."""
    few, _ = made([volume(60)])
    more, _ = made([volume(60), volume(50, "b")], versions=2)
    other, _ = made([volume(60)], seed=6)
    assert all(torch.equal(a.noisy, b.noisy) for a, b in zip(few, more[:2], strict=True))
    assert not torch.equal(few[0].noisy, other[0].noisy)


def test_levels_are_spread_evenly_by_their_logarithm_and_half_are_clipped() -> None:
    hu = torch.full((1, 8, 8), -1000.0)
    levels, clipped = [], 0
    for number in range(300):
        noisy, level = with_white_noise(hu, generator_for(number), (5.0, 80.0))
        levels.append(math.log(level / 5) / math.log(80 / 5))
        clipped += bool(noisy.min() >= -1000)
        assert torch.equal(noisy, noisy.round())
    assert abs(np.mean(levels) - 0.5) < 0.06 and min(levels) < 0.05 and max(levels) > 0.95
    assert 120 < clipped < 180


def test_a_share_gets_the_noise_of_a_lower_dose(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told the level that would be measured, of at least 1 HU, as evaluations tell it."""
    doses: list[float] = []

    def low_dose(scan: Volume, dose: float, *, seed: int) -> Volume:
        doses.append(dose)
        return Volume(scan.hu.astype(np.float32) + np.float32(0.6), scan.affine)

    monkeypatch.setattr("ctgrid.data.simulate.low_dose", low_dose)
    monkeypatch.setattr(pairs, "estimate_noise", lambda volume: 0.25)
    found, _ = made([volume(5)], versions=40, low_dose_share=0.5)
    assert 10 < len(doses) < 30 and all(0.04 <= dose <= 0.5 for dose in doses)
    low = [pair for pair in found if pair.noise_hu == 1.0]
    assert len(low) == len(doses) and all(torch.equal(pair.noisy, pair.clean + 1) for pair in low)
