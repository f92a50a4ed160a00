"""Denoising by diffusion: noise a little more, go back with both stages, then restore detail from the scan itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ctgrid.data.degrade import enlarge
from ctgrid.denoising.detail import LEAST_HU, laid_out, remove_noise
from ctgrid.denoising.grids import denoise_cells, start_timestep
from ctgrid.denoising.result import Strength, noise_of
from ctgrid.errors import CtgridError
from ctgrid.pipelines.base import ModelPipeline, Stopwatch
from ctgrid.pipelines.device import autocast
from ctgrid.pipelines.stages import batches, decode_cells, refine
from ctgrid.preprocess.canonical import from_canonical, to_canonical
from ctgrid.preprocess.hu import require_ct
from ctgrid.preprocess.resample import SCALE_HU
from ctgrid.progress import Progress, silent
from ctgrid.volume import Volume

COARSE_START, REFINE_START = 0.3, 0.5
"""Noise level of the starting latent, as a multiple of the scan's noise over 1000 HU, of stages 1 and 2.

Stage 1 works on slices shrunk 4x, which averages most of the noise away. Tuned on the validation volume.
"""

LATENT_NOISE = 2.0
"""Noise of a latent over the scan's noise over 1000 HU, measured on the validation volume."""

STAGE2_ERROR = 0.3
"""Error of stage 2's estimate of a latent, tuned on the validation volume; see :func:`kept_share`."""


@dataclass(frozen=True)
class Denoised:
    """A denoised volume and how it came about.

    Attributes:
        volume: on the input's own grid.
        phases: seconds by phase.
        noise_hu: standard deviation of the noise that was assumed, HU.
        dit_token_passes: tokens times network calls, both stages.
        settings: everything that determined the result besides input and model.
    """

    volume: Volume
    phases: dict[str, float]
    noise_hu: float
    dit_token_passes: int
    settings: dict[str, Any]


class DenoisePipeline(ModelPipeline):
    """Denoise volumes with a loaded model."""

    @torch.no_grad()
    def run(
        self,
        volume: Volume,
        strength: Strength = "auto",
        seed: int = 0,
        steps: int = 20,
        refine_steps: int = 8,
        batch_size: int = 8,
        phases: int = 1,
        refine: bool = True,
        detail: bool = False,
        only: Sequence[int] | None = None,
        progress: Progress = silent,
    ) -> Denoised:
        """Denoise one volume (Algorithm 3, with what each option adds or leaves out).

        Args:
            volume: the scan, of any orientation, at least two slices.
            strength: the noise's standard deviation in HU, or ``auto`` to estimate it.
            seed: of the noise added before going back.
            steps: stage 1 network calls that a full reverse process would have; the part below the start is run.
            refine_steps: likewise for stage 2.
            batch_size: grids or slices at once.
            phases: of overlapping grids, averaged in latent space; 1 is grids side by side.
            refine: run stage 2; else coarse slices are enlarged.
            detail: take the noise out of the scan itself, with the diffusion result as prior.
            only: numbers of the slices to finish, counted from the feet; the others keep their noise. None is all.
            progress: called with (phase, done, total).

        Returns:
            The denoised volume on the input's grid: shape, affine and the input's dtype. With ``detail``, a scan
            with hardly any noise comes back as it is.

        Raises:
            CtgridError: where the volume is no CT, a setting is out of range, or the model has no detail part.
        """
        network = self.bundle.detail
        if detail and network is None:
            raise CtgridError(
                f"{self.bundle.folder}: this model has no detail part (a folder detail, made by ctgrid train detail); "
                "use --method grid, or switch the detail step off"
            )
        require_ct(volume)
        watch = Stopwatch()
        with watch("estimate noise"):
            noise_hu = noise_of(volume, strength)
        check_counts(batch_size, steps, refine_steps)
        settings: dict[str, Any] = {
            "method": "grid-detail" if detail else "grid",
            "strength": strength,
            "noise_hu": round(noise_hu, 2),
            "phases": phases,
            "refine": refine,
            "detail": detail,
            "seed": seed,
            "batch_size": batch_size,
        }
        if detail and noise_hu < LEAST_HU:
            clean = Volume(volume.hu.copy(), volume.affine, volume.record)
            return Denoised(clean, watch.rounded(), noise_hu, 0, {**settings, "untouched": True})
        with watch("preprocess"):
            unit, record = to_canonical(volume, size=self.bundle.facts1.size, slices=None)
        images = torch.from_numpy(unit)[:, None]
        starts = [start_timestep(factor * noise_hu / SCALE_HU) for factor in (COARSE_START, REFINE_START)]
        calls = [max(2, round(n * t / 1000)) for n, t in zip((steps, refine_steps), starts, strict=True)]
        keep = kept_share(noise_hu)
        with autocast(self.device, self.dtype), watch("stage 1"):
            cells, passes = denoise_cells(
                self.bundle,
                images,
                starts[0],
                calls[0],
                seed=seed,
                batch_size=batch_size,
                phases=phases,
                progress=progress,
            )
            coarse = decode_cells(self.bundle, cells, batch_size)
        chosen = torch.arange(len(images)) if only is None else torch.tensor(list(only))
        for part in batches(len(chosen), batch_size):
            index = chosen[part]
            with autocast(self.device, self.dtype), watch("stage 2"):
                refined, spent = self._refined(images[index], coarse[index], refine, seed, calls[1], starts[1], keep)
            passes += spent
            unit[index.numpy()] = refined[:, 0].numpy()
            progress("stage 2", part.stop, len(chosen))
        with watch("postprocess"):
            result = from_canonical(unit, record)
        del unit, images, coarse
        if detail and network is not None:
            with watch("detail"):
                result = remove_noise(
                    volume,
                    laid_out(network, self.dtype),
                    noise_hu,
                    result,
                    device=self.device,
                    dtype=self.dtype,
                    batch_size=batch_size,
                    only=only,
                    progress=progress,
                )
        settings |= {"start_timesteps": starts, "network_calls": calls, "kept_share": round(keep, 4)}
        return Denoised(result, watch.rounded(), noise_hu, passes, settings)

    def _refined(
        self, images: Tensor, coarse: Tensor, stage2: bool, seed: int, steps: int, start: int, keep: float
    ) -> tuple[Tensor, int]:
        """Return full slices (B, 1, S, S) from noisy and coarse ones, by stage 2 or by enlarging."""
        if not stage2:
            return enlarge(coarse, self.bundle.facts1.k).clamp(-1, 1), 0
        origin = self.bundle.codec.encode(images.to(self.device))
        return refine(self.bundle, coarse, seed=seed, steps=steps, start=start / 999, origin=origin, keep=keep)


def check_counts(batch_size: int, steps: int, refine_steps: int) -> None:
    """Refuse counts below 1.

    Raises:
        CtgridError: with the three.
    """
    if batch_size < 1 or min(steps, refine_steps) < 1:
        raise CtgridError(
            f"batch_size, steps and refine_steps must be at least 1, got {batch_size}, {steps}, {refine_steps}"
        )


def kept_share(noise_hu: float) -> float:
    """Return the share of the scan's own latent in the result: e² / (e² + n²), least squares of two estimates.

    n is the latent's noise, e the error of stage 2's estimate of it. Where a scan is cleaner than stage 2 is
    right, the scan wins; the paper's Algorithm 3 keeps nothing.

    Args:
        noise_hu: standard deviation of the scan's noise.
    """
    latent_noise = LATENT_NOISE * noise_hu / SCALE_HU
    return STAGE2_ERROR**2 / (STAGE2_ERROR**2 + latent_noise**2)


def denoise(volume: Volume | str | Path, *, model: str = "embedded", device: str = "auto", **settings: Any) -> Volume:
    """Denoise one volume in a single call; see :meth:`DenoisePipeline.run` for the settings.

    Args:
        volume: a volume or the path of one.
        model: see :meth:`ModelPipeline.load`.
        device: likewise.
        settings: of :meth:`DenoisePipeline.run`.
    """
    scan = volume if isinstance(volume, Volume) else Volume.read(volume)
    return DenoisePipeline.load(model=model, device=device).run(scan, **settings).volume
