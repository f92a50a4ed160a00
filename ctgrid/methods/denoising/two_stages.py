"""What every way to denoise by both stages shares: onto the model's grid, slice by slice through stage 2, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ctgrid.base.precision import autocast
from ctgrid.base.progress import Progress
from ctgrid.methods.denoising.grids import shrunk
from ctgrid.methods.pipeline import ModelPipeline, Stopwatch
from ctgrid.scan.protocols.oriented import Oriented, from_oriented, to_oriented
from ctgrid.scan.volume import Volume
from ctgrid.stages.cells import batches, decode_cells

Refine = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, int]]
"""Takes the numbers (B,) of slices, the slices (B, 1, S, S) and coarse ones (B, 1, s, s); returns full slices
(B, 1, S, S) on the CPU and token-passes."""


@dataclass(frozen=True, eq=False)
class OnGrid:
    """A scan as the model sees it.

    Attributes:
        unit: its slices (N, S, S) in [-1, 1], which :meth:`TwoStages.finish` overwrites.
        small: what they are shrunk to, (N, 1, s, s).
        way: back to the scan.
    """

    unit: np.ndarray
    small: Tensor
    way: Oriented

    @property
    def images(self) -> Tensor:
        """The slices as images (N, 1, S, S), not copied."""
        return torch.from_numpy(self.unit)[:, None]


class TwoStages(ModelPipeline):
    """A pipeline that takes a scan through both stages."""

    def on_grid(self, volume: Volume, watch: Stopwatch) -> OnGrid:
        """Bring a scan into the form that the model was trained on."""
        facts = self.bundle.facts1
        with watch("preprocess"):
            unit, way = to_oriented(volume, facts.size, facts.orientation)
            return OnGrid(unit, shrunk(torch.from_numpy(unit)[:, None], facts.factor), way)

    def coarse(self, cells: Tensor, count: int, batch_size: int, watch: Stopwatch) -> Tensor:
        """Decode stage 1's cells to as many coarse slices (count, 1, s, s); cells beyond only filled a grid."""
        with autocast(self.device, self.dtype), watch("stage 1"):
            return decode_cells(self.bundle, cells, batch_size)[:count]

    def finish(
        self,
        scan: OnGrid,
        coarse: Tensor,
        refine: Refine,
        batch_size: int,
        only: Sequence[int] | None,
        watch: Stopwatch,
        progress: Progress,
    ) -> tuple[Volume, int]:
        """Make full slices of coarse ones, and return the result on the scan's own grid and the token-passes.

        Args:
            scan: as the model sees it; it is used up.
            coarse: (N, 1, s, s).
            refine: makes full slices of some coarse ones.
            batch_size: slices at once.
            only: numbers of the slices to finish, counted from the feet; the others stay as they were. None is all.
            watch: counts the seconds of every part.
            progress: called with (phase, done, total).
        """
        count, passes, images = len(scan.unit), 0, scan.images
        chosen = torch.arange(count) if only is None else torch.tensor(scan.way.numbers(only))
        for part in batches(len(chosen), batch_size):
            index = chosen[part]
            with autocast(self.device, self.dtype), watch("stage 2"):
                refined, spent = refine(index, images[index], coarse[index])
            passes += spent
            scan.unit[index.numpy()] = refined[:, 0].numpy()
            progress("stage 2", part.stop, len(chosen))
        with watch("postprocess"):
            return from_oriented(scan.unit, scan.way), passes
