"""From noise to chest CT volumes: stage 1, split, enlarge, stage 2, decode, slice by slice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ctgrid.base.devices import Arrival, to_host
from ctgrid.base.precision import autocast
from ctgrid.base.progress import Progress, silent
from ctgrid.base.settings import all_settings, gather, spelled_out
from ctgrid.data.habitus import Habitus, deformed, draw_habitus
from ctgrid.data.lanczos import resampled
from ctgrid.methods.loading import PartsLoading
from ctgrid.methods.pipeline import ModelPipeline, Stopwatch
from ctgrid.methods.synthesis.settings import REFINE_LEVEL, Settings
from ctgrid.methods.synthesis.written import as_written, field_mm, rows_follow_x, slice_mm, synthetic_affine
from ctgrid.scan.protocols.resample import SCALE_HU
from ctgrid.scan.volume import Volume
from ctgrid.stages.cells import batches, coarse_slices, refine, sample_cells
from ctgrid.stages.diffusion.schedule import LINEAR

Receive = Callable[[int, int, Arrival], None]
"""``receive(volume, first slice, arrival)``: ``arrival()`` waits for voxels (n, y, x) int16 in HU."""


@dataclass
class Work:
    """What synthesis took.

    Attributes:
        phases: seconds by phase.
        dit_token_passes: tokens times network calls, both stages.
    """

    phases: dict[str, float] = field(default_factory=dict)
    dit_token_passes: int = 0


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

    @spelled_out(Settings)
    def generate(
        self,
        slices: int = Settings.slices,
        seed: int = 0,
        *,
        progress: Progress = silent,
        **settings: Any,
    ) -> Synthesis:
        """Make one volume, held in memory; :meth:`stream` makes many, of any length, without holding them.

        Args:
            slices: axial slices, exactly that many.
            seed: the same seed gives the same bytes on the same machine, whatever the batch size's effect on
                rounding aside.
            progress: called with (phase, done, total).
            settings: see :class:`ctgrid.methods.synthesis.settings.Settings`.

        Raises:
            CtgridError: for settings out of range, or that the model cannot follow.
        """
        how = gather(Settings, {"slices": slices, **settings}).resolved(self.bundle)
        hu = np.empty((slices, how.pixels, how.pixels), dtype=np.int16)

        def receive(_: int, first: int, arrival: Arrival) -> None:
            block = arrival()
            hu[first : first + len(block)] = block

        work = self.stream([seed], how, receive, progress)
        recorded = {**how.as_dict(), "seed": seed}
        record = {"source": "ctgrid synthesize", "synthetic": True, "model": self.describe(), "settings": recorded}
        volume = Volume(hu, self.affine(how), record)
        return Synthesis(volume, work.phases, work.dit_token_passes, recorded)

    def resolve(self, settings: Settings, max_memory: int | None = None) -> Settings:
        """Return settings with every choice made that they leave to the model, or to the memory (bytes).

        Raises:
            CtgridError: where the model cannot follow them, or the memory is too little.
        """
        settings = settings.resolved(self.bundle)
        settings.plan(self.bundle.facts1.k)
        if max_memory is None:
            return settings
        from ctgrid.methods.synthesis.memory import fitting

        return fitting(self, settings, max_memory)

    def coarse_count(self, settings: Settings) -> int:
        """Return how many coarse slices are sampled by resolved settings; the volume's are interpolated from them."""
        return settings.coarse_count(self.bundle)

    def affine(self, settings: Settings) -> np.ndarray:
        """Return the affine (4, 4) of the volumes that resolved settings ask for."""
        shape = (settings.slices, settings.pixels, settings.pixels)
        return synthetic_affine(self.bundle.facts1, shape, slice_mm(self.bundle, settings))

    def bodies(self, seeds: Sequence[int], settings: Settings) -> list[Habitus]:
        """Draw the bodies of volumes; none where resolved settings leave them as stage 1 makes them."""
        if not settings.habitus:
            return []
        extent_mm = slice_mm(self.bundle, settings) * settings.slices
        return [draw_habitus(seed, settings.habitus, field_mm(self.bundle.facts1), extent_mm) for seed in seeds]

    def finish(self, images: Tensor, size: int) -> Tensor:
        """Turn slices (B, C, S, S) in [-1, 1] into what :meth:`stream` hands out."""
        return as_written(hu_of(images, size), self.bundle.facts1.orientation)

    @torch.no_grad()
    def stream(self, seeds: Sequence[int], settings: Settings, receive: Receive, progress: Progress = silent) -> Work:
        """Make volumes that share batches, and hand their slices out in order, a batch at a time.

        Args:
            seeds: one for each volume; a volume depends on its own alone.
            settings: how to make them.
            receive: takes the slices.
            progress: called with (phase, done, total).

        Raises:
            CtgridError: for settings that the model cannot follow.
        """
        settings = settings.resolved(self.bundle)
        slices, batch, count = settings.slices, settings.batch_size, self.coarse_count(settings)
        plan = settings.plan(self.bundle.facts1.k, count)
        step_mm = slice_mm(self.bundle, settings)
        watch, work = Stopwatch(device=self.device), Work()
        for group in batches(len(seeds), batch):
            members, title = seeds[group], _titled(progress, group, len(seeds))
            with autocast(self.device, self.dtype), watch("stage 1"):
                cells, spent = sample_cells(
                    self.bundle,
                    plan,
                    count,
                    seeds=members,
                    filling=settings.filling,
                    batch_size=batch,
                    progress=title,
                    **settings.sampling,
                )
            work.dit_token_passes += spent
            bodies = self.bodies(members, settings)
            if bodies:
                cells = torch.stack([body.breathed(of, slices) for body, of in zip(bodies, cells, strict=True)])
            elif count != slices:
                cells = torch.stack([resampled(of, slices) for of in cells])
            coarse = coarse_slices(self.bundle, cells, batch)
            while True:
                with autocast(self.device, self.dtype), watch("coarse"):
                    first, part = next(coarse, (-1, cells))
                if first < 0:
                    break
                numbers = range(first, first + len(part))
                owners = [number // slices for number in numbers]
                heights = [number % slices + 0.5 for number in numbers]
                with autocast(self.device, self.dtype):
                    images, spent = refine(
                        self.bundle,
                        part,
                        seed=[members[owner] for owner in owners],
                        z_mm=[height * step_mm for height in heights],
                        noise_mm=settings.noise_mm,
                        start=refine_timestep(settings),
                        watch=watch,
                        onto_cpu=False,
                        **settings.refining,
                    )
                work.dit_token_passes += spent
                if bodies:
                    with watch("deform"):
                        mine, places = [bodies[owner] for owner in owners], [height / slices for height in heights]
                        images = deformed(images, mine, places, rows_follow_x(self.bundle.facts1.orientation))
                with watch("assemble"):
                    hu = self.finish(images, settings.pixels)
                done = 0
                for owner, run in groupby(owners):
                    size = len(list(run))
                    with watch("write"):
                        receive(group.start + owner, (first + done) % slices, to_host(hu[done : done + size]))
                    done += size
                title("stage 2", first + len(part), len(members) * slices)
        work.phases = watch.rounded()
        return work


def refine_timestep(settings: Settings) -> int | None:
    """Return the timestep that stage 2 starts from; None is pure noise, which no timestep of the schedule quite is."""
    return None if settings.refine_level == REFINE_LEVEL else LINEAR.timestep(float(settings.refine_level))


@spelled_out(Settings)
@spelled_out(PartsLoading)
def synthesize(slices: int = Settings.slices, seed: int = 0, *, progress: Progress = silent, **settings: Any) -> Volume:
    """Make one volume in a single call: what ``ctgrid synthesize`` does, by default to the voxel.

    Args:
        slices: axial slices.
        seed: the same seed gives the same voxels on the same machine.
        progress: called with (phase, done, total).
        settings: see :class:`ctgrid.methods.synthesis.settings.Settings`, such as ``steps`` and ``size``; and
            :class:`ctgrid.methods.loading.PartsLoading`, such as ``model`` and ``device``.

    Returns:
        The volume; its record tells the model, the settings and seconds by phase.

    Raises:
        CtgridError: for settings out of range, or that the model cannot follow.
    """
    loading = {name: settings.pop(name) for name in all_settings(PartsLoading) if name in settings}
    pipeline = SynthesisPipeline.load(**gather(PartsLoading, loading).given())
    made = pipeline.generate(slices, seed, progress=progress, **settings)
    return replace(made.volume, record={**made.volume.record, "phases": made.phases})


def hu_of(images: Tensor, size: int) -> Tensor:
    """Turn slices (B, 1, S, S) in [-1, 1] into HU (B, size, size) int16, where they are."""
    if images.shape[-1] != size:
        images = interpolate(images, size=(size, size), mode="bicubic", antialias=True, align_corners=False)
    return (images[:, 0].clamp(-1, 1) * SCALE_HU).round().to(torch.int16)


def _titled(progress: Progress, group: slice, count: int) -> Progress:
    """Name the volumes that a phase works on, where there are more than one."""
    if count == 1:
        return progress
    alone = group.stop - group.start == 1
    title = f"volume {group.stop}/{count}" if alone else f"volumes {group.start + 1}-{group.stop}/{count}"
    return lambda phase, done, total: progress(f"{title}: {phase}", done, total)
