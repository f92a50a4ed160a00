"""What a synthesis can be asked for, checked before any network runs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from ctgrid.base.errors import CtgridError
from ctgrid.stages.diffusion.samplers import find_sampler
from ctgrid.stages.diffusion.schedule import Spacing
from ctgrid.stages.models.bundle import Bundle
from ctgrid.stages.schedules import SamplingPlan, plan_grids

SAMPLER = "dpm++"
STEPS = 20
"""Of stage 1, where neither user nor model asks for others."""

REFINE_START = 1.0
"""Level from which stage 2 starts, as a share of the schedule: pure noise."""

REFINE_STEPS = 2
"""Network calls per slice in stage 2: one is the mean of all refinements, more add grain (measured on `rider_0117`)."""

REFINE_NOISE_MM = 4.0
"""How far along z slices of a CT share stage 2's noise: one noise for all prints streaks, one for each flickers."""

FILL_STEPS = 1
"""Network calls that fill a gap: one is the mean of all fillings, which is smooth along z; more add grain."""

CONTROL_ROWS = 1
"""Rows that Algorithm 1 takes over."""

ScheduleName = Literal["auto", "hierarchical", "autoregressive"]


@dataclass(frozen=True)
class Settings:
    """How volumes are made; see :meth:`ctgrid.methods.synthesis.pipeline.SynthesisPipeline.generate`.

    Attributes:
        slices: axial slices of a volume.
        steps: network calls per grid in stage 1; None is what the model asks for, or 20.
        refine_steps: network calls per slice in stage 2.
        fill_steps: network calls per grid that fills a gap (``hierarchical``); None is one.
        size: pixels of a slice's side; None takes the model's own.
        batch_size: grids or slices at once, of any volumes.
        sampler: one of :data:`ctgrid.stages.diffusion.samplers.SAMPLERS`; None is what the model asks for in
            stage 1, else ``dpm++``.
        spacing: of the steps, see :meth:`ctgrid.stages.diffusion.Schedule.respace`; None is the sampler's own.
        refine_sampler: stage 2's; None is ``sampler`` where that is given, else ``dpm++``.
        refine_spacing: likewise.
        schedule: ``auto`` takes ``autoregressive`` where one of its settings is given or the model has no absolute
            z, and ``hierarchical`` otherwise.
        control_rows: rows carried over (``autoregressive``); None is one.
        interpolate: make rows far apart and fill in between (``autoregressive``, Algorithm 2).
        refine_start: level stage 2 starts from, as a share of the schedule.
        refine_noise_mm: how far along z slices have stage 2's noise in common; 0 is not at all, infinity is all of
            them, None is :data:`REFINE_NOISE_MM` for CT and infinity for video.

    Raises:
        CtgridError: for a value out of range, or one that its schedule has no use for.
    """

    slices: int = 201
    steps: int | None = None
    refine_steps: int = REFINE_STEPS
    fill_steps: int | None = None
    size: int | None = None
    batch_size: int = 8
    sampler: str | None = None
    spacing: Spacing | None = None
    refine_sampler: str | None = None
    refine_spacing: Spacing | None = None
    schedule: ScheduleName = "auto"
    control_rows: int | None = None
    interpolate: bool = False
    refine_start: float = REFINE_START
    refine_noise_mm: float | None = None

    def __post_init__(self) -> None:
        """Check every field, and those that exclude each other."""
        for name in ("slices", "size", "batch_size", "steps", "refine_steps", "fill_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise CtgridError(f"{name} must be at least 1, got {value}")
        if not 0 < self.refine_start <= 1:
            raise CtgridError(f"refine_start must be a share of the schedule in (0, 1], got {self.refine_start}")
        if self.refine_noise_mm is not None and not self.refine_noise_mm >= 0:
            raise CtgridError(f"refine_noise_mm must be 0 mm or more, got {self.refine_noise_mm:g}")
        for name in ("sampler", "refine_sampler"):
            value = getattr(self, name)
            if value is not None:
                find_sampler(value)
        for name in ("spacing", "refine_spacing"):
            value = getattr(self, name)
            if value is not None and value not in get_args(Spacing):
                raise CtgridError(f"{name} must be one of {', '.join(get_args(Spacing))}, got {value!r}")
        if self.schedule not in get_args(ScheduleName):
            raise CtgridError(f"schedule must be auto, hierarchical or autoregressive, got {self.schedule!r}")
        rolling = "interpolate" if self.interpolate else "control_rows" if self.control_rows is not None else None
        if rolling and self.schedule == "hierarchical":
            raise CtgridError(f"{rolling} belongs to schedule 'autoregressive' and says nothing to 'hierarchical'")
        if self.fill_steps is not None and (rolling or self.schedule == "autoregressive"):
            raise CtgridError("fill_steps belongs to schedule 'hierarchical' and says nothing to 'autoregressive'")

    def resolved(self, bundle: Bundle) -> Settings:
        """Return the settings with every choice made that they left to the model.

        Raises:
            CtgridError: where the model cannot follow the schedule.
        """
        absolute, schedule = bundle.stage1.absolute_z, self.schedule
        if schedule == "auto":
            rolling = self.interpolate or self.control_rows is not None or not absolute
            schedule = "autoregressive" if rolling else "hierarchical"
        if schedule == "hierarchical":
            if not absolute:
                raise CtgridError(
                    f"model {bundle.name}: schedule 'hierarchical' needs absolute z, which this model was not "
                    "trained with; use 'autoregressive'"
                )
            rows, fill = None, self.fill_steps or FILL_STEPS
        else:
            if self.fill_steps is not None:
                raise CtgridError(f"model {bundle.name} knows no absolute z and fills no gaps: leave fill_steps out")
            rows, fill = self.control_rows or CONTROL_ROWS, None
        sampler = self.sampler or bundle.facts1.sampler or SAMPLER
        refine_sampler = self.refine_sampler or self.sampler or SAMPLER
        noise = self.refine_noise_mm
        if noise is None:
            noise = REFINE_NOISE_MM if bundle.facts1.content == "ct" else math.inf
        return replace(
            self,
            schedule=schedule,
            control_rows=rows,
            fill_steps=fill,
            steps=self.steps or bundle.facts1.steps or STEPS,
            sampler=sampler,
            spacing=_spacing(self.spacing, sampler),
            refine_sampler=refine_sampler,
            refine_spacing=_spacing(self.refine_spacing or self.spacing, refine_sampler),
            size=self.size or bundle.facts2.size,
            refine_noise_mm=noise,
        )

    @property
    def noise_mm(self) -> float:
        """Stage 2's noise along z, of resolved settings."""
        assert self.refine_noise_mm is not None, "settings are resolved before anything is made"
        return self.refine_noise_mm

    @property
    def pixels(self) -> int:
        """The side of a slice, of resolved settings."""
        assert self.size is not None, "settings are resolved before anything is made"
        return self.size

    @property
    def sampling(self) -> dict[str, Any]:
        """How stage 1 samples a grid, of resolved settings: steps, sampler and spacing."""
        return {"steps": self.steps, "sampler": self.sampler, "spacing": self.spacing}

    @property
    def refining(self) -> dict[str, Any]:
        """Likewise for a slice in stage 2."""
        return {"steps": self.refine_steps, "sampler": self.refine_sampler, "spacing": self.refine_spacing}

    def plan(self, k: int) -> SamplingPlan:
        """Return the grids to sample, of resolved settings.

        Args:
            k: cells along a grid's side.

        Raises:
            CtgridError: for control rows outside 1 ... K-1.
        """
        assert self.schedule != "auto", "settings are resolved before anything is made"
        rows = self.control_rows or CONTROL_ROWS
        return plan_grids(self.schedule, self.slices, k, control_rows=rows, interpolate=self.interpolate)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-able values, infinity as a word."""
        noise = self.refine_noise_mm
        return {**asdict(self), "refine_noise_mm": "inf" if noise == math.inf else noise}

    def identity(self) -> dict[str, Any]:
        """Return what the voxels depend on: everything but how many are computed at once."""
        return {name: value for name, value in self.as_dict().items() if name != "batch_size"}


def _spacing(asked: Spacing | None, sampler: str) -> Spacing:
    """Return the spacing asked for, or the sampler's own, under one of its two names."""
    spacing = find_sampler(sampler).spacing if asked is None else asked
    return "even" if spacing == "linspace" else spacing
