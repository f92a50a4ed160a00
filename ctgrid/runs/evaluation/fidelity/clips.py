"""From slices in HU to what detectors see: which slices make a clip, and how HU become uint8."""

from __future__ import annotations

import numpy as np
import torch

from ctgrid.base.draws import generator_for
from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.fidelity.protocol import GrayWindow


def clip_indices(
    n: int,
    frames: int,
    stride: int = 1,
    *,
    digest: str = "",
    count: int = 1,
    offset: str = "random",
    too_short: str = "loop",
    seed: int = 0,
) -> np.ndarray:
    """Choose the slices of a volume's clips.

    A clip that fits (n >= frames * stride, StyleGAN-V's rule) starts at a slice drawn uniformly from all places,
    0 … n - frames * stride + stride - 1; several clips of a volume start at different places. The draw depends on the
    seed, the volume's content and the number of frames alone, so that neither the order of volumes nor a stopped run
    changes it.

    Args:
        n: slices of the volume.
        frames: slices of a clip.
        stride: step from one to the next.
        digest: the volume's content hash.
        count: clips wanted; there are fewer where there are fewer places, and one from the start or looped.
        offset: "random", or "start" for slice 0.
        too_short: what happens where no clip fits: "loop" starts at slice 0 and goes through the volume again and
            again; "discard" gives no clip; "refuse" is an error.
        seed: of the draws.

    Returns:
        (m, frames) slice numbers of m <= count clips; (0, frames) where the volume is discarded.

    Raises:
        CtgridError: for a volume that is too short, where the protocol refuses it.
    """
    steps = np.arange(frames) * stride
    if n < frames * stride:
        if too_short == "discard":
            return np.empty((0, frames), dtype=np.int64)
        if too_short == "refuse":
            raise CtgridError(f"a volume has {n} slices, a clip needs {frames * stride}, and the protocol refuses it")
        return (steps % n)[None]
    places = n - frames * stride + stride
    starts = np.zeros(1, dtype=np.int64)
    if offset == "random":
        generator = generator_for(seed, int(digest[:8] or "0", 16), frames)
        starts = torch.randperm(places, generator=generator)[:count].numpy()
    return starts[:, None] + steps


def to_uint8(hu: np.ndarray, window: GrayWindow) -> np.ndarray:
    """Map HU to 0 … 255.

    Args:
        hu: any shape, in HU.
        window: limits and rounding.

    Returns:
        uint8 of the same shape. With x = -1 at ``low_hu`` and +1 at ``high_hu``: floor(127.5 x + 128), which is the
        nearest grey level, halves up; or floor(127.5 x + 127.5), which truncates. Both clamped.
    """
    grey = (hu.astype(np.float64) - window.low_hu) * 255.0 / (window.high_hu - window.low_hu)  # 127.5 x + 127.5
    half = 0.5 if window.rounding == "floor-127.5x-plus-128" else 0.0
    return np.clip(np.floor(grey + half), 0, 255).astype(np.uint8)
