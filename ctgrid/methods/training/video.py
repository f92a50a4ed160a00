"""Video clips as one more source for the stages' tasks: the same grids and pairs, in colour or gray."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ctgrid.base.draws import integer, normal
from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.data.degrade import DegradationTensors, draw_degradation, shrink
from ctgrid.data.store.splits import select_volumes
from ctgrid.data.video.clips import Clip, CoarseClips
from ctgrid.data.video.datasets import open_clips
from ctgrid.data.video.layouts import Found, find_clips, find_layout
from ctgrid.data.volumes import check_excluded
from ctgrid.methods.training.recipes import CodecRecipe, DiffusionRecipe, GridRecipe, RefineRecipe
from ctgrid.methods.training.stage1 import GridTask
from ctgrid.methods.training.stage2_drawn import DrawnRefineTask
from ctgrid.methods.training.volumes import TrainingData
from ctgrid.stages.codecs.codecs import Codec, load_codec
from ctgrid.stages.models.facts import StageFacts

Recipe = CodecRecipe | DiffusionRecipe


def choose_clips(
    recipe: Recipe,
    path: Path,
    exclude: tuple[str, ...] = (),
    split: str | None = None,
    fraction: float | None = None,
    part: Literal["train", "test"] | None = None,
    metadata: Sequence[Path] = (),
) -> list[Found]:
    """Return the clips of a folder that a run takes, without opening them.

    Args:
        recipe: what is trained.
        path: see :class:`ctgrid.methods.training.data.Selection`; likewise the others.
        exclude: likewise.
        split: likewise.
        fraction: likewise.
        part: likewise.
        metadata: tables, which clips have none of.

    Raises:
        CtgridError: where there are none, the data are a store, or a table is given.
    """
    from ctgrid.data.store import is_store

    video = recipe.video
    assert video is not None
    if metadata:
        raise CtgridError(f"{path}: video clips have no table of HU; leave --metadata out")
    if is_store(path):
        raise CtgridError(f"{path}: a store holds CT volumes; this recipe trains on a folder of video clips")
    found = find_clips(path, find_layout(video.layout), part or video.part)
    check_excluded(exclude, [item.name for item in found], path)
    found = [item for item in found if item.name not in exclude]
    chosen = set(select_volumes({item.name for item in found}, split, fraction))
    found = [item for item in found if item.name in chosen]
    if not found:
        raise CtgridError(f"{path}: every clip here is excluded by the recipe; leave one")
    return found


def open_videos(recipe: Recipe, path: Path, *, progress: Progress = silent, **selection: Any) -> TrainingData:
    """Look the chosen clips over; those that cannot be used are skipped, with the reason among the data's facts.

    Args:
        recipe: what is trained.
        path: the clips' folder.
        progress: called with (phase, done, total).
        selection: of :func:`choose_clips`.

    Raises:
        CtgridError: as :func:`choose_clips`, or where no clip can be used.
    """
    video = recipe.video
    assert video is not None
    if isinstance(recipe, DiffusionRecipe):
        video_codec(recipe)  # a gray one for colour is refused before any clip is read
    found = choose_clips(recipe, path, **selection)
    taken: dict[str, Any] = {"size": recipe.size, "gray": video.gray, "frame_stride": video.frame_stride, "k": 1}
    least = 1
    if isinstance(recipe, DiffusionRecipe):
        taken |= {"k": recipe.k, "scale": recipe.scale}
        least = recipe.slices if recipe.network.get("absolute_z") else recipe.k**2
    clips, skipped = open_clips(found, least, taken, progress)
    if not clips:
        name, reason = next(iter(skipped.items()))
        raise CtgridError(f"{path}: none of {len(skipped)} clips can be used; {name}: {reason}")
    facts = {
        "kind": "video",
        "path": str(path),
        "part": selection.get("part") or video.part,
        "split": selection.get("split"),
        "fraction": selection.get("fraction"),
        "frames": sum(len(clip) for clip in clips),
        "skipped": skipped,
    }
    return TrainingData(clips, {clip.name: clip.digest()[:48] for clip in clips}, None, facts)


def video_codec(recipe: DiffusionRecipe) -> Codec:
    """Return a recipe's codec, for colour unless the recipe wants gray.

    Raises:
        CtgridError: where it is not to be had, or cannot encode colour.
    """
    codec = load_codec(recipe.codec)
    return codec if recipe.video is not None and recipe.video.gray else codec.colour()


def video_facts(recipe: DiffusionRecipe, **more: Any) -> StageFacts:
    """Return what sampling must know of a stage trained on clips by this recipe."""
    return StageFacts(
        prediction=recipe.prediction,
        size=recipe.size,
        k=recipe.k,
        scale=recipe.scale,
        slices=recipe.slices,
        content="video",
        channels=1 if recipe.video is not None and recipe.video.gray else 3,
        **more,
    )


def clip_views(recipe: DiffusionRecipe, clips: list[Clip]) -> CoarseClips:
    """Return the clips to draw from: whole; cut to the recipe's ``slices`` for absolute z; perhaps mirrored too."""
    assert recipe.video is not None
    if recipe.network.get("absolute_z"):  # z is the frame's number in its piece, of [0, slices)
        clips = [piece for clip in clips for piece in clip.pieces(recipe.slices)]
    return CoarseClips(clips, recipe.video.mirror)


def video_grid_task(recipe: GridRecipe, data: TrainingData) -> GridTask:
    """Return stage 1's task: grids of coarse frames, encoded where the batch is."""
    conditioning = "clean" if recipe.knows_cells else "replace"
    facts = video_facts(recipe, cell_encoding=recipe.cell_encoding, conditioning=conditioning, layout=recipe.layout)
    views = clip_views(recipe, list(data.volumes))  # type: ignore[arg-type]
    return GridTask(recipe, views, video_codec(recipe), facts)


class VideoRefineTask(DrawnRefineTask):
    """Stage 2's task: frames, degraded channel by channel."""

    def __init__(self, recipe: RefineRecipe, views: CoarseClips, codec: Codec, facts: StageFacts) -> None:
        """Take the recipe and the clips it draws frames from."""
        super().__init__(recipe, codec, facts)
        self.views = views

    def example(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw a frame (C, S, S), a degradation whose noise differs by channel, a timestep and noise."""
        recipe = self.recipe
        clip = self.views.clip(integer(0, len(self.views), generator))
        image = clip.images(integer(0, len(clip), generator))[0]
        drawn = draw_degradation(generator, recipe.noise_levels, recipe.blur_share)
        degradation = DegradationTensors.of(drawn, recipe.size)
        grain = normal((clip.channels, recipe.size, recipe.size), torch.Generator().manual_seed(drawn.seed))
        coarse = shrink(image[None], recipe.factor, recipe.degradation)[0]
        return {"image": image, **self.drawn(coarse, degradation, grain, generator)}

    def latent(self, batch: dict[str, Tensor]) -> Tensor:
        """Encode a batch's frames."""
        return self.codec.to(batch["image"].device).encode(batch["image"])


def video_refine_task(recipe: RefineRecipe, data: TrainingData) -> VideoRefineTask:
    """Return stage 2's task."""
    views = clip_views(recipe, list(data.volumes))  # type: ignore[arg-type]
    return VideoRefineTask(recipe, views, video_codec(recipe), video_facts(recipe))
