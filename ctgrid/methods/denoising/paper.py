"""The paper's Algorithm 3 to the letter, to compare with: nothing of the scan is kept but what stage 1 starts from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ctgrid.base.precision import autocast
from ctgrid.base.progress import Progress, silent
from ctgrid.base.settings import gather, spelled_out
from ctgrid.methods.denoising.diffusion import COARSE_ADDED
from ctgrid.methods.denoising.grids import denoise_cells
from ctgrid.methods.denoising.result import DenoiseResult, noise_of
from ctgrid.methods.denoising.settings import PaperSettings, Strength
from ctgrid.methods.denoising.starts import start_timestep
from ctgrid.methods.denoising.two_stages import TwoStages
from ctgrid.methods.pipeline import Stopwatch
from ctgrid.scan.ct import require_ct
from ctgrid.scan.protocols.resample import SCALE_HU
from ctgrid.scan.volume import Volume
from ctgrid.stages.cells import refine
from ctgrid.stages.diffusion.schedule import LINEAR

SEEDS = 2**32


class PaperPipeline(TwoStages):
    """Denoise volumes by Algorithm 3, whatever their noise."""

    @torch.no_grad()
    @spelled_out(PaperSettings)
    def run(
        self,
        volume: Volume,
        strength: Strength = "auto",
        *,
        only: Sequence[int] | None = None,
        progress: Progress = silent,
        **settings: Any,
    ) -> DenoiseResult:
        """Denoise one volume.

        1. Consecutive grids of K² slices that do not overlap, the last one filled up with the last slice.
        2. Encode, diffuse to t0, and go back with stage 1.
        3. Split the grids into slices; make each a full slice by stage 2 from pure noise of its own; stack.

        Args:
            volume: the scan, of any orientation, at least two slices.
            strength: the noise's standard deviation in HU, or ``auto`` to estimate it.
            only: numbers of the slices to finish, counted from the feet; None is all.
            progress: called with (phase, done, total).
            settings: see :class:`ctgrid.methods.denoising.settings.PaperSettings`.

        Raises:
            CtgridError: where the volume is no CT, a setting is out of range, or there are more steps than timesteps.
        """
        require_ct(volume)
        how = gather(PaperSettings, settings)
        seed, steps, refine_steps, batch_size = how.seed, how.steps, how.refine_steps, how.batch_size
        watch = Stopwatch()
        with watch("estimate noise"):
            noise_hu = noise_of(volume, strength)
        recorded: dict[str, Any] = {
            "method": "grid-paper",
            "strength": strength,
            "noise_hu": round(noise_hu, 2),
            **how.as_dict(),
        }
        scan = self.on_grid(volume, watch)
        missing = -len(scan.small) % self.bundle.facts1.k**2
        start = how.t0 or start_timestep(COARSE_ADDED * noise_hu / SCALE_HU)
        calls = LINEAR.calls(steps, start)
        with autocast(self.device, self.dtype), watch("stage 1"):
            cells, passes = denoise_cells(
                self.bundle,
                torch.cat([scan.small, scan.small[-1:].expand(missing, -1, -1, -1)]),
                start,
                calls,
                seed=seed,
                batch_size=batch_size,
                sampler=how.sampler,
                place=(0, len(scan.small)),
                progress=progress,
            )

        def full(index: Tensor, images: Tensor, coarse: Tensor) -> tuple[Tensor, int]:
            seeds = [(seed + int(z)) % SEEDS for z in index]
            return refine(self.bundle, coarse, seed=seeds, steps=refine_steps, sampler=how.sampler)

        coarse = self.coarse(cells, len(scan.small), batch_size, watch)
        result, spent = self.finish(scan, coarse, full, batch_size, only, watch, progress)
        recorded |= {"start_timestep": start, "network_calls": [calls, refine_steps]}
        return DenoiseResult(result, watch.rounded(), noise_hu, recorded, passes + spent)
