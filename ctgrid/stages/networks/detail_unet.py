"""The detail network that ships: three resolutions, slices seen in units of their noise, and a map of that.

As :mod:`ctgrid.stages.networks.detail`, the slice is folded 2 x 2 before the first convolution. What the network sees
besides the slices themselves is how far each pixel lies off its surroundings in standard deviations of the noise, and
what it says is in those too: 10 HU of noise are as plain to it as 300.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, pad, pixel_shuffle, pixel_unshuffle, relu

from ctgrid.stages.networks.detail import FOLD, REFERENCE_HU, UNIT_HU, NoisePrediction
from ctgrid.stages.networks.own import Count, OwnNetwork, keeps_arguments

SURROUNDINGS = 8
"""Folded pixels along a side of what a pixel is compared with."""

BEND = 4.0
"""Standard deviations at which what a pixel lies off is halved: edges must not drown the noise."""


class Block(nn.Module):
    """x + conv(relu(conv(relu(x)))), with the last convolution starting at zero."""

    def __init__(self, width: int) -> None:
        """Make a block of ``width`` channels."""
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, H, W) to the same shape."""
        return self.conv2(relu(self.conv1(relu(x)), inplace=True)).add_(x)


class DetailUNet(NoisePrediction, OwnNetwork):
    """Residual denoiser of slices in :data:`UNIT_HU`.

    Args:
        neighbours: slices on either side that the network sees.
        widths: channels at half the resolution, a quarter, and so on.
        down: residual blocks at each resolution on the way down; the last is the lowest's.
        up: likewise on the way up, one entry less.
        relative: whether slices are also seen in units of their noise.
        hinted: whether it is given diffusion results; without, it works from the slices alone.
    """

    @keeps_arguments
    def __init__(
        self,
        neighbours: Count = 1,
        widths: tuple[int, ...] = (32, 64, 128),
        down: tuple[int, ...] = (1, 1, 2),
        up: tuple[int, ...] = (1, 1),
        relative: bool = True,
        hinted: bool = True,
    ) -> None:
        super().__init__()
        self.neighbours, self.relative, self.hinted = neighbours, relative, hinted
        self.stride = FOLD * 2 ** (len(widths) - 1)
        folded, seen = FOLD * FOLD, 2 * neighbours + 1
        channels = folded * seen * (2 if relative else 1) + 1 + (folded + 1 if hinted else 0)
        self.head = nn.Conv2d(channels, widths[0], 3, padding=1)
        if hinted:
            with torch.no_grad():  # until it has learned from diffusion results, the network passes them over
                self.head.weight[:, -folded - 1 :] = 0
        self.descent = nn.ModuleList(
            nn.Sequential(*(Block(width) for _ in range(count))) for width, count in zip(widths, down, strict=True)
        )
        pairs = list(pairwise(widths))
        self.shrink = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairs)
        self.grow = nn.ModuleList(
            nn.Sequential(nn.Conv2d(coarse, 4 * fine, 1), nn.PixelShuffle(2)) for fine, coarse in pairs
        )
        self.ascent = nn.ModuleList(
            nn.Sequential(*(Block(width) for _ in range(count))) for width, count in zip(widths, up, strict=False)
        )
        self.tail = nn.Conv2d(widths[0], folded, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor, noise_hu: Tensor, present: Tensor) -> Tensor:
        """Predict the noise (B, 1, H, W); see :meth:`ctgrid.stages.networks.detail.DetailNet.forward`.

        Args:
            images: (B, 2 n + 2, H, W).
            noise_hu: (B,), or a map (B, h, w) over the slices, of any size.
            present: (B,).
        """
        height, width = images.shape[2:]
        images = pad(images, (0, -width % self.stride, 0, -height % self.stride), mode="replicate")
        slices, hint = pixel_unshuffle(images, FOLD).split([FOLD**2 * (images.shape[1] - 1), FOLD**2], dim=1)
        size = slices.shape[2:]
        sigma = noise_hu.to(images) if noise_hu.ndim == 3 else noise_hu.to(images)[:, None, None]
        sigma = interpolate(sigma[:, None], size=size, mode="bilinear") / UNIT_HU
        level = torch.log2(sigma * (UNIT_HU / REFERENCE_HU))
        seen = [slices, level]
        if self.relative:
            seen.append(_off_surroundings(slices, sigma))
        if self.hinted:
            seen += [present.to(images)[:, None, None, None].expand(-1, 1, *size), hint]
        x = self.head(torch.cat(seen, dim=1))
        kept = []
        for blocks, shrink in zip(self.descent, self.shrink, strict=False):
            x = blocks(x)
            kept.append(x)
            x = shrink(x)
        x = self.descent[-1](x)
        for blocks, grow, fine in zip(reversed(self.ascent), reversed(self.grow), reversed(kept), strict=True):
            x = blocks(grow(x) + fine)
        noise = self.tail(relu(x)).float() * sigma.float()
        return pixel_shuffle(noise, FOLD)[..., :height, :width]


def _off_surroundings(folded: Tensor, sigma: Tensor) -> Tensor:
    """Return how far pixels (B, 4 n, h, w) lie off their surroundings, in sigma (B, 1, h, w), bent at :data:`BEND`."""
    channels, height, width = folded.shape[1:]
    mean = folded.unflatten(1, (channels // FOLD**2, FOLD**2)).mean(2)
    around = avg_pool2d(mean, SURROUNDINGS, ceil_mode=True, count_include_pad=False)
    around = interpolate(around, size=(height, width), mode="bilinear")
    off = (folded - around.repeat_interleave(FOLD**2, dim=1)) / sigma
    return off / (1 + off.abs() / BEND)
