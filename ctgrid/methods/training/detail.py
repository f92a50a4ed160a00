"""Training of the detail network: crops of noisy slices with their diffusion results and what lies below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ctgrid.base.draws import integer, uniform
from ctgrid.base.progress import Progress
from ctgrid.data.measured_scans import MeasuredScan, measured_scan, quieter_scan
from ctgrid.data.noise_fields import FIELDS_VERSION, NoiseField, make_fields
from ctgrid.data.noise_spectra import BINS, rings
from ctgrid.data.noisy_crops import EMPTY_BELOW_HU, MOST_EMPTY, TRIES, CropSource, NoisyCrop
from ctgrid.data.pairs import PAIRS_VERSION, NoisyPair, make_pairs
from ctgrid.data.volumes import VolumeSlices
from ctgrid.methods.denoising.diffusion import diffusion_identity
from ctgrid.methods.denoising.settings import DIFFUSION
from ctgrid.methods.training.recipes import DetailRecipe
from ctgrid.scan.noise_map import CELL
from ctgrid.stages.latents.ahead import cached
from ctgrid.stages.models.bundle import DETAIL, GAPS, digest_of_model
from ctgrid.stages.networks.detail import UNIT_HU
from ctgrid.stages.networks.details import build_detail
from ctgrid.stages.weights.own import moved

PARTS = ("clean", "noisy", "prior")
FIELD_PARTS = ("noise", "local", "level_hu", "power")

LEAST_SHARE = 0.2
"""Of the noise at a frequency that counts as added: below, too little would be made of too much."""


class DetailTask:
    """Predict the noise of crops; part of them without the diffusion result, so that one network serves both."""

    def __init__(
        self,
        recipe: DetailRecipe,
        pairs: list[NoisyPair],
        scans: Sequence[MeasuredScan],
        fields: Sequence[NoiseField] = (),
    ) -> None:
        """Take the recipe and what it draws from: pairs, and scans with fields of noise over them."""
        self.recipe, self.pairs = recipe, pairs
        self.neighbours = int(recipe.network.get("neighbours", 1))
        self.fresh = CropSource(
            scans,
            fields,
            side=recipe.crop,
            neighbours=self.neighbours,
            levels_hu=recipe.levels_hu,
            field_levels_hu=recipe.field_levels_hu,
            field_share=recipe.field_share,
            cutoffs_per_mm=recipe.cutoffs_per_mm,
            quiet=[quieter_scan(scan) for scan in scans] if recipe.quiet_share else [],
            quiet_share=recipe.quiet_share,
        )

    def build(self) -> nn.Module:
        """Return an untrained network, laid out as 16-bit convolutions like it: a step then takes a third less time."""
        return moved(build_detail(self.recipe.network), memory_format=torch.channels_last)

    def example(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw a crop: images (2 n + 2, c, c), target noise (1, c, c), noise_hu (c / 8, c / 8) and present ()."""
        present = uniform(generator) >= self.recipe.alone_share
        if not present and uniform(generator) < self.recipe.fresh_share:
            crop, hint = self.fresh.draw(generator), None
        else:
            crop, hint = self._from_pair(generator)
        middle = crop.noisy[self.neighbours]
        hint = torch.zeros_like(middle) if hint is None or not present else middle - hint
        turn, mirror = integer(0, 4, generator), integer(0, 2, generator) > 0
        images = _turn(torch.cat([crop.noisy, hint[None], crop.clean[None]]), turn, mirror) / UNIT_HU
        seen, below = images[:-1], images[-1:]
        # the estimate of the noise is never exact; sharper or smoother by a third is all the same to the network
        wrong = 2.0 ** ((uniform(generator) - 0.5) * 0.8)
        return {
            "images": seen,
            "target": seen[self.neighbours : self.neighbours + 1] - below,
            "noise_hu": _turn(crop.told, turn, mirror) * wrong,
            "true_hu": torch.tensor(crop.level_hu),
            "added": crop.added,
            "present": torch.tensor(float(present)),
        }

    def _from_pair(self, generator: torch.Generator) -> tuple[NoisyCrop, Tensor]:
        """Draw a crop of a pair, and the diffusion result there."""
        n, side = self.neighbours, self.recipe.crop
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
        noisy = pair.noisy[around][:, box[0], box[1]].float()
        told = torch.full((side // CELL, side // CELL), pair.noise_hu)
        return NoisyCrop(clean, noisy, pair.noise_hu, told, torch.ones(BINS)), pair.prior[z][box].float()

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the mean squared error over a power of the noise level, which keeps low noise from being lost.

        The scan below has noise of its own. At a spatial frequency, what was added is expected to be the share of its
        variance in all the noise (Moran et al. 2020, Noisier2Noise, eq. 5), so a network whose prediction is right when
        only such shares of it are taken predicts all of it; else it would leave as much as its examples had. The rest
        of the scan's own that ``remove_own`` does not ask for stays.
        """
        predicted = network(batch["images"], batch["noise_hu"], batch["present"]).float()
        if self.recipe.remove_own:
            added = batch["added"].clamp(min=LEAST_SHARE)
            predicted = _filtered(predicted, added / (added + self.recipe.remove_own * (1 - added)))
        error = (predicted - batch["target"]).square().mean(dim=(1, 2, 3))
        weight = (UNIT_HU / batch["true_hu"]) ** self.recipe.level_power
        return {"loss": (error * weight).mean(), "rmse_hu": error.mean().sqrt() * UNIT_HU}

    def picture(self, network: Any, generator: torch.Generator, steps: int) -> Tensor:
        """Return a drawn crop with its noise, denoised, and as it is below (crop, 3 crop)."""
        example = self.example(generator)
        device = next(network.parameters()).device
        batch = {name: value[None].to(device) for name, value in example.items()}
        noise = network(batch["images"], batch["noise_hu"], batch["present"])[0, 0].float()
        noisy = example["images"][self.neighbours].to(device)
        return torch.cat([noisy, noisy - noise, noisy - batch["target"][0, 0]], dim=1)

    def save(self, network: Any, folder: Path) -> None:
        """Write weights and config."""
        moved(network, memory_format=torch.contiguous_format).save_pretrained(folder)


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
        "model": digest_of_model(recipe.model, without=[DETAIL, GAPS]),
        "seed": seed,
        "volumes": digests,
    }
    fresh_only = recipe.alone_share == recipe.fresh_share == 1
    tensors = {"noise_hu": torch.zeros(0)} if fresh_only else cached(cache, identity, make)
    names = [volume.name for volume in volumes for _ in range(recipe.versions)]
    levels = tensors["noise_hu"].tolist()
    pairs = [
        NoisyPair(name=name, noise_hu=level, **{part: tensors[f"{i}.{part}"] for part in PARTS})
        for i, (name, level) in enumerate(zip(names, levels, strict=not fresh_only))
    ]
    scans = [measured_scan(volume, spectrum=recipe.remove_own > 0) for volume in volumes]
    return DetailTask(recipe, pairs, scans, _fields(recipe, volumes, digests, cache, seed, progress))


def _fields(
    recipe: DetailRecipe,
    volumes: Sequence[VolumeSlices],
    digests: dict[str, str],
    cache: Path,
    seed: int,
    progress: Progress,
) -> list[NoiseField]:
    """Make fields of noise over volumes, or read them from beside the pairs."""
    if not recipe.fields:
        return []

    def make() -> dict[str, Tensor]:
        made = make_fields(volumes, recipe.fields, seed, progress)
        parts = {f"{i}.{part}": getattr(field, part) for i, field in enumerate(made) for part in FIELD_PARTS}
        return {**parts, "places": torch.tensor([[field.volume, field.first] for field in made])}

    identity = {"fields": FIELDS_VERSION, "count": recipe.fields, "size": recipe.size, "seed": seed, "volumes": digests}
    tensors = cached(cache.with_name("fields.safetensors"), identity, make)
    return [
        NoiseField(volume, first, **{part: tensors[f"{i}.{part}"] for part in FIELD_PARTS})
        for i, (volume, first) in enumerate(tensors["places"].tolist())
    ]


def _filtered(images: Tensor, gains: Tensor) -> Tensor:
    """Return images (n, 1, c, c) times gains by spatial frequency in rings (n, 64)."""
    side = images.shape[-1]
    ring = torch.from_numpy(rings(side)[:, : side // 2 + 1]).to(images.device)
    return torch.fft.irfft2(torch.fft.rfft2(images) * gains[:, None, ring], s=(side, side))


def _turn(images: Tensor, turn: int, mirror: bool) -> Tensor:
    """Turn images (..., c, c) by a multiple of 90 degrees, and mirror them or not."""
    images = torch.rot90(images, turn, (-2, -1))
    return images.flip(-1) if mirror else images
