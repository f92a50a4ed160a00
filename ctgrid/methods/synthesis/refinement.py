"""Stage 2 by itself: coarse frames of any clip, enlarged and refined one by one (super-resolution)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch

from ctgrid.base.precision import autocast
from ctgrid.data.video.clips import fit
from ctgrid.methods.synthesis.video import VideoPipeline, frames_of
from ctgrid.stages.cells import refine


@dataclass(frozen=True, repr=False)
class RefinePipeline(VideoPipeline):
    """Refine frames with a loaded model of video clips."""

    contents = ("video",)

    @torch.no_grad()
    def refine_frames(
        self, frames: Iterable[np.ndarray], show: Callable[[np.ndarray], None], seed: int, batch_size: int, **how: Any
    ) -> int:
        """Bring frames to the size of the model's cells, enlarge and refine them, and hand them out in order.

        Args:
            frames: (H, W, 3) uint8 of any size; their middle squares count, shrunk antialiased where they are larger.
            show: takes frames (S, S, 3), or (S, S) of a gray model, uint8.
            seed: of the noise, which all frames have in common as in synthesis.
            batch_size: frames at once.
            how: ``steps``, ``sampler`` and ``spacing`` of :func:`ctgrid.stages.cells.refine`.

        Returns:
            Token-passes spent.
        """
        facts, spent, waiting = self.bundle.facts2, 0, iter(frames)
        while batch := list(islice(waiting, batch_size)):
            coarse = torch.stack([fit(frame, facts.cell_size, facts.channels == 1) for frame in batch])
            with autocast(self.device, self.dtype):
                images, passes = refine(self.bundle, coarse, seed=seed, **how)
            spent += passes
            for frame in frames_of(images.float(), facts.size).numpy():
                show(frame)
        return spent
