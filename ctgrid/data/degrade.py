"""Stage 2's degradation (the paper's Listing 1): from a full slice to the coarse one it is refined from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

from ctgrid.base.draws import integer, uniform

BLUR_KERNELS = (9, 11, 13, 15)
NOISE_LEVELS = (10, 15)
"""Lowest and highest noise, in grey levels of 0...255."""


@dataclass(frozen=True)
class Degradation:
    """Parameters of one degradation.

    Attributes:
        noise: standard deviation on the scale of 0...255.
        blur: side of the Gaussian kernel, odd; 0 for none.
        seed: of the noise.
    """

    noise: float
    blur: int
    seed: int


def draw_degradation(
    generator: torch.Generator, noise_levels: tuple[int, int] = NOISE_LEVELS, blur_share: float = 0.5
) -> Degradation:
    """Draw a whole noise level in ``noise_levels``, and a blur of kernel 9, 11, 13 or 15 with ``blur_share``."""
    low, high = noise_levels
    noise = integer(low, high + 1, generator)
    blurred = uniform(generator) < blur_share
    kernel = BLUR_KERNELS[integer(0, len(BLUR_KERNELS), generator)]
    return Degradation(noise, kernel if blurred else 0, integer(0, 2**31, generator))


def enlarge(images: Tensor, k: int) -> Tensor:
    """Upsample (B, 1, s, s) to (B, 1, k s, k s), bicubic, clipped to [-1, 1]: all there is at inference."""
    size = (images.shape[-2] * k, images.shape[-1] * k)
    return interpolate(images, size=size, mode="bicubic").clamp(-1, 1)


def degrade(enlarged: Tensor, parameters: Degradation) -> Tensor:
    """Add noise to an enlarged coarse slice, then blur it.

    Args:
        enlarged: (1, S, S) in [-1, 1], see :func:`enlarge`.
        parameters: see :func:`draw_degradation`.

    Returns:
        (1, S, S) in [-1, 1].
    """
    generator = torch.Generator().manual_seed(parameters.seed)
    sigma = 2.0 * parameters.noise / 255.0  # [-1, 1] is twice as wide as [0, 1]
    noisy = enlarged + sigma * torch.randn(enlarged.shape, generator=generator)
    if parameters.blur:
        weights = gaussian_kernel(parameters.blur)
        half = parameters.blur // 2
        padded = pad(noisy[None], (half, half, half, half), mode="reflect")
        noisy = conv2d(conv2d(padded, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))[0]
    return noisy.clamp(-1, 1)


@dataclass(frozen=True)
class DegradationTensors:
    """A drawn degradation as tensors, so that a batch of them is applied at once, on any device.

    Attributes:
        grain: (1, S, S) standard normal.
        sigma: () standard deviation on the scale of [-1, 1].
        kernel: (15,) weights of the blur, a single one in the middle for none.
    """

    grain: Tensor
    sigma: Tensor
    kernel: Tensor

    @classmethod
    def of(cls, parameters: Degradation, size: int) -> DegradationTensors:
        """Make the tensors of a degradation of (1, size, size) images; the noise is that of :func:`degrade`."""
        widest = max(BLUR_KERNELS)
        kernel = torch.zeros(widest)
        if parameters.blur:
            first = (widest - parameters.blur) // 2
            kernel[first : first + parameters.blur] = gaussian_kernel(parameters.blur)
        else:
            kernel[widest // 2] = 1.0
        grain = torch.randn((1, size, size), generator=torch.Generator().manual_seed(parameters.seed))
        return cls(grain, torch.tensor(2.0 * parameters.noise / 255.0), kernel)


def degrade_batch(enlarged: Tensor, grain: Tensor, sigma: Tensor, kernel: Tensor) -> Tensor:
    """Degrade a batch: what :func:`degrade` does, to rounding.

    Args:
        enlarged: (B, 1, S, S) in [-1, 1], S at least 8.
        grain: (B, 1, S, S), see :class:`DegradationTensors`.
        sigma: (B,).
        kernel: (B, 15).

    Returns:
        (B, 1, S, S) in [-1, 1].
    """
    count, half = len(enlarged), kernel.shape[-1] // 2
    noisy = rearrange(enlarged + sigma.view(-1, 1, 1, 1) * grain, "b 1 h w -> 1 b h w")
    padded = pad(noisy, (half, half, half, half), mode="reflect")
    blurred = conv2d(padded, rearrange(kernel, "b n -> b 1 1 n"), groups=count)
    blurred = conv2d(blurred, rearrange(kernel, "b n -> b 1 n 1"), groups=count)
    return rearrange(blurred, "1 b h w -> b 1 h w").clamp(-1, 1)


def gaussian_kernel(side: int) -> Tensor:
    """Weights (side,) of a Gaussian with OpenCV's default width, 0.3 ((side - 1) / 2 - 1) + 0.8."""
    sigma = 0.3 * ((side - 1) * 0.5 - 1) + 0.8
    offset = torch.arange(side) - (side - 1) / 2
    weights = torch.exp(-0.5 * (offset / sigma) ** 2)
    return weights / weights.sum()
