"""Finished sequences as movies: frames of a model of video, or a CT model's slices through a window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import interpolate

from ctgrid.base.devices import Arrival
from ctgrid.base.progress import Progress, silent
from ctgrid.methods.synthesis.pipeline import SynthesisPipeline, Work, hu_of
from ctgrid.methods.synthesis.settings import Settings
from ctgrid.scan.protocols.canonical import DISPLAY
from ctgrid.scan.protocols.oriented import turn_images
from ctgrid.scan.windows import LUNG_WINDOW_HU


@dataclass(frozen=True, repr=False)
class VideoPipeline(SynthesisPipeline):
    """Make movies with a loaded model of video clips or of CT.

    Attributes:
        window_hu: what is black and what white in a movie of CT slices.
    """

    contents: ClassVar[tuple[str, ...]] = ("ct", "video")

    window_hu: tuple[float, float] = LUNG_WINDOW_HU

    def finish(self, images: Tensor, size: int) -> Tensor:
        """Turn images (B, C, S, S) in [-1, 1] into frames (B, size, size, 3) or gray (B, size, size), uint8."""
        if self.bundle.facts1.content == "ct":
            low, high = self.window_hu
            hu = turn_images(hu_of(images, size), self.bundle.facts1.orientation, DISPLAY)
            return to_bytes((hu.float() - low) / (high - low))
        return frames_of(images, size)

    def play(
        self, seed: int, settings: Settings, show: Callable[[np.ndarray], None], progress: Progress = silent
    ) -> Work:
        """Make one movie and hand its frames out in order, never holding more than a batch.

        Args:
            seed: of everything drawn.
            settings: ``slices`` of them is the number of frames, ``size`` the pixels of a side.
            show: takes a frame, (H, W) or (H, W, 3) uint8.
            progress: called with (phase, done, total).

        Raises:
            CtgridError: for settings that the model cannot follow.
        """

        def receive(_: int, first: int, arrival: Arrival) -> None:
            for frame in arrival():
                show(frame)

        return self.stream([seed], settings, receive, progress)


def frames_of(images: Tensor, size: int) -> Tensor:
    """Turn images (B, C, S, S) in [-1, 1], C of 1 or 3, into uint8 frames (B, size, size) or (B, size, size, 3)."""
    if images.shape[-1] != size:
        images = interpolate(images, size=(size, size), mode="bicubic", antialias=True, align_corners=False)
    frames = to_bytes((images + 1) / 2)
    return frames[:, 0] if images.shape[1] == 1 else rearrange(frames, "b c h w -> b h w c")


def to_bytes(share: Tensor) -> Tensor:
    """Turn shares of white into 0 … 255, clipped."""
    return (share.float().clamp(0, 1) * 255).round().to(torch.uint8)
