"""Stage 2's degradation (the paper's Listing 1): from a full slice to the coarse one it is refined from.

Two ways of it. ``ctgrid`` shrinks as grids are shrunk (antialiased) and stays in floating point. ``published`` does
what the published code does: it shrinks without antialiasing, draws noise for every colour channel, and cuts the
noisy image to 8 bits before it is blurred, so that noise below black is lost and blurred air is 37 HU too bright.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange, repeat
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

from ctgrid.base.draws import integer, uniform
from ctgrid.scan.grid import downsample

Way = Literal["ctgrid", "published"]
"""How a slice is degraded, see this module."""

COLOURS = 3
"""Channels of the images that the published code reads, gray ones too."""

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


def shrink(images: Tensor, k: int, way: Way = "ctgrid") -> Tensor:
    """Shrink (B, C, S, S) in [-1, 1] to (B, C, S/k, S/k), bicubic, clipped; antialiased but for ``published``."""
    if way == "ctgrid":
        return downsample(images, k).clamp(-1, 1)
    size = (images.shape[-2] // k, images.shape[-1] // k)
    return interpolate(images, size=size, mode="bicubic").clamp(-1, 1)


def enlarge(images: Tensor, k: int) -> Tensor:
    """Upsample (B, C, s, s) to (B, C, k s, k s), bicubic, clipped to [-1, 1]: all there is at inference."""
    size = (images.shape[-2] * k, images.shape[-1] * k)
    return interpolate(images, size=size, mode="bicubic").clamp(-1, 1)


def eight_bits(images: Tensor) -> Tensor:
    """Return images of [-1, 1] as their levels 0 ... 255 are, cut off as a cast to bytes does."""
    return ((images.clamp(-1, 1) + 1) * 127.5).floor() / 127.5 - 1


def degrade(enlarged: Tensor, parameters: Degradation, way: Way = "ctgrid") -> Tensor:
    """Add noise to an enlarged coarse slice, then blur it.

    Args:
        enlarged: (C, S, S) in [-1, 1], see :func:`enlarge`; every channel gets noise of its own.
        parameters: see :func:`draw_degradation`.
        way: ``published`` has 8 bits between noise and blur.

    Returns:
        (C, S, S) in [-1, 1].
    """
    generator = torch.Generator().manual_seed(parameters.seed)
    sigma = 2.0 * parameters.noise / 255.0  # [-1, 1] is twice as wide as [0, 1]
    noisy = enlarged + sigma * torch.randn(enlarged.shape, generator=generator)
    if way == "published":
        noisy = eight_bits(noisy)
    if parameters.blur:
        weights = gaussian_kernel(parameters.blur)
        half = parameters.blur // 2
        padded = pad(noisy[:, None], (half, half, half, half), mode="reflect")
        noisy = conv2d(conv2d(padded, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))[:, 0]
    return noisy.clamp(-1, 1)


def degraded_as_published(image: Tensor, k: int, parameters: Degradation) -> Tensor:
    """Degrade an image as the published code does, from shrinking on.

    Args:
        image: (1, S, S) or (3, S, S) in [-1, 1]; gray is taken three times, as the code reads it.
        k: how many times it is shrunk and enlarged.
        parameters: see :func:`draw_degradation`.

    Returns:
        (3, S, S) in [-1, 1].
    """
    large = enlarge(shrink(image[None], k, "published"), k)[0]
    return degrade(large.expand(COLOURS, -1, -1), parameters, "published")


@dataclass(frozen=True)
class DegradationTensors:
    """A drawn degradation as tensors, so that a batch of them is applied at once, on any device.

    Attributes:
        grain: (C, S, S) standard normal.
        sigma: () standard deviation on the scale of [-1, 1].
        kernel: (15,) weights of the blur, a single one in the middle for none.
    """

    grain: Tensor
    sigma: Tensor
    kernel: Tensor

    @classmethod
    def of(cls, parameters: Degradation, size: int, channels: int = 1) -> DegradationTensors:
        """Make the tensors of a degradation of (channels, size, size) images; the noise is that of :func:`degrade`."""
        widest = max(BLUR_KERNELS)
        kernel = torch.zeros(widest)
        if parameters.blur:
            first = (widest - parameters.blur) // 2
            kernel[first : first + parameters.blur] = gaussian_kernel(parameters.blur)
        else:
            kernel[widest // 2] = 1.0
        grain = torch.randn((channels, size, size), generator=torch.Generator().manual_seed(parameters.seed))
        return cls(grain, torch.tensor(2.0 * parameters.noise / 255.0), kernel)


def degrade_batch(enlarged: Tensor, grain: Tensor, sigma: Tensor, kernel: Tensor, way: Way = "ctgrid") -> Tensor:
    """Degrade a batch: what :func:`degrade` does, to rounding.

    Args:
        enlarged: (B, C, S, S) in [-1, 1], S at least 8.
        grain: (B, C, S, S), see :class:`DegradationTensors`.
        sigma: (B,).
        kernel: (B, 15).
        way: see :func:`degrade`.

    Returns:
        (B, C, S, S) in [-1, 1].
    """
    count, channels = grain.shape[:2]
    half = kernel.shape[-1] // 2
    noisy = enlarged + sigma.view(-1, 1, 1, 1) * grain
    noisy = rearrange(eight_bits(noisy) if way == "published" else noisy, "b c h w -> 1 (b c) h w")
    kernels = repeat(kernel, "b n -> (b c) 1 1 n", c=channels)
    padded = pad(noisy, (half, half, half, half), mode="reflect")
    blurred = conv2d(padded, kernels, groups=count * channels)
    blurred = conv2d(blurred, rearrange(kernels, "m 1 1 n -> m 1 n 1"), groups=count * channels)
    return rearrange(blurred, "1 (b c) h w -> b c h w", c=channels).clamp(-1, 1)


def gaussian_kernel(side: int) -> Tensor:
    """Weights (side,) of a Gaussian with OpenCV's default width, 0.3 ((side - 1) / 2 - 1) + 0.8."""
    sigma = 0.3 * ((side - 1) * 0.5 - 1) + 0.8
    offset = torch.arange(side) - (side - 1) / 2
    weights = torch.exp(-0.5 * (offset / sigma) ** 2)
    return weights / weights.sum()
