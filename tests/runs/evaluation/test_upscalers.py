"""Ways to enlarge: what they give back, and what they need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from ctgrid.base.errors import CtgridError
from ctgrid.methods.denoising.methods import Loading
from ctgrid.runs.evaluation.upscalers import METHODS, Upscalers, back_projected, lanczos, projected
from ctgrid.scan.grid import downsample


@pytest.fixture(scope="module")
def full() -> torch.Tensor:
    noise = np.random.default_rng(0).standard_normal((2, 64, 64))
    smooth = gaussian_filter(noise, (0, 2, 2))
    return torch.from_numpy((0.3 * smooth / smooth.std()).clip(-0.9, 0.9).astype(np.float32))[:, None]


def error(made: torch.Tensor, full: torch.Tensor) -> float:
    return float((made - full).square().mean())


def test_back_projection_shrinks_to_what_it_was_given(full: torch.Tensor) -> None:
    """And is nearer to the truth than bicubic."""
    coarse = downsample(full, 4)
    once, often = back_projected(coarse, 4, 0), back_projected(coarse, 4)
    assert error(downsample(often, 4), coarse) < 0.01 * error(downsample(once, 4), coarse)
    assert error(often, full) < error(once, full)


def test_projection_corrects_stage_2_alone_by_what_it_lacks(full: torch.Tensor, tiny_model: Path) -> None:
    """The untrained model's slices shrink to anything; corrected they shrink to the coarse ones."""
    upscalers = Upscalers(4, 64, Loading(str(tiny_model), "cpu", "float32"), refine_steps=1)
    coarse = downsample(full, 4).clamp(-1, 1)
    plain, corrected = (upscalers.get(name)(coarse, full) for name in ("stage2", "stage2-projected"))
    assert error(downsample(corrected, 4), coarse) < 0.1 * error(downsample(plain, 4), coarse)
    assert torch.equal(corrected, projected(plain, coarse, 4)) and not torch.equal(corrected, back_projected(coarse, 4))


@pytest.mark.parametrize("method", ["stage2", "codec"])
def test_a_model_of_turned_slices_gets_them_turned(
    method: str, full: torch.Tensor, tiny_model: Path, make_model: Callable[..., Path]
) -> None:
    """What it makes of upright slices is what the upright model makes of turned ones, turned back."""
    straight = Upscalers(4, 64, Loading(str(tiny_model), "cpu", "float32"), refine_steps=1)
    turned = Upscalers(4, 64, Loading(str(make_model(orientation="PLS")), "cpu", "float32"), refine_steps=1)
    coarse = downsample(full, 4).clamp(-1, 1)
    made = turned.get(method)(coarse, full)
    expected = straight.get(method)(coarse.mT.contiguous(), full.mT.contiguous()).mT
    assert torch.allclose(made, expected, atol=1e-5)
    assert not torch.allclose(made, straight.get(method)(coarse, full), atol=1e-3)


def test_lanczos_keeps_levels_and_places(full: torch.Tensor) -> None:
    flat = torch.full((1, 1, 8, 8), 0.25)
    assert torch.allclose(lanczos(flat, 4), torch.full((1, 1, 32, 32), 0.25), atol=1e-6)
    made = lanczos(downsample(full, 2), 2)
    assert made.shape == full.shape and error(made, full) < 0.1 * float(full.var())


def test_networks_give_full_slices(full: torch.Tensor, tiny_model: Path) -> None:
    """The model is loaded once; stage 2 depends on the coarse slice and the seed, the codec on the full one."""
    upscalers = Upscalers(4, 64, Loading(str(tiny_model), "cpu", "float32"), seed=3, refine_steps=1)
    coarse = downsample(full, 4).clamp(-1, 1)
    refined = upscalers.get("stage2")(coarse, full)
    assert refined.shape == full.shape and torch.isfinite(refined).all()
    assert torch.equal(refined, upscalers.get("stage2")(coarse, torch.zeros_like(full)))
    other = Upscalers(4, 64, upscalers.loading, seed=4, refine_steps=1)
    assert not torch.equal(refined, other.get("stage2")(coarse, full))
    pipeline = upscalers.pipeline
    coded = upscalers.get("codec")(torch.zeros_like(coarse), full)
    fresh = Upscalers(4, 64, upscalers.loading)
    fresh.get("codec")
    assert fresh._pipeline is not None, "a method that is ready to run has its model loaded: what follows is timed"
    assert torch.allclose(coded, pipeline.bundle.codec.decode(pipeline.bundle.codec.encode(full)))
    assert upscalers.pipeline is pipeline


def test_unknown_methods_and_nothing_to_fit_on() -> None:
    upscalers = Upscalers(4, 64, Loading())
    with pytest.raises(CtgridError, match=f"unknown super-resolution method 'srcnn'; known: {', '.join(METHODS)}"):
        upscalers.get("srcnn")
    with pytest.raises(CtgridError, match="training volumes"):
        upscalers.get("patch-regression")
