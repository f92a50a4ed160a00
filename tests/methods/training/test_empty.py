"""Tasks without data: every kind has examples of the right shapes, whatever is not here yet."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ctgrid.base.draws import generator_for
from ctgrid.methods.training.config import TrainConfig
from ctgrid.methods.training.empty import codec_or_stand_in, empty_clip, empty_task
from ctgrid.methods.training.recipes import RefineRecipe

NETWORK = {"patch_size": 2, "width": 32, "depth": 1, "heads": 2, "learned_variance": False}
SMALL = {"encoder_width": 8, "decoder_width": 8, "fine_width": 8, "encoder_blocks": 1, "decoder_blocks": 1}
KINDS: dict[str, dict[str, Any]] = {
    "codec": {"size": 64, "crop": 32, "cell": 16, "network": SMALL},
    "stage1": {"size": 64, "slices": 20, "network": NETWORK},
    "stage2": {"size": 64, "slices": 20, "network": NETWORK},
    "detail": {"size": 64, "crop": 32, "network": {"width": 8, "inner_width": 8, "blocks": 1, "inner_blocks": 1}},
}


def task(kind: str, **changes: Any) -> Any:
    content = {"kind": kind, "optimisation": {"steps": 1, "batch_size": 1}, kind: KINDS[kind] | changes}
    return empty_task(TrainConfig.model_validate(content))


@pytest.mark.parametrize("kind", KINDS)
def test_an_example_goes_through_the_network(kind: str) -> None:
    """Of the shapes that a real volume has."""
    made = task(kind)
    batch = {name: value[None] for name, value in made.example(generator_for(0)).items()}
    torch.manual_seed(0)
    terms = made.loss(made.build(), batch)
    assert torch.isfinite(terms["loss"]) and terms["loss"].ndim == 0


def test_whole_grids_are_images_and_cells_are_latents() -> None:
    images, latents = (task("stage1", cell_encoding=how).example(generator_for(0))["grid"] for how in ("grid", "cell"))
    assert images.shape == (1, 64, 64) and latents.shape[1:] == (8, 8)


def test_a_codec_that_is_not_here_is_stood_in_for() -> None:
    made = codec_or_stand_in(RefineRecipe(codec="nowhere"))
    assert (made.latent_channels, made.downsample) == (4, 8)


@pytest.mark.parametrize("gray", [True, False])
def test_a_clip_that_no_file_holds(gray: bool) -> None:
    clip = empty_clip(32, gray)
    assert len(clip) == 1 and clip.unit(0).shape[-2:] == (32, 32) and (clip.unit(0) == -1).all()
