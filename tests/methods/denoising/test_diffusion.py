"""How far back a scan goes, in how many calls, and how much of it stays."""

from __future__ import annotations

import json

import pytest

from ctgrid.methods.denoising.diffusion import (
    COARSE_ADDED,
    REFINE_ADDED,
    STAGE2_ERROR,
    diffusion_identity,
    kept_share,
    network_calls,
    start_timesteps,
)
from ctgrid.methods.denoising.settings import Diffusion
from ctgrid.methods.denoising.starts import start_timestep
from ctgrid.scan.protocols.resample import SCALE_HU


def test_each_stage_starts_as_it_is_told() -> None:
    """At its latents' own noise, or at the multiple of the scan's that is added."""
    own, added = [start_timestep(0.4), start_timestep(0.9)], []
    added = [start_timestep(factor * 300 / SCALE_HU) for factor in (COARSE_ADDED, REFINE_ADDED)]
    assert start_timesteps(Diffusion(), 300, (0.4, 0.9)) == own
    assert start_timesteps(Diffusion(start="noised"), 300, (0.4, 0.9)) == [added[0], own[1]]
    assert start_timesteps(Diffusion(start="noised", refine_start="noised"), 300, (0.4, 0.9)) == added


def test_calls_are_the_part_below_the_start() -> None:
    assert network_calls(Diffusion(steps=20, refine_steps=4), [500, 20]) == [10, 1]


def test_what_is_kept_is_the_least_squares_share_of_two_estimates() -> None:
    """All of a clean scan, half where both err alike, less the noisier it is."""
    assert kept_share(0.0) == 1 and kept_share(STAGE2_ERROR) == pytest.approx(0.5)
    noise = 0.7
    share = kept_share(noise)

    def error(w: float) -> float:
        return (w * noise) ** 2 + ((1 - w) * STAGE2_ERROR) ** 2

    assert error(share) < min(error(share - 0.01), error(share + 0.01))


def test_the_identity_follows_what_results_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    before = json.dumps(diffusion_identity())
    monkeypatch.setattr("ctgrid.methods.denoising.diffusion.STAGE2_ERROR", 0.5)
    assert json.dumps(diffusion_identity()) != before
