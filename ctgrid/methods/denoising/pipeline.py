"""Denoising by diffusion: back from the scan's noise with both stages, then detail restored from the scan itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.base.precision import autocast
from ctgrid.base.progress import Progress, silent
from ctgrid.base.settings import gather, spelled_out
from ctgrid.data.degrade import enlarge
from ctgrid.methods.denoising.detail import laid_out, padding_values, remove_noise, slice_levels
from ctgrid.methods.denoising.diffusion import kept_share, network_calls, prior_share, start_timesteps
from ctgrid.methods.denoising.grids import denoise_cells, shrunk
from ctgrid.methods.denoising.result import LEAST_HU, DenoiseResult, noise_of, untouched
from ctgrid.methods.denoising.settings import GridDetailSettings, GridSettings, Strength
from ctgrid.methods.denoising.starts import latent_noise
from ctgrid.methods.denoising.two_stages import TwoStages
from ctgrid.methods.pipeline import Stopwatch
from ctgrid.scan.ct import require_ct
from ctgrid.scan.geometry import reorient
from ctgrid.scan.volume import Volume, cast_hu
from ctgrid.scan.windows import FULL_WINDOW_HU
from ctgrid.stages.cells import encode_cells
from ctgrid.stages.cells import refine as run_stage2

FINE_PROBES = 2
"""Slices on which the noise of full latents is measured."""


class DenoisePipeline(TwoStages):
    """Denoise volumes with a loaded model."""

    @torch.no_grad()
    @spelled_out(GridDetailSettings)
    def run(
        self,
        volume: Volume,
        strength: Strength = "auto",
        *,
        only: Sequence[int] | None = None,
        place: tuple[int, int] | None = None,
        progress: Progress = silent,
        **settings: Any,
    ) -> DenoiseResult:
        """Denoise one volume (Algorithm 3, with what each option adds or leaves out).

        Args:
            volume: the scan, of any orientation, at least two slices.
            strength: the noise's standard deviation in HU, or ``auto`` to estimate it.
            only: numbers of the slices to finish, counted from the feet; the others keep their noise. None is all.
            place: of a part cut from a longer scan, the number of its lowest slice and the number of slices of the
                whole; absolute z counts there. None is the whole.
            progress: called with (phase, done, total).
            settings: see :class:`ctgrid.methods.denoising.settings.GridDetailSettings`.

        Returns:
            The denoised volume on the input's grid: shape, affine and the input's dtype. A scan with hardly any
            noise comes back as it is.

        Raises:
            CtgridError: where the volume is no CT, a setting is out of range, or the model has no detail part.
        """
        how, network = gather(GridDetailSettings, settings), self.bundle.detail
        if how.detail and network is None:
            raise CtgridError(
                f"{self.bundle.folder}: this model has no detail part (a folder detail, made by ctgrid train detail); "
                "use --method grid, or switch the detail step off"
            )
        require_ct(volume)
        watch = Stopwatch()
        with watch("estimate noise"):
            noise_hu = noise_of(volume, strength)
        recorded: dict[str, Any] = {
            "method": "grid-detail" if how.detail else "grid",
            "strength": strength,
            "noise_hu": round(noise_hu, 2),
            **how.as_dict(),
        }
        if noise_hu < LEAST_HU:
            return untouched(volume, noise_hu, recorded, watch.rounded())
        hinted = network is not None and network.hinted
        helps = not how.detail or noise_hu >= how.diffuse_from
        before = helps and (hinted or not how.detail)
        share = prior_share(noise_hu) if helps and not before and how.refine else 0.0
        facts: dict[str, Any] = {"diffusion": before or share > 0, "hinted": hinted}
        prior, passes, per_slice = None, 0, None
        if before:
            prior, found, passes = self._diffuse(volume, noise_hu, how, only, place, watch, progress)
            facts |= found
        result = volume if prior is None else prior
        if how.detail and network is not None:
            with watch("estimate noise"):
                levels, per_slice = slice_levels(volume, strength, noise_hu)
            with watch("detail"):
                result = remove_noise(
                    volume,
                    laid_out(network, self.dtype),
                    levels,
                    prior,
                    device=self.device,
                    dtype=self.dtype,
                    batch_size=how.batch_size,
                    only=only,
                    progress=progress,
                )
            if share:
                facts["prior_share"] = round(share, 4)
                result, passes = self._mixed(result, share, how, only, watch, progress)
        return DenoiseResult(result, watch.rounded(), noise_hu, {**recorded, **facts}, passes, per_slice)

    def _mixed(
        self,
        clean: Volume,
        share: float,
        how: GridSettings,
        only: Sequence[int] | None,
        watch: Stopwatch,
        progress: Progress,
    ) -> tuple[Volume, int]:
        """Mix in what stage 2 makes of a denoised scan's coarse slices, and return the token-passes.

        In one call, the mean of all that they may be; values beyond its range keep what lies beyond.
        """
        scan = self.on_grid(clean, watch)

        def refine(index: Tensor, images: Tensor, coarse: Tensor) -> tuple[Tensor, int]:
            return run_stage2(self.bundle, coarse, seed=how.seed, steps=1)

        sharp, passes = self.finish(scan, scan.small, refine, how.batch_size, only, watch, progress)
        with watch("postprocess"):
            hu = clean.hu.copy()
            turned, made = (reorient(part, clean.affine, "LPS")[0] for part in (hu, sharp.hu))  # views
            padding, low, high = padding_values(turned), *FULL_WINDOW_HU
            for number in range(len(turned)) if only is None else only:
                before = turned[number].astype(np.float32)
                after = before + np.float32(share) * (made[number] - before.clip(low, high))
                turned[number] = np.where(np.isin(before, padding), before, cast_hu(after, hu.dtype))
        return replace(clean, hu=hu), passes

    def _diffuse(
        self,
        volume: Volume,
        noise_hu: float,
        how: GridSettings,
        only: Sequence[int] | None,
        place: tuple[int, int] | None,
        watch: Stopwatch,
        progress: Progress,
    ) -> tuple[Volume, dict[str, Any], int]:
        """Return the diffusion result on the scan's grid, what was found on the way, and token-passes."""
        bundle, factor = self.bundle, self.bundle.facts1.factor
        scan = self.on_grid(volume, watch)
        with autocast(self.device, self.dtype), watch("starts"):
            found = self._latent_noise(scan.images, noise_hu, how.seed)
        timesteps = start_timesteps(how, noise_hu, found)
        calls, keep = network_calls(how, timesteps), kept_share(found[1])
        with autocast(self.device, self.dtype), watch("stage 1"):
            cells, passes = denoise_cells(
                bundle,
                scan.small,
                timesteps[0],
                calls[0],
                seed=how.seed,
                batch_size=how.batch_size,
                phases=how.phases,
                start=how.start,
                place=scan.way.place(place),
                progress=progress,
            )

        def refine(index: Tensor, images: Tensor, coarse: Tensor) -> tuple[Tensor, int]:
            if not how.refine:
                return enlarge(coarse, factor).clamp(-1, 1), 0
            return run_stage2(
                bundle,
                coarse,
                seed=how.seed,
                steps=calls[1],
                start=timesteps[1],
                origin=self._encode(images),
                keep=keep,
                added=how.refine_start == "noised",
            )

        coarse = self.coarse(cells, len(scan.small), how.batch_size, watch)
        result, spent = self.finish(scan, coarse, refine, how.batch_size, only, watch, progress)
        facts = {
            "latent_noise": [round(noise, 4) for noise in found],
            "start_timesteps": timesteps,
            "network_calls": calls,
            "kept_share": round(keep, 4),
        }
        return result, facts, passes + spent

    def _encode(self, images: Tensor) -> Tensor:
        """Encode full slices (B, 1, S, S)."""
        return self.bundle.codec.encode(images.to(self.device))

    def _latent_noise(self, images: Tensor, noise_hu: float, seed: int) -> tuple[float, float]:
        """Return the noise in the latents of coarse and of full slices, measured on a few along the scan."""
        group = self.bundle.facts1.k**2

        def encode_coarse(slices: Tensor) -> Tensor:
            return encode_cells(self.bundle, shrunk(slices, self.bundle.facts1.factor))

        coarse, fine = (images[spread(len(images), count)] for count in (group, FINE_PROBES))
        return latent_noise(encode_coarse, coarse, noise_hu, seed), latent_noise(self._encode, fine, noise_hu, seed)


def spread(total: int, count: int) -> Tensor:
    """Return ``count`` slice numbers, evenly spaced in a volume of ``total``; they repeat in a short one."""
    return torch.linspace(0, total - 1, count + 2)[1:-1].round().long()
