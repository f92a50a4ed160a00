"""One clip as training draws from it: square frames of one size, their coarse versions, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import interpolate

from ctgrid.data.stored import row_numbers
from ctgrid.data.video.reader import FrameReader
from ctgrid.data.volumes import shrink
from ctgrid.scan.grid import Tiled, downsample

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in gray (ITU-R BT.601)."""


@dataclass(frozen=True)
class Clip(Tiled):
    """Frames of a clip, read when they are asked for; a gray one is a ``SliceSource``.

    Attributes:
        name: of the clip.
        reader: gives the frames as they are on disk.
        size: S, pixels of a frame's side.
        k: cells along the side of a grid of its frames.
        scale: how many times frames are shrunk to cells; None is k.
        gray: one channel of luma instead of red, green and blue.
        frame_stride: every how many frames of the file one counts.
        first: first frame, counted in strides.
        count: frames.
        mirrored: left and right exchanged, in every frame.
    """

    name: str
    reader: FrameReader
    size: int
    k: int = 4
    scale: int | None = None
    gray: bool = False
    frame_stride: int = 1
    first: int = 0
    count: int = 0
    mirrored: bool = False

    @property
    def channels(self) -> int:
        """1 or 3."""
        return 1 if self.gray else 3

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Of no meaning for video: one, so that generic code may go on."""
        return (1.0, 1.0, 1.0)

    def __len__(self) -> int:
        return self.count

    def images(self, index: Tensor | slice | int) -> Tensor:
        """Return frames (m, C, S, S), float32 in [-1, 1], in the order of the index; one frame for a number."""
        rows = row_numbers(index, self.count)
        numbers = [(self.first + row) * self.frame_stride for row in rows]
        by_number = {number: fit(frame, self.size, self.gray) for number, frame in self.reader.read(numbers)}
        images = torch.stack([by_number[number] for number in numbers])
        return images.flip(-1) if self.mirrored else images

    def coarse(self, index: Tensor | slice | int) -> Tensor:
        """Return coarse frames (m, C, s, s), float32 in [-1, 1], s = S/factor: :meth:`images`, antialiased bicubic."""
        return downsample(self.images(index), self.factor).clamp(-1, 1)

    def unit(self, index: Tensor | slice | int) -> Tensor:
        """Return frames without the axis of a single channel: (m, S, S), or (S, S) for a number; colour keeps it."""
        images = self.images(index)
        images = images[:, 0] if self.gray else images
        return images[0] if isinstance(index, int) else images

    def small(self, index: int, side: int) -> Tensor:
        """Return a frame shrunk to (side, side), or (3, side, side) in colour."""
        image = self.unit(index)
        return shrink(image, side) if self.gray else torch.stack([shrink(channel, side) for channel in image])

    def digest(self) -> str:
        """Return a hash of the clip's files and of what is taken from them."""
        taken: tuple[int, ...] = (self.size, self.k, self.gray, self.frame_stride, self.first, self.count)
        taken += () if self.scale is None else (self.scale,)  # as it was before there was a choice
        return f"{self.reader.digest()[:24]}-{'-'.join(str(int(value)) for value in taken)}"

    def pieces(self, count: int) -> list[Clip]:
        """Cut the clip into pieces of ``count`` frames; what remains at its end is left out."""
        starts = range(0, self.count - count + 1, count)
        return [replace(self, first=self.first + start, count=count) for start in starts]


def fit(frame: np.ndarray, size: int, gray: bool = False) -> Tensor:
    """Cut out the middle square of a frame and bring it to a size, antialiased bicubic.

    Args:
        frame: (H, W, 3) uint8.
        size: pixels of the result's side.
        gray: return luma.

    Returns:
        (3, size, size), or (1, size, size), float32 in [-1, 1].
    """
    height, width = frame.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = torch.from_numpy(np.array(frame[top : top + side, left : left + side], dtype=np.float32))
    image = rearrange(square, "h w c -> c h w")
    if gray:
        image = (image * torch.tensor(LUMA)[:, None, None]).sum(dim=0, keepdim=True)
    if side != size:
        image = interpolate(image[None], size=(size, size), mode="bicubic", antialias=True)[0]
    return image.clamp(0, 255) / 127.5 - 1


class CoarseClips(Sequence["CoarseClip"]):
    """Coarse clips to draw grids from; with ``mirror`` every clip a second time with left and right exchanged.

    All cells of a grid are mirrored or none, each within itself, so that the order of the frames stays.
    """

    def __init__(self, clips: Sequence[Clip], mirror: bool = False) -> None:
        """Take the clips."""
        self.clips, self.mirror = clips, mirror

    def __len__(self) -> int:
        return len(self.clips) * (2 if self.mirror else 1)

    def __getitem__(self, index: Any) -> Any:
        return CoarseClip(self.clip(index))

    def clip(self, index: int) -> Clip:
        """Return a clip, straight or mirrored."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        number, mirrored = divmod(index, 2) if self.mirror else (index, 0)
        clip = self.clips[number]
        return replace(clip, mirrored=not clip.mirrored) if mirrored else clip


@dataclass(frozen=True)
class CoarseClip:
    """A clip's coarse frames; indexed by frame numbers (m,) it gives images (m, C, s, s) in [-1, 1]."""

    clip: Clip

    def __len__(self) -> int:
        return len(self.clip)

    def __getitem__(self, index: Tensor) -> Tensor:
        return self.clip.coarse(index)
