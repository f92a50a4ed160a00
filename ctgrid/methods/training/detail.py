"""Training of the detail network: crops of noisy slices with their diffusion results and what lies below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ctgrid.base.draws import integer, uniform
from ctgrid.base.progress import Progress
from ctgrid.data.pairs import PAIRS_VERSION, NoisyPair, make_pairs, with_white_noise
from ctgrid.data.volumes import VolumeSlices
from ctgrid.methods.denoising.diffusion import diffusion_identity
from ctgrid.methods.denoising.settings import DIFFUSION
from ctgrid.methods.training.recipes import DetailRecipe
from ctgrid.stages.latents.ahead import cached
from ctgrid.stages.models.bundle import DETAIL, digest_of_model
from ctgrid.stages.networks.detail import UNIT_HU, DetailNet

PARTS = ("clean", "noisy", "prior")
EMPTY_BELOW_HU = -900
MOST_EMPTY = 0.9
TRIES = 4
"""Crops are drawn anew this many times where they hold little but air."""


class DetailTask:
    """Predict the noise of crops; part of them without the diffusion result, so that one network serves both."""

    def __init__(self, recipe: DetailRecipe, pairs: list[NoisyPair]) -> None:
        """Take the recipe and what it draws from."""
        self.recipe, self.pairs = recipe, pairs

    def build(self) -> nn.Module:
        """Return an untrained :class:`DetailNet`."""
        return DetailNet(**self.recipe.network)

    def example(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw a crop: images (2 n + 2, c, c), target noise (1, c, c), noise_hu () and present ()."""
        n, side = int(self.recipe.network.get("neighbours", 1)), self.recipe.crop
        for _ in range(TRIES):
            pair = self.pairs[integer(0, len(self.pairs), generator)]
            z = integer(0, len(pair.clean), generator)
            y = integer(0, pair.clean.shape[1] - side + 1, generator)
            x = integer(0, pair.clean.shape[2] - side + 1, generator)
            box = (slice(y, y + side), slice(x, x + side))
            clean = pair.clean[z][box].float()
            if (clean < EMPTY_BELOW_HU).float().mean() < MOST_EMPTY:
                break
        around = torch.arange(z - n, z + n + 1).clamp(0, len(pair.clean) - 1)
        present = uniform(generator) >= self.recipe.alone_share
        level = pair.noise_hu
        if not present and uniform(generator) < self.recipe.fresh_share:
            below = torch.stack([pair.clean[int(i)][box].float() for i in around])
            noisy, level = with_white_noise(below, generator, self.recipe.levels_hu)
        else:
            noisy = torch.stack([pair.noisy[int(i)][box].float() for i in around])
        middle = noisy[n]
        hint = middle - pair.prior[z][box].float() if present else torch.zeros_like(middle)
        images = _turn(torch.cat([noisy, hint[None], clean[None]]), generator) / UNIT_HU
        *seen, below = images.split([2 * n + 2, 1])
        # the estimate of the noise is never exact; sharper or smoother by a third is all the same to the network
        wrong = 2.0 ** ((uniform(generator) - 0.5) * 0.8)
        return {
            "images": seen[0],
            "target": seen[0][n : n + 1] - below,
            "noise_hu": torch.tensor(level * wrong),
            "true_hu": torch.tensor(level),
            "present": torch.tensor(float(present)),
        }

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the mean squared error over a power of the noise level, which keeps low noise from being lost."""
        predicted = network(batch["images"], batch["noise_hu"], batch["present"])
        error = (predicted.float() - batch["target"]).square().mean(dim=(1, 2, 3))
        weight = (UNIT_HU / batch["true_hu"]) ** self.recipe.level_power
        return {"loss": (error * weight).mean(), "rmse_hu": error.mean().sqrt() * UNIT_HU}

    def picture(self, network: Any, generator: torch.Generator, steps: int) -> Tensor:
        """Return a drawn crop with its noise, denoised, and as it is below (crop, 3 crop)."""
        example = self.example(generator)
        device = next(network.parameters()).device
        batch = {name: value[None].to(device) for name, value in example.items()}
        noise = network(batch["images"], batch["noise_hu"], batch["present"])[0, 0].float()
        noisy = example["images"][int(self.recipe.network.get("neighbours", 1))].to(device)
        return torch.cat([noisy, noisy - noise, noisy - batch["target"][0, 0]], dim=1)

    def save(self, network: Any, folder: Path) -> None:
        """Write weights and config."""
        network.save_pretrained(folder)


def detail_task(
    recipe: DetailRecipe,
    volumes: Sequence[VolumeSlices],
    digests: dict[str, str],
    cache: Path,
    seed: int,
    progress: Progress,
) -> DetailTask:
    """Make noisy versions of volumes and their diffusion results, once, and return the task on them.

    The diffusion is that of method ``grid-detail``. What was made is made anew where the recipe's share in it, the
    diffusion's settings, or the model's codec or stages are others.

    Args:
        recipe: the kind's part of the config.
        volumes: in memory.
        digests: name to a hash of each.
        cache: file that keeps what is made.
        seed: of everything drawn.
        progress: called while pairs are made.
    """

    def make() -> dict[str, Tensor]:
        from ctgrid.methods.denoising.pipeline import DenoisePipeline

        pipeline = DenoisePipeline.load(recipe.model)
        pairs = make_pairs(
            list(volumes),
            lambda scan, noise_hu, seed, place: (
                pipeline.run(scan, strength=noise_hu, seed=seed, place=place, **DIFFUSION.as_dict()).volume
            ),
            versions=recipe.versions,
            levels_hu=recipe.levels_hu,
            low_dose_share=recipe.low_dose_share,
            seed=seed,
            progress=progress,
        )
        parts = {f"{i}.{part}": getattr(pair, part).clone() for i, pair in enumerate(pairs) for part in PARTS}
        return {**parts, "noise_hu": torch.tensor([pair.noise_hu for pair in pairs], dtype=torch.float64)}

    settings = recipe.model_dump(mode="json", include={"model", "size", "versions", "levels_hu", "low_dose_share"})
    identity = {
        "pairs": PAIRS_VERSION,
        "recipe": settings,
        "diffusion": diffusion_identity(),
        "model": digest_of_model(recipe.model, without=[DETAIL]),
        "seed": seed,
        "volumes": digests,
    }
    tensors = cached(cache, identity, make)
    names = [volume.name for volume in volumes for _ in range(recipe.versions)]
    levels = tensors["noise_hu"].tolist()
    return DetailTask(
        recipe,
        [
            NoisyPair(name=name, noise_hu=level, **{part: tensors[f"{i}.{part}"] for part in PARTS})
            for i, (name, level) in enumerate(zip(names, levels, strict=True))
        ],
    )


def _turn(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turn a stack by a multiple of 90 degrees and mirror it half the time."""
    images = torch.rot90(images, integer(0, 4, generator), (-2, -1))
    return images.flip(-1) if integer(0, 2, generator) else images
