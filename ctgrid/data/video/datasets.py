"""Collections of clips as sequences, and their grids as a torch dataset."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch.utils.data import Dataset

from ctgrid.base.draws import generator_for
from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.data.grids import draw_plan
from ctgrid.data.stored import READERS
from ctgrid.data.video.clips import Clip, CoarseClips
from ctgrid.data.video.layouts import FOLDER, MINECRAFT, SKY, TAICHI, Found, Layout, Part, find_clips
from ctgrid.data.video.read import open_frames
from ctgrid.scan.grid import to_grid


class VideoFolder(Sequence[Clip]):
    """The clips of one part of a collection, sorted by name; frames are read when they are asked for.

    Attributes:
        clips: those long enough for a grid.
        skipped: name to the reason, of those that cannot be read or are too short.
    """

    layout: ClassVar[Layout] = FOLDER

    def __init__(
        self,
        root: str | Path,
        part: Part = "train",
        *,
        size: int | None = None,
        k: int = 4,
        scale: int | None = None,
        gray: bool = False,
        frame_stride: int = 1,
        min_frames: int | None = None,
        progress: Progress = silent,
    ) -> None:
        """Find the clips and read their headers.

        Args:
            root: the collection's folder, see :func:`ctgrid.data.video.layouts.find_clips`.
            part: ``train`` or ``test``.
            size: pixels of a frame's side; None takes the published ones.
            k: cells along a grid's side.
            scale: how many times frames are shrunk to cells; None is k.
            gray: luma instead of colour.
            frame_stride: every how many frames one counts.
            min_frames: frames that a clip must have after the stride; None takes those of a grid, k².
            progress: called with (phase, done, total).

        Raises:
            CtgridError: where nothing usable is found, or a number does not fit.
        """
        size = self.layout.size if size is None else size
        factor = k if scale is None else scale
        if min(k, factor) < 1 or size < factor or size % factor or frame_stride < 1:
            raise CtgridError(
                f"size must be a multiple of {'k' if scale is None else 'scale'} and frame_stride at least 1, got size "
                f"{size}, k {k}, scale {factor}, frame_stride {frame_stride}"
            )
        found = find_clips(root, self.layout, part)
        taken = {"size": size, "k": k, "scale": scale, "gray": gray, "frame_stride": frame_stride}
        self.clips, self.skipped = open_clips(found, min_frames or k * k, taken, progress)
        if not self.clips:
            name, reason = next(iter(self.skipped.items()))
            raise CtgridError(f"{root}: none of {len(self.skipped)} clips is usable; {name}: {reason}")

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: Any) -> Any:
        return self.clips[index]


class SkyTimelapse(VideoFolder):
    """SkyTimelapse: time-lapse skies, published at 256 x 256."""

    layout = SKY


class Taichi(VideoFolder):
    """Taichi-HD: people at tai chi, published at 256 x 256."""

    layout = TAICHI


class Minecraft(VideoFolder):
    """Minecraft, 300 frames a clip, published at 128 x 128."""

    layout = MINECRAFT


def open_clips(
    found: Sequence[Found], min_frames: int, taken: dict[str, Any], progress: Progress = silent
) -> tuple[list[Clip], dict[str, str]]:
    """Open clips, several at a time; those that cannot be used are named with the reason.

    Args:
        found: where they lie.
        min_frames: frames needed, after the stride.
        taken: the other fields of :class:`~ctgrid.data.video.clips.Clip`.
        progress: called with (phase, done, total).
    """

    def attempt(item: Found) -> Clip | str:
        try:
            reader = open_frames(item.path)
        except (CtgridError, OSError) as error:
            return str(error)
        count = -(-len(reader) // taken["frame_stride"])
        if count < min_frames:
            stride = f" at a stride of {taken['frame_stride']}" if taken["frame_stride"] > 1 else ""
            return f"{item.path}: too short, {count} frames{stride} where {min_frames} are needed"
        return Clip(item.name, reader, count=count, **taken)

    clips, skipped = [], {}
    with ThreadPoolExecutor(READERS) as pool:
        for done, (item, clip) in enumerate(zip(found, pool.map(attempt, found), strict=True)):
            progress("looking clips over", done, len(found))
            if isinstance(clip, str):
                skipped[item.name] = clip
            else:
                clips.append(clip)
    progress("looking clips over", len(found), len(found))
    return clips, skipped


class VideoGrids(Dataset[dict[str, Any]]):
    """Grids of coarse frames at a random start and stride; an item is a function of (seed, epoch, index) alone."""

    def __init__(
        self,
        clips: Sequence[Clip],
        *,
        strides: tuple[int, ...] = (1,),
        mirror: bool = False,
        per_clip: int = 1,
        seed: int = 0,
    ) -> None:
        """Take the clips.

        Args:
            clips: a :class:`VideoFolder`, or some clips of one.
            strides: frame steps inside a grid to draw from; those too long for a clip are shortened.
            mirror: also draw every clip with left and right exchanged, cell by cell.
            per_clip: grids of each clip in an epoch.
            seed: of starts and strides.

        Raises:
            CtgridError: for numbers below one, or no clip.
        """
        if not strides or min(strides) < 1 or per_clip < 1 or not clips:
            raise CtgridError(f"strides {strides} and per_clip {per_clip} must be at least 1, and some clip be there")
        generator_for(seed)  # refuses a negative one
        self.views, self.strides, self.per_clip, self.seed = CoarseClips(clips, mirror), strides, per_clip, seed
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Draw anew, also in workers that run already."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.views) * self.per_clip

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return ``grid`` (C, K s, K s) float32 in [-1, 1], ``z_index`` (K²,) of frames, ``name``, ``mirrored``."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        clip = self.views.clip(index % len(self.views))
        generator = generator_for(self.seed, int(self._epoch), index)
        plan = draw_plan(len(clip), clip.k, generator, self.strides)
        grid = to_grid(clip.coarse(plan.index), clip.k)[0]
        return {"grid": grid, "z_index": plan.index, "name": clip.name, "mirrored": clip.mirrored}
