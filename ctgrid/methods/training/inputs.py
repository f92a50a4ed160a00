"""From volumes to the tensors that the diffusion stages draw from: ahead for a folder, on demand for a store."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ctgrid.base.devices import choose_device
from ctgrid.base.errors import CtgridError, CtgridWarning
from ctgrid.base.progress import Progress, silent
from ctgrid.data.framing import Poses
from ctgrid.data.stored import CoarseVolumes
from ctgrid.data.volumes import SliceSource, VolumeSlices
from ctgrid.methods.training.cache import identity
from ctgrid.methods.training.data import TrainingData
from ctgrid.methods.training.drawn_keyframes import DRAWN_VERSION, DrawnKeyframes, check_drawing, draw_keyframes
from ctgrid.methods.training.facts import facts
from ctgrid.methods.training.recipes import DiffusionRecipe, GridRecipe, RefineRecipe
from ctgrid.methods.training.stage1 import GridTask
from ctgrid.methods.training.stage2 import RefineTask
from ctgrid.methods.training.stage2_store import StoredRefineTask
from ctgrid.methods.training.stored_latents import CellLatents, latents_read, stored_latents
from ctgrid.methods.training.teacher import teacher_of
from ctgrid.scan.windows import FULL_WINDOW_HU
from ctgrid.stages.codecs.codecs import Codec, load_codec
from ctgrid.stages.latents.ahead import cached, coarse_volumes, encode, refine_pairs
from ctgrid.stages.latents.sensitivity import channel_weights
from ctgrid.stages.models.bundle import DETAIL, GAPS, digest_of_model, load_bundle

BONE_HU = 150
"""Brighter than this is bone, or contrast medium, in the weights of a loss."""


@dataclass(frozen=True)
class Inputs:
    """What a stage's task is made from.

    Attributes:
        data: what to draw from.
        cache: file or folder that keeps what is made of a folder's volumes.
        seed: of what is made.
        progress: called meanwhile.
        compute: see :func:`ctgrid.stages.latents.ahead.encode`.
    """

    data: TrainingData
    cache: Path
    seed: int
    progress: Progress = silent
    compute: torch.dtype = torch.float32

    def kept(self, recipe: DiffusionRecipe, codec: Codec, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return tensors from the cache, made now where they are not there or were made from something else."""
        return cached(self.cache, identity(recipe, self.data, codec, self.seed, self.compute), make)


def grid_task(recipe: GridRecipe, inputs: Inputs) -> GridTask:
    """Return stage 1's task: coarse volumes as latents of cells or as images, in memory or in a store.

    Args:
        recipe: the kind's part of the config.
        inputs: what it is made from.

    Raises:
        CtgridError: for data that the recipe cannot be trained on.
    """
    if recipe.video is not None:
        from ctgrid.methods.training.video import video_grid_task

        return video_grid_task(recipe, inputs.data)
    codec, data = fitting_codec(recipe), inputs.data
    teacher = teacher_of(recipe, codec)
    known = facts(
        recipe,
        data,
        cell_encoding=recipe.cell_encoding,
        conditioning="clean" if recipe.knows_cells else "replace",
        layout=recipe.layout,
        sampler=recipe.sampler,
        steps=recipe.sampling_steps,
        stop=recipe.sampling_stop,
        fill_steps=recipe.fill_steps,
        fill_spacing=recipe.fill_spacing,
        habitus=recipe.habitus,
        stride=1.0 if recipe.network.get("absolute_z") else float(median(recipe.strides)),
    )
    if data.store is not None:
        for key in (
            "deformation_mm",
            "width_share",
            "feet_share",
            "mirrored",
            "window_spacing_mm",
            "bone_weight",
            "drawn_share",
            "channel_weights",
        ):
            if getattr(recipe, key) != GridRecipe.model_fields[key].default:
                raise CtgridError(
                    f"stage1.{key} is for a folder of scans, not for a store, whose slices are cut already"
                )
        volumes: Any = data.volumes
        if latents_read(recipe):
            latents = stored_latents(volumes, codec, "coarse", inputs.progress)
            if latents is not None:
                return GridTask(recipe, CellLatents(latents), codec, known, teacher=teacher)
        posed = CoarseVolumes(volumes, recipe.variants, inputs.seed, Poses(recipe.zoom_share))
        return GridTask(recipe, posed, codec, known, teacher=teacher)

    if recipe.drawn_share:
        check_drawing(recipe.drawn_by or "", recipe.k, recipe.slices, recipe.drawn_levels)

    def make() -> dict[str, Tensor]:
        scans: list[VolumeSlices] = data.volumes  # type: ignore[assignment]
        coarse = coarse_volumes(
            scans,
            size=recipe.size,
            k=recipe.factor,
            slices=recipe.slices,
            variants=recipe.variants,
            fov_mm=recipe.fov_mm,
            generator=torch.Generator().manual_seed(inputs.seed),
            deformation_mm=recipe.deformation_mm,
            mirrored=recipe.mirrored,
            poses=Poses(recipe.zoom_share, recipe.width_share, recipe.feet_share),
            progress=inputs.progress,
        )
        bone = {"bone": bone_share(coarse, codec.downsample)} if recipe.bone_weight else {}
        if recipe.cell_encoding == "grid":
            return {"coarse": coarse[:, :, None], **bone}
        cells = encode(
            codec, rearrange(coarse, "v z h w -> (v z) h w"), inputs.compute, inputs.progress, "encoding cells"
        )
        return {"coarse": rearrange(cells, "(v z) c h w -> v z c h w", z=recipe.slices), **bone}

    tensors = inputs.kept(recipe, codec, make)
    thick = thick_scans(data.volumes, recipe.window_spacing_mm)
    poses = [number * recipe.variants + pose for number in thick for pose in range(recipe.variants)]
    drawn = _drawn(recipe, tensors["coarse"], inputs, codec).without(poses) if recipe.drawn_share else None
    channels = channel_weights(codec, tensors["coarse"].flatten(0, 1)) if recipe.channel_weights == "decoded" else None
    return GridTask(recipe, tensors["coarse"], codec, known, poses, tensors.get("bone"), drawn, channels, teacher)


def _drawn(recipe: GridRecipe, coarse: Tensor, inputs: Inputs, codec: Codec) -> DrawnKeyframes:
    """Draw keyframes by the recipe's model, or read them from beside the latents."""
    name = recipe.drawn_by or ""

    def make() -> dict[str, Tensor]:
        bundle = load_bundle(name, choose_device())
        made = draw_keyframes(
            coarse,
            bundle,
            sets=recipe.drawn_sets,
            levels=recipe.drawn_levels,
            seed=inputs.seed,
            progress=inputs.progress,
        )
        return {"cells": made.cells, "volume": made.volume}

    content = {
        "keyframes": DRAWN_VERSION,
        "latents": identity(recipe, inputs.data, codec, inputs.seed, inputs.compute),
        "model": digest_of_model(name, without=[DETAIL, GAPS]),
        "sets": recipe.drawn_sets,
        "levels": recipe.drawn_levels,
    }
    cache = inputs.cache
    tensors = cached(cache if cache.is_dir() else cache.with_name("keyframes.safetensors"), content, make)
    return DrawnKeyframes(tensors["cells"], tensors["volume"], recipe.slices)


def bone_share(coarse: Tensor, downsample: int) -> Tensor:
    """Tell where bone is on the codec's latents: 1 where it fills a quarter of a latent pixel or more.

    Args:
        coarse: (volumes, slices, h, w), the window [-1000, 1000] HU as [-1, 1].
        downsample: pixels to a latent pixel's side.

    Returns:
        (volumes, slices, 1, h / downsample, w / downsample) float16, from 0 to 1.
    """
    bright = BONE_HU / FULL_WINDOW_HU[1]
    shares = [avg_pool2d((slices[:, None] > bright).float(), downsample) for slices in coarse]
    return (4 * torch.stack(shares)).clamp(max=1).half()


def fitting_codec(recipe: DiffusionRecipe) -> Codec:
    """Load a recipe's codec.

    Raises:
        CtgridError: as :func:`load_codec`, or for a codec of clips in a recipe that is not of whole clips.
    """
    codec = load_codec(recipe.codec)
    if codec.grid_side is None:
        return codec
    if not isinstance(recipe, GridRecipe):
        raise CtgridError(
            f"stage2.codec {recipe.codec} is of clips; stage 2 refines single slices, name a codec of images"
        )
    asked = (recipe.k, recipe.cell_encoding, recipe.layout, recipe.scale in (None, recipe.k))
    if asked != (codec.grid_side, "grid", "channels", True):
        raise CtgridError(
            f"stage1.codec {recipe.codec} encodes clips of {codec.grid_side**2} slices whole: set stage1.k to "
            f"{codec.grid_side}, stage1.cell_encoding to grid and stage1.layout to channels"
        )
    return codec


def thick_scans(scans: Sequence[SliceSource], reach_mm: float | None) -> list[int]:
    """Return the numbers of scans whose slices lie too far apart to draw windows from; none where all do, said once."""
    if reach_mm is None:
        return []
    thick = [number for number, scan in enumerate(scans) if scan.spacing_mm[0] > reach_mm]
    if len(thick) < len(scans):
        return thick
    warnings.warn(
        f"slices of all scans lie over {reach_mm:g} mm apart (stage1.window_spacing_mm): what is learnt between "
        "keyframes will be smooth along z",
        CtgridWarning,
        stacklevel=2,
    )
    return []


def refine_task(recipe: RefineRecipe, inputs: Inputs) -> RefineTask:
    """Return stage 2's task: slices and their coarse versions, encoded ahead or, from a store, as they are drawn.

    Args:
        recipe: the kind's part of the config.
        inputs: what it is made from.
    """
    if recipe.video is not None:
        from ctgrid.methods.training.video import video_refine_task

        return video_refine_task(recipe, inputs.data)
    codec, data = fitting_codec(recipe), inputs.data
    known = facts(recipe, data)
    if data.store is not None:
        volumes: Any = data.volumes
        return StoredRefineTask(
            recipe, volumes, stored_latents(volumes, codec, "slices", inputs.progress), codec, known
        )

    def make() -> dict[str, Tensor]:
        scans: list[VolumeSlices] = data.volumes  # type: ignore[assignment]
        fine, coarse = refine_pairs(
            scans,
            codec,
            size=recipe.size,
            k=recipe.factor,
            poses=recipe.poses,
            degradations=recipe.degradations,
            codec_share=recipe.codec_share,
            noise_levels=recipe.noise_levels,
            blur_share=recipe.blur_share,
            way=recipe.degradation,
            fov_mm=recipe.fov_mm,
            generator=torch.Generator().manual_seed(inputs.seed),
            compute=inputs.compute,
            progress=inputs.progress,
        )
        return {"fine": fine, "coarse": coarse}

    tensors = inputs.kept(recipe, codec, make)
    return RefineTask(recipe, tensors["fine"], tensors["coarse"], codec, known)
