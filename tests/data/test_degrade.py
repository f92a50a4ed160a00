"""Stage 2's degradation: levels, kernels, and nothing done twice."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from ctgrid.base.draws import generator_for
from ctgrid.data.degrade import (
    BLUR_KERNELS,
    Degradation,
    DegradationTensors,
    Way,
    degrade,
    degrade_batch,
    draw_degradation,
    enlarge,
    gaussian_kernel,
    shrink,
)
from ctgrid.scan.protocols.resample import SCALE_HU


def test_draws_cover_levels_and_kernels_and_no_more() -> None:
    """Noise of 10 to 15 of 255 levels; half blurred, by each kernel alike (Listing 1)."""
    drawn = [draw_degradation(generator_for(i)) for i in range(600)]
    assert set(Counter(d.noise for d in drawn)) == {10, 11, 12, 13, 14, 15}
    blurs = Counter(d.blur for d in drawn)
    assert set(blurs) == {0, *BLUR_KERNELS}
    assert blurs[0] == pytest.approx(300, abs=60)
    assert all(blurs[kernel] == pytest.approx(75, abs=35) for kernel in BLUR_KERNELS)
    assert len({d.seed for d in drawn}) == 600
    assert drawn[3] == draw_degradation(generator_for(3))


def test_recipes_may_choose_levels_and_share() -> None:
    """One level, never blurred, and always blurred."""
    assert {draw_degradation(generator_for(i), (3, 3), 0.0).blur for i in range(20)} == {0}
    drawn = [draw_degradation(generator_for(i), (3, 3), 1.0) for i in range(20)]
    assert {d.noise for d in drawn} == {3} and 0 not in {d.blur for d in drawn}


def test_noise_has_its_level_and_repeats() -> None:
    """12 of 255 levels on [0, 1] are 24 / 255 on [-1, 1]."""
    flat = torch.zeros(1, 200, 200)
    noisy = degrade(flat, Degradation(12, 0, 5))
    assert float(noisy.std()) == pytest.approx(24 / 255, rel=0.02)
    assert torch.equal(noisy, degrade(flat, Degradation(12, 0, 5)))
    assert not torch.equal(noisy, degrade(flat, Degradation(12, 0, 6)))
    assert torch.equal(degrade(flat, Degradation(0, 0, 5)), flat)
    assert degrade(flat + 1, Degradation(12, 0, 5)).max() <= 1


@pytest.mark.parametrize(("side", "sigma"), [(9, 1.7), (11, 2.0), (13, 2.3), (15, 2.6)])
def test_blur_is_a_gaussian_of_the_documented_width(side: int, sigma: float) -> None:
    """A point becomes the product of two kernels; a flat image stays flat up to its border."""
    point = torch.full((1, 41, 41), -1.0)
    point[0, 20, 20] = 1
    blurred = (degrade(point, Degradation(0, side, 0))[0] + 1) / 2
    kernel = gaussian_kernel(side)
    assert float(kernel.sum()) == pytest.approx(1)
    assert float(kernel[side // 2] / kernel[side // 2 + 1]) == pytest.approx(torch.e ** (0.5 / sigma**2), rel=1e-4)
    half = side // 2
    inside = blurred[20 - half : 21 + half, 20 - half : 21 + half]
    assert torch.allclose(inside, kernel[:, None] * kernel, atol=1e-6)
    assert float(blurred.sum()) == pytest.approx(1, abs=1e-3)
    flat = torch.full((1, 41, 41), 0.25)
    assert torch.allclose(degrade(flat, Degradation(0, side, 0)), flat, atol=1e-6)


def test_enlarging_keeps_flat_images_and_the_range() -> None:
    """Bicubic interpolation overshoots at edges; [-1, 1] is kept."""
    steps = torch.where(torch.arange(8) < 4, -1.0, 1.0).expand(2, 1, 8, 8)
    large = enlarge(steps, 4)
    assert large.shape == (2, 1, 32, 32)
    assert (float(large.min()), float(large.max())) == (-1, 1)
    assert torch.allclose(enlarge(torch.full((1, 1, 4, 4), 0.3), 4), torch.full((1, 1, 16, 16), 0.3), atol=1e-6)


def test_a_batch_is_degraded_as_one_by_one() -> None:
    """Every kernel, no blur and no noise among them."""
    images = torch.rand(6, 1, 32, 32, generator=generator_for(5)) * 2 - 1
    kinds = ((10, 0), (0, 9), (12.5, 11), (15, 13), (10, 15), (0, 0))
    drawn = [Degradation(noise, blur, 7 + blur) for noise, blur in kinds]
    expected = torch.stack([degrade(image, parameters) for image, parameters in zip(images, drawn, strict=True)])
    tensors = [DegradationTensors.of(parameters, 32) for parameters in drawn]
    grain, sigma, kernel = (torch.stack([getattr(t, name) for t in tensors]) for name in ("grain", "sigma", "kernel"))
    assert torch.allclose(degrade_batch(images, grain, sigma, kernel), expected, atol=1e-6)
    assert torch.allclose(degrade_batch(images, grain, sigma, kernel)[5], images[5], atol=1e-6)


def test_the_published_way_has_its_values() -> None:
    """Noise that was cut at black before the blur brightens air by 37 HU; here 4 to 6 HU are left by the last clip."""
    air = torch.full((1, 128, 128), -1.0)

    def brighter(way: Way) -> float:
        every = [Degradation(noise, kernel, noise) for noise in range(10, 16) for kernel in BLUR_KERNELS]
        return float(torch.stack([degrade(air, each, way) for each in every]).add(1).mean()) * SCALE_HU

    assert brighter("published") == pytest.approx(37, abs=1.5)
    assert 4 < brighter("ctgrid") < 6


def test_the_published_way_is_cut_to_bytes_and_not_antialiased() -> None:
    """Without noise and blur 256 levels are left, each the one below; a lone bright line falls between the samples."""
    ramp = torch.linspace(-1, 1, 4096).view(1, 64, 64)
    levels = (degrade(ramp, Degradation(0, 0, 0), "published") + 1) * 127.5
    assert torch.allclose(levels, ((ramp + 1) * 127.5).floor(), atol=1e-4) and len(levels.round().unique()) == 256
    line = torch.full((1, 1, 64, 64), -1.0)
    line[..., 8] = 1
    assert float(shrink(line, 4, "published").amax()) < -0.99 < -0.7 < float(shrink(line, 4).amax())


@pytest.mark.parametrize("way", ["ctgrid", "published"])
def test_colours_have_noise_of_their_own(way: Way) -> None:
    """In both ways, one by one and in a batch."""
    images = torch.rand(2, 3, 32, 32, generator=generator_for(5)) * 2 - 1
    drawn = [Degradation(12, 0, 7), Degradation(10, 11, 8)]
    expected = torch.stack([degrade(image, parameters, way) for image, parameters in zip(images, drawn, strict=True)])
    tensors = [DegradationTensors.of(parameters, 32, 3) for parameters in drawn]
    grain, sigma, kernel = (torch.stack([getattr(t, name) for t in tensors]) for name in ("grain", "sigma", "kernel"))
    assert torch.allclose(degrade_batch(images, grain, sigma, kernel, way), expected, atol=1e-6)
    gray = degrade(torch.zeros(3, 32, 32), drawn[0], way)
    assert not torch.allclose(gray[0], gray[1], atol=0.01)
