"""From volumes to the tensors that the diffusion stages draw from: ahead for a folder, on demand for a store."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from einops import rearrange
from torch import Tensor

from ctgrid.base.errors import CtgridError, CtgridWarning
from ctgrid.base.progress import Progress, silent
from ctgrid.data.stored import CoarseVolumes, StoreSlices, in_parallel
from ctgrid.data.volumes import SliceSource, VolumeSlices
from ctgrid.methods.training.config import DiffusionRecipe, GridRecipe, RefineRecipe, load_config
from ctgrid.methods.training.data import Recipe, TrainingData, check_settings, is_video
from ctgrid.methods.training.stage1 import GridTask
from ctgrid.methods.training.stage2 import RefineTask
from ctgrid.methods.training.stage2_store import StoredRefineTask
from ctgrid.scan.protocols.oriented import check_orientation
from ctgrid.stages.codecs.codecs import Codec, load_codec
from ctgrid.stages.latents.ahead import cached, coarse_volumes, encode, refine_pairs
from ctgrid.stages.latents.stored import Of, StoredLatents
from ctgrid.stages.models.bundle import StageFacts

if TYPE_CHECKING:
    from ctgrid.data.store import Store

FACTS_FROM = 1000
"""Volumes of a store, evenly chosen, whose spacing is looked at for the stage's facts."""


NEARLY_ALL = 0.75
"""Share of a store's volumes that must agree in the orientation of their slices."""

MODEL_KEYS = {
    "network",
    "start",
    "prediction",
    "min_snr_gamma",
    "codec",
    "layout",
    "sampler",
    "sampling_steps",
    "fill_steps",
}
"""Keys of a recipe that say what is trained, or are told in other words."""

DRAWING_KEYS = {
    "strides",
    "starts",
    "keyframe_share",
    "window_share",
    "unknown_share",
    "mending_share",
    "timestep_shift",
    "window_shift",
    "window_spacing_mm",
}
"""Keys that say which grids are drawn from cached volumes."""


def identity(
    recipe: DiffusionRecipe, data: TrainingData, codec: Codec, seed: int, compute: torch.dtype
) -> dict[str, object]:
    """Return everything that cached tensors depend on.

    ``compute`` is the format that the run decided on, wherever it goes on, so that a run moved to other hardware keeps
    its latents. It is left out for bfloat16, in which all latents were made before there was a choice.
    """
    settings = recipe.model_dump(mode="json", exclude=MODEL_KEYS | DRAWING_KEYS)
    for key, usual in (("degradation", "ctgrid"), ("scale", None)):
        if settings.get(key) == usual:
            settings.pop(key, None)  # latents of before there was a choice are these
    content = {"recipe": settings, "seed": seed, "codec": codec.identity, "volumes": data.digests}
    return content if compute == torch.bfloat16 else {**content, "compute": str(compute).removeprefix("torch.")}


def facts(recipe: DiffusionRecipe, data: TrainingData, **more: Any) -> StageFacts:
    """Return what sampling must know of a stage trained by this recipe on these volumes.

    Raises:
        CtgridError: where a store's slices lie in the patient in more than one way, see :func:`common_orientation`.
    """
    some: Sequence[SliceSource] = data.volumes[:: max(1, len(data.volumes) // FACTS_FROM)]
    spacings = [volume.spacing_mm for volume in some]
    fov_mm = recipe.fov_mm
    if data.store is not None:  # its slices were framed when it was made
        fov_mm = round(median(spacing[1] * recipe.size for spacing in spacings), 2)
        more["protocol"] = data.store.settings.protocol
        more["orientation"] = common_orientation(
            [volume.orientation for volume in some if isinstance(volume, StoreSlices)], str(data.store.path)
        )
    return StageFacts(
        prediction=recipe.prediction,
        size=recipe.size,
        k=recipe.k,
        scale=recipe.scale,
        slices=recipe.slices,
        fov_mm=fov_mm,
        extent_mm=round(median(len(v) * spacing[0] for v, spacing in zip(some, spacings, strict=True)), 2),
        **more,
    )


def common_orientation(found: Sequence[str], where: str) -> str:
    """Return the orientation of nearly all slices of a store: that of protocol ``generatect`` is each file's own.

    Args:
        found: one for each volume.
        where: what to name in the error.

    Raises:
        CtgridError: where no orientation is that of :data:`NEARLY_ALL` volumes, or slices are not axial.
    """
    counts = Counter(found).most_common()
    codes, most = counts[0]
    if most < NEARLY_ALL * len(found):
        listed = ", ".join(f"{number} {code}" for code, number in counts)
        raise CtgridError(
            f"{where}: slices of its volumes lie in the patient in several ways ({listed}), a model would mix them; "
            "prepare with --protocol canonical, or choose volumes of one kind with --split"
        )
    return check_orientation(codes, where)


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
    codec, data = load_codec(recipe.codec), inputs.data
    known = facts(
        recipe,
        data,
        cell_encoding=recipe.cell_encoding,
        conditioning="clean" if recipe.knows_cells else "replace",
        layout=recipe.layout,
        sampler=recipe.sampler,
        steps=recipe.sampling_steps,
        fill_steps=recipe.fill_steps,
        stride=1.0 if recipe.network.get("absolute_z") else float(median(recipe.strides)),
    )
    if data.store is not None:
        for key in ("deformation_mm", "window_spacing_mm"):
            if getattr(recipe, key):
                raise CtgridError(
                    f"stage1.{key} is for a folder of scans, not for a store, whose slices are cut already"
                )
        volumes: Any = data.volumes
        if latents_read(recipe):
            latents = stored_latents(volumes, codec, "coarse", inputs.progress)
            if latents is not None:
                return GridTask(recipe, CellLatents(latents), codec, known)
        return GridTask(recipe, CoarseVolumes(volumes, recipe.variants, inputs.seed), codec, known)

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
            progress=inputs.progress,
        )
        if recipe.cell_encoding == "grid":
            return {"coarse": coarse[:, :, None]}
        cells = encode(
            codec, rearrange(coarse, "v z h w -> (v z) h w"), inputs.compute, inputs.progress, "encoding cells"
        )
        return {"coarse": rearrange(cells, "(v z) c h w -> v z c h w", z=recipe.slices)}

    tensors = inputs.kept(recipe, codec, make)
    thick = thick_scans(data.volumes, recipe.window_spacing_mm)
    poses = [number * recipe.variants + pose for number in thick for pose in range(recipe.variants)]
    return GridTask(recipe, tensors["coarse"], codec, known, poses)


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
    codec, data = load_codec(recipe.codec), inputs.data
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


def latents_read(recipe: Recipe) -> tuple[Of, ...]:
    """Return which of a store's latents training by a recipe reads: none where it encodes what it draws.

    Stage 1 draws grids from latents of single cells, unless grids are encoded whole or slices vary. Stage 2's
    conditions are degraded anew for every example, so that only its slices can be encoded ahead.
    """
    if isinstance(recipe, GridRecipe):
        return ("coarse",) if recipe.cell_encoding == "cell" and recipe.variants == 1 and not is_video(recipe) else ()
    return ("slices",) if isinstance(recipe, RefineRecipe) and not is_video(recipe) else ()


def latents_wanted(config: str, store: Store) -> tuple[str, tuple[Of, ...]]:
    """Return the codec that a recipe names, and which latents of a store training by it reads.

    Raises:
        CtgridError: where the recipe cannot be read, or the store was not made for it.
    """
    recipe = load_config(config).recipe
    check_settings(store, recipe)
    return getattr(recipe, "codec", ""), latents_read(recipe)


def stored_latents(
    volumes: Sequence[StoreSlices], codec: Codec, of: Of, progress: Progress
) -> list[StoredLatents] | None:
    """Return the latents that a store keeps of these volumes under a codec, or None where it keeps none.

    Raises:
        CtgridError: where some are stale or missing while others are there.
    """
    latents = [StoredLatents(volume, of, codec.identity) for volume in volumes]
    found = in_parallel(_state_of(of, codec), volumes, "checking latents", progress)
    states = {volume.name: state for volume, state in zip(volumes, found, strict=True)}
    if set(states.values()) == {"missing"}:
        return None
    wrong = [name for name, state in states.items() if state != "ready"]
    if wrong:
        stale = sum(state == "stale" for state in states.values())
        raise CtgridError(
            f"{volumes[0].folder.parent}: latents of {of} are stale for {stale} and missing for "
            f"{len(wrong) - stale} of {len(states)} volumes ({wrong[0]}, for one); make them with ctgrid latents, "
            "or remove them with --clear"
        )
    return latents


def _state_of(of: Of, codec: Codec) -> Any:
    return lambda volume: StoredLatents(volume, of, codec.identity).state()


class CellLatents(Sequence[Any]):
    """Stored latents of coarse slices as volumes to draw grids from: indexed by slice numbers, (m, c, s, s)."""

    def __init__(self, latents: Sequence[StoredLatents]) -> None:
        """Take the volumes' latents."""
        self.latents = latents

    def __len__(self) -> int:
        return len(self.latents)

    def __getitem__(self, index: Any) -> Any:
        return _CellLatentsOf(self.latents[index])


class _CellLatentsOf:
    def __init__(self, latents: StoredLatents) -> None:
        self.latents = latents

    def __len__(self) -> int:
        return len(self.latents.volume)

    def __getitem__(self, index: Tensor) -> Tensor:
        return self.latents.mean(index)
