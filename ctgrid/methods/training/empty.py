"""Tasks without data: every shape is right, every voxel is air. For plans and checks before a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.data.measured_scans import MeasuredScan
from ctgrid.data.noise_fields import empty_field
from ctgrid.data.noise_spectra import white
from ctgrid.data.pairs import NoisyPair
from ctgrid.data.video.clips import Clip
from ctgrid.data.volumes import VolumeSlices
from ctgrid.methods.training.clip_codec import ClipCodecTask
from ctgrid.methods.training.codec import CodecTask
from ctgrid.methods.training.config import TrainConfig
from ctgrid.methods.training.detail import DetailTask
from ctgrid.methods.training.recipes import CodecRecipe, DetailRecipe, DiffusionRecipe, GridRecipe
from ctgrid.methods.training.stage1 import GridTask
from ctgrid.methods.training.stage2 import RefineTask
from ctgrid.methods.training.stand_in import stand_in
from ctgrid.methods.training.task import Task
from ctgrid.scan.windows import AIR_HU
from ctgrid.stages.codecs.clip_codec import FRAMES
from ctgrid.stages.codecs.codecs import Codec, load_codec
from ctgrid.stages.models.bundle import part_folder
from ctgrid.stages.models.facts import StageFacts


def empty_task(config: TrainConfig) -> Task:
    """Return the task of a recipe on one empty volume.

    A codec that is not here yet is stood in for by an untrained one of the SD VAE's published sizes.

    Raises:
        CtgridError: where the recipe's numbers do not fit each other.
    """
    recipe = config.recipe
    if isinstance(recipe, CodecRecipe) and recipe.video is not None:
        return CodecTask(recipe, [empty_clip(recipe.size, recipe.video.gray)])
    if isinstance(recipe, CodecRecipe) and recipe.clips:
        air = torch.full((FRAMES, recipe.size, recipe.size), AIR_HU, dtype=torch.int16)
        return ClipCodecTask(recipe, [VolumeSlices("empty", air, (1.0, 1.0, 1.0))])
    if isinstance(recipe, CodecRecipe):
        air = torch.full((1, recipe.size, recipe.size), AIR_HU, dtype=torch.int16)
        return CodecTask(recipe, [VolumeSlices("empty", air, (1.0, 1.0, 1.0))])
    if isinstance(recipe, DetailRecipe):
        air = torch.full((1, recipe.size, recipe.size), AIR_HU, dtype=torch.int16)
        field = empty_field(recipe.size)
        scan = VolumeSlices("empty", air.expand(len(field), -1, -1), (1.0, 1.0, 1.0))
        return DetailTask(
            recipe, [NoisyPair("empty", air, air, air, 50.0)], [MeasuredScan(scan, 1.0, white())], [field]
        )
    codec = codec_or_stand_in(recipe)
    if isinstance(recipe, GridRecipe):
        cell = recipe.cell_size // codec.downsample
        shape = (codec.latent_channels, cell, cell)
        if recipe.cell_encoding == "grid":
            shape = (1, recipe.cell_size, recipe.cell_size)
        coarse = torch.zeros(()).expand(1, recipe.slices, *shape)
        return GridTask(recipe, coarse, codec, StageFacts())
    side = recipe.size // codec.downsample
    latents = torch.zeros(()).expand(1, codec.latent_channels, side, side)
    return RefineTask(recipe, latents, latents[None], codec, StageFacts())


def empty_clip(size: int, gray: bool) -> Clip:
    """Return a clip of one black frame, which no file holds."""

    class Black:
        path = Path()

        def __len__(self) -> int:
            return 1

        def read(self, numbers: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
            return iter([(number, np.zeros((size, size, 3), np.uint8)) for number in numbers])

        def digest(self) -> str:
            return ""

    return Clip("empty", Black(), size, k=1, gray=gray, count=1)


def codec_or_stand_in(recipe: DiffusionRecipe) -> Codec:
    """Load a recipe's codec, or build one of the SD VAE's sizes where it is not here."""
    try:
        return load_codec(part_folder(Path(recipe.codec)))
    except CtgridError:
        return stand_in()
