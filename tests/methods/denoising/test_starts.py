"""Where the way back starts."""

from __future__ import annotations

import pytest
import torch

from ctgrid.methods.denoising.starts import HIGHEST, LOWEST, begin, latent_noise, start_timestep
from ctgrid.scan.protocols.resample import SCALE_HU
from ctgrid.stages.diffusion.schedule import LINEAR


def test_the_start_is_the_level_of_the_noise_within_bounds() -> None:
    assert all(start_timestep(LINEAR.sigma_of(t)) == t for t in range(LOWEST, HIGHEST + 1))
    assert [start_timestep(noise) for noise in (0.0, 1e6)] == [LOWEST, HIGHEST]


def test_matched_latents_are_scaled_and_noised_ones_diffused() -> None:
    latent, noise = torch.full((2, 1, 2, 2), 3.0), torch.full((2, 1, 2, 2), -1.0)
    signal = LINEAR.alphas_cumprod[300].sqrt().float()
    torch.testing.assert_close(begin(latent, 300, "matched", noise), signal * latent)
    diffused = LINEAR.q_sample(latent, torch.tensor([300, 300]), noise)
    assert torch.equal(begin(latent, 300, "noised", noise), diffused)


@pytest.mark.parametrize("gain", [1.0, 4.0])
def test_noise_in_latents_is_what_as_much_noise_again_changes(gain: float) -> None:
    """An encoder that only scales gives the noise times its gain, and the seed decides the probe."""
    images = torch.zeros(2, 1, 64, 64)
    found = [latent_noise(lambda x: gain * x, images, 50.0, seed) for seed in (1, 1, 2)]
    assert found[0] == pytest.approx(gain * 50 / SCALE_HU, rel=0.02)
    assert found[0] == found[1] != found[2]
