"""From noise to a chest CT volume: stage 1, split, enlarge, stage 2, decode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from ctgrid.errors import CtgridError
from ctgrid.models.bundle import Bundle
from ctgrid.pipelines.base import ModelPipeline, Stopwatch
from ctgrid.pipelines.device import autocast
from ctgrid.pipelines.schedules import Plan, autoregressive, hierarchical, mending
from ctgrid.pipelines.stages import batches, decode_cells, refine, sample_cells
from ctgrid.preprocess.resample import denormalise, resize_plane
from ctgrid.progress import Progress, silent
from ctgrid.volume import Volume

SLICE_MM = 1.5
"""Distance of slices where a model does not know the extent of its training volumes."""

PIXEL_MM = 0.75
"""Likewise the pixels' distance."""

REFINE_START = 1.0
"""Level from which stage 2 starts, as a share of the schedule: pure noise."""

REFINE_STEPS = 2
"""Network calls per slice in stage 2: one is the mean of all refinements, more add grain (measured on `rider_0117`)."""

FILL_STEPS = 1
"""Network calls that fill a gap: one is the mean of all fillings, which is smooth along z; more add grain."""

Schedule = Literal["auto", "hierarchical", "autoregressive"]


@dataclass(frozen=True)
class Synthesis:
    """One synthetic volume and what making it took.

    Attributes:
        volume: the volume.
        phases: seconds by phase.
        dit_token_passes: tokens times network calls, both stages.
        settings: everything that determined the result besides the model.
    """

    volume: Volume
    phases: dict[str, float]
    dit_token_passes: int
    settings: dict[str, Any]


class SynthesisPipeline(ModelPipeline):
    """Make volumes with a loaded model."""

    @torch.no_grad()
    def generate(
        self,
        slices: int = 201,
        seed: int = 0,
        steps: int = 20,
        refine_steps: int = REFINE_STEPS,
        fill_steps: int = FILL_STEPS,
        size: int = 512,
        batch_size: int = 8,
        sampler: str = "dpm++",
        schedule: Schedule = "auto",
        control_rows: int = 1,
        refine_start: float = REFINE_START,
        progress: Progress = silent,
    ) -> Synthesis:
        """Make one volume.

        Args:
            slices: axial slices, exactly that many, evenly spaced over the extent of a training volume.
            seed: the same seed gives the same bytes on the same machine, whatever the batch size's effect on
                rounding aside.
            steps: network calls per grid in stage 1.
            fill_steps: network calls per grid that fills a gap between keyframes (``hierarchical`` only).
            refine_steps: network calls per slice in stage 2.
            size: pixels of a slice's side; resized where the model's own size differs.
            batch_size: grids or slices at once.
            sampler: ``dpm++``, ``ddim`` or ``ddpm``.
            schedule: ``hierarchical`` needs a model with absolute z and is then the default;
                ``autoregressive`` is Algorithm 1.
            control_rows: rows carried over by ``autoregressive``.
            refine_start: level stage 2 starts from, as a share of the schedule; 1 is pure noise.
            progress: called with (phase, done, total).

        Raises:
            CtgridError: for settings out of range.
        """
        if size < 1 or batch_size < 1:
            raise CtgridError(f"size and batch_size must be at least 1, got {size} and {batch_size}")
        if not 0 < refine_start <= 1:
            raise CtgridError(f"refine_start must be a share of the schedule in (0, 1], got {refine_start}")
        bundle, watch = self.bundle, Stopwatch()
        plan, used = choose_plan(bundle, slices, schedule, control_rows)
        with autocast(self.device, self.dtype), watch("stage 1"):
            cells, passes = sample_cells(
                bundle,
                plan,
                slices,
                seed=seed,
                steps=steps,
                fill_steps=fill_steps if used == "hierarchical" else None,
                sampler=sampler,
                batch_size=batch_size,
                progress=progress,
            )
        with autocast(self.device, self.dtype), watch("stage 2"):
            coarse = decode_cells(bundle, cells, batch_size)
        hu = np.empty((slices, size, size), dtype=np.int16)
        for part in batches(slices, batch_size):
            with autocast(self.device, self.dtype), watch("stage 2"):
                images, spent = refine(
                    bundle,
                    coarse[part],
                    seed=seed,
                    steps=refine_steps,
                    start=float(refine_start),
                    sampler=sampler,
                )
            passes += spent
            with watch("assemble"):
                resized = resize_plane(images[:, 0].numpy(), size, size)
                hu[part] = np.rint(denormalise(resized))
            progress("stage 2", part.stop, slices)
        settings = {
            "slices": slices,
            "seed": seed,
            "steps": steps,
            "refine_steps": refine_steps,
            "fill_steps": fill_steps if used == "hierarchical" else None,
            "size": size,
            "batch_size": batch_size,
            "sampler": sampler,
            "schedule": used,
            "control_rows": control_rows if used == "autoregressive" else None,
            "refine_start": refine_start,
        }
        record = {"source": "ctgrid synthesize", "model": bundle.name, "settings": settings}
        volume = Volume(hu, synthetic_affine(bundle, hu.shape), record)
        return Synthesis(volume, watch.rounded(), passes, settings)


def choose_plan(bundle: Bundle, slices: int, schedule: Schedule, control_rows: int) -> tuple[Plan, str]:
    """Return the grids to sample and the name of the schedule they follow.

    Raises:
        CtgridError: for an unknown schedule, or ``hierarchical`` with a model of relative positions.
    """
    k, absolute = bundle.facts1.k, bool(bundle.stage1.absolute_z)
    if schedule == "auto":
        schedule = "hierarchical" if absolute else "autoregressive"
    if schedule == "hierarchical":
        if not absolute:
            raise CtgridError(
                f"model {bundle.name}: schedule 'hierarchical' needs absolute z, which this model was not "
                "trained with; use 'autoregressive'"
            )
        return [*hierarchical(slices, k), *mending(slices, k)], schedule
    if schedule == "autoregressive":
        return autoregressive(slices, k, control_rows), schedule
    raise CtgridError(f"schedule must be auto, hierarchical or autoregressive, got {schedule!r}")


def synthetic_affine(bundle: Bundle, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the affine (4, 4) of a synthetic volume (z, y, x) in LPS order, centred on the origin, RAS+ mm."""
    facts = bundle.facts1
    n, height, width = shape
    pixel = facts.fov_mm / width if facts.fov_mm else PIXEL_MM * facts.size / width
    step = facts.extent_mm / n if facts.extent_mm else SLICE_MM
    scale = np.array([-pixel, -pixel, step])
    affine = np.diag([*scale, 1.0])
    affine[:3, 3] = -scale * (np.array([width, height, n]) - 1) / 2
    return affine
