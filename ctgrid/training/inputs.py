"""From volumes to the tensors that the diffusion stages draw from."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import torch
from einops import rearrange
from torch import Tensor

from ctgrid.data.latents import cached, coarse_volumes, encode, refine_pairs
from ctgrid.data.volumes import VolumeSlices
from ctgrid.files import sha256_of
from ctgrid.models.bundle import EMBEDDED, EMBEDDED_FOLDER, StageFacts
from ctgrid.models.codecs import Codec, load_codec
from ctgrid.progress import Progress
from ctgrid.training.config import DiffusionRecipe, GridRecipe, RefineRecipe
from ctgrid.training.stage1 import GridTask
from ctgrid.training.stage2 import RefineTask


def codec_folder(name: str) -> Path:
    """Return the folder of a recipe's codec: the embedded one, a training run's, or the folder itself."""
    if name == EMBEDDED:
        return EMBEDDED_FOLDER / "codec"
    folder = Path(name)
    return folder / "model" if (folder / "model").is_dir() else folder


def identity(recipe: DiffusionRecipe, volumes: list[VolumeSlices], seed: int) -> dict[str, object]:
    """Return everything that cached tensors depend on."""
    weights = sorted(codec_folder(recipe.codec).glob("*.safetensors"))
    settings = recipe.model_dump(mode="json", exclude={"network", "prediction", "min_snr_gamma"})
    return {
        "recipe": settings,
        "seed": seed,
        "codec": [sha256_of(path) for path in weights],
        "volumes": [[v.name, list(v.hu.shape), list(v.spacing_mm), int(v.hu.sum())] for v in volumes],
    }


def facts(recipe: DiffusionRecipe, volumes: list[VolumeSlices], **more: str) -> StageFacts:
    """Return what sampling must know of a stage trained by this recipe on these volumes."""
    return StageFacts(
        prediction=recipe.prediction,
        size=recipe.size,
        k=recipe.k,
        slices=recipe.slices,
        fov_mm=recipe.fov_mm,
        extent_mm=round(median(len(v.hu) * v.spacing_mm[0] for v in volumes), 2),
        **more,  # type: ignore[arg-type]
    )


def grid_task(recipe: GridRecipe, volumes: list[VolumeSlices], cache: Path, seed: int, progress: Progress) -> GridTask:
    """Prepare coarse volumes, as latents of cells or as images, and return stage 1's task."""
    codec = load_codec(codec_folder(recipe.codec))

    def make() -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        coarse = coarse_volumes(
            volumes,
            size=recipe.size,
            k=recipe.k,
            slices=recipe.slices,
            variants=recipe.variants,
            fov_mm=recipe.fov_mm,
            generator=generator,
            progress=progress,
        )
        if recipe.cell_encoding == "grid":
            return {"coarse": coarse[:, :, None]}
        cells = encode(codec, rearrange(coarse, "v z h w -> (v z) h w"), progress, "encoding cells")
        return {"coarse": rearrange(cells, "(v z) c h w -> v z c h w", z=recipe.slices)}

    tensors = cached(cache, identity(recipe, volumes, seed), make)
    clean = recipe.window_share > 0 or recipe.unknown_share < 1
    known = facts(
        recipe,
        volumes,
        cell_encoding=recipe.cell_encoding,
        conditioning="clean" if clean else "replace",
    )
    return GridTask(recipe, tensors["coarse"], codec, known)


def refine_task(
    recipe: RefineRecipe, volumes: list[VolumeSlices], cache: Path, seed: int, progress: Progress
) -> RefineTask:
    """Encode slices and their coarse versions, and return stage 2's task."""
    codec: Codec = load_codec(codec_folder(recipe.codec))

    def make() -> dict[str, Tensor]:
        fine, coarse = refine_pairs(
            volumes,
            codec,
            size=recipe.size,
            k=recipe.k,
            degradations=recipe.degradations,
            codec_share=recipe.codec_share,
            noise_levels=recipe.noise_levels,
            blur_share=recipe.blur_share,
            fov_mm=recipe.fov_mm,
            generator=torch.Generator().manual_seed(seed),
            progress=progress,
        )
        return {"fine": fine, "coarse": coarse}

    tensors = cached(cache, identity(recipe, volumes, seed), make)
    return RefineTask(recipe, tensors["fine"], tensors["coarse"], codec, facts(recipe, volumes))
