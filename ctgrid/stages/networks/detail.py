"""The network behind the detail step: predicts the noise of a slice from it, its neighbours and a diffusion result.

A small U-shaped residual network. The slice is folded 2 x 2 into channels before the first convolution, for
convolutions at full resolution are what costs on a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, pixel_shuffle, pixel_unshuffle

from ctgrid.base.errors import CtgridError
from ctgrid.stages.codecs.unshuffle_codec import ResidualBlock
from ctgrid.stages.networks.own import Count, OwnNetwork, Size, keeps_arguments

FOLD = 2
STRIDE = 2 * FOLD
"""Height and width are padded to a multiple of this."""

UNIT_HU = 1000.0
"""What 1 is in slices that the network takes and gives."""

REFERENCE_HU = 50.0
"""Noise level that the network is told as 0; levels count in factors of two from it."""


class NoisePrediction:
    """What networks of the detail step have in common: how they are asked."""

    neighbours: int
    hinted: bool = True

    def noise_of(self, noisy: Tensor, noise_hu: Tensor, prior: Tensor | None = None) -> Tensor:
        """Predict the noise of slices.

        Args:
            noisy: a slice between its neighbours (B, 2 n + 1, H, W), in :data:`UNIT_HU`.
            noise_hu: standard deviation of its noise in HU, positive: (B,), or a map over the slice (B, h, w).
            prior: the diffusion result (B, 1, H, W) in :data:`UNIT_HU`; None works without, as does a network that
                is not hinted.

        Returns:
            The noise of the middle slice (B, 1, H, W), in :data:`UNIT_HU`.

        Raises:
            CtgridError: for another number of slices.
        """
        if noisy.ndim != 4 or noisy.shape[1] != 2 * self.neighbours + 1:
            raise CtgridError(f"noisy must be (B, {2 * self.neighbours + 1}, H, W), got {tuple(noisy.shape)}")
        middle = noisy[:, self.neighbours : self.neighbours + 1]
        present = noisy.new_zeros(len(noisy)) if prior is None else noisy.new_ones(len(noisy))
        hint = torch.zeros_like(middle) if prior is None else middle - prior
        network: Any = self
        predicted: Tensor = network(torch.cat([noisy, hint], dim=1), noise_hu, present)
        return predicted


class DetailNet(NoisePrediction, OwnNetwork):
    """Residual denoiser of slices in :data:`UNIT_HU`.

    Args:
        neighbours: slices on either side that the network sees.
        width: channels at half resolution.
        inner_width: channels at a quarter of it.
        blocks: residual blocks before going down.
        inner_blocks: at the lowest resolution.
        last_blocks: after coming up.
    """

    @keeps_arguments
    def __init__(
        self,
        neighbours: Count = 1,
        width: Size = 48,
        inner_width: Size = 72,
        blocks: Count = 2,
        inner_blocks: Count = 2,
        last_blocks: Count = 1,
    ) -> None:
        super().__init__()
        self.neighbours = neighbours
        folded = FOLD * FOLD
        channels = folded * (2 * neighbours + 2) + 2
        self.head = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1), *(ResidualBlock(width) for _ in range(blocks))
        )
        self.inner = nn.Sequential(
            nn.Conv2d(width, inner_width, 2, stride=2),
            *(ResidualBlock(inner_width) for _ in range(inner_blocks)),
            nn.Conv2d(inner_width, 4 * width, 1),
            nn.PixelShuffle(2),
        )
        self.tail = nn.Sequential(
            *(ResidualBlock(width) for _ in range(last_blocks)), nn.SiLU(), nn.Conv2d(width, folded, 3, padding=1)
        )
        last: Any = self.tail[-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, images: Tensor, noise_hu: Tensor, present: Tensor) -> Tensor:
        """Predict the noise (B, 1, H, W) for a batch in which only some have a prior.

        Args:
            images: (B, 2 n + 2, H, W), the slices and behind them slice minus prior, zero where there is none.
            noise_hu: (B,), or a map (B, h, w), of which the root mean square counts.
            present: (B,), 1 where there is a prior and 0 elsewhere.
        """
        height, width = images.shape[2:]
        images = pad(images, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        folded = pixel_unshuffle(images, FOLD)
        if noise_hu.ndim == 3:
            noise_hu = noise_hu.square().mean((1, 2)).sqrt()
        level = torch.log2(noise_hu.to(images) / REFERENCE_HU)
        facts = torch.stack([level, present.to(images)], dim=1)[:, :, None, None]
        x = self.head(torch.cat([folded, facts.expand(-1, -1, *folded.shape[2:])], dim=1))
        x = self.tail(x + self.inner(x))
        return pixel_shuffle(x, FOLD)[..., :height, :width]
