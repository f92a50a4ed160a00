"""What a synthesis can be asked for, checked before any network runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import Checked, Setting
from ctgrid.base.usual import WHAT, BatchSize
from ctgrid.stages.diffusion.samplers import SAMPLERS, find_sampler
from ctgrid.stages.diffusion.spacing import STEPS as TIMESTEPS
from ctgrid.stages.diffusion.spacing import Spacing
from ctgrid.stages.orders import Between, usual_control_rows

if TYPE_CHECKING:
    from ctgrid.stages.models.bundle import Bundle
    from ctgrid.stages.schedules import SamplingPlan

SAMPLER = "dpm++"
STEPS = 20
"""Of stage 1, where neither user nor model asks for others."""

REFINE_LEVEL = 1.0
"""Level from which stage 2 starts, as a share of the schedule: pure noise."""

REFINE_STEPS = 2
"""Network calls per slice in stage 2: one is the mean of all refinements, more add grain (measured on `rider_0117`)."""

REFINE_NOISE_MM = 1.0
"""How far along z slices of a CT share stage 2's noise: one noise for all prints streaks, one for each flickers."""

FILLING = ("fill_steps", "fill_sampler", "fill_spacing")
"""Settings of gaps between keyframes."""

FILL_STEPS = 1
"""Network calls that fill a gap: one is the mean of all fillings, which is smooth along z; more add grain."""

FILL_SPACING: Spacing = "even"
"""Of those few calls; even in log SNR, as dpm++ has them else, neighbouring slices differ more than those of scans."""

ScheduleName = Literal["auto", "hierarchical", "autoregressive"]


@dataclass(frozen=True)
class Settings(Checked):
    """How volumes are made.

    Attributes:
        slices: axial slices of a volume, exactly that many: with absolute z evenly spaced over the extent of a training
            volume, without as far apart as the cells of a training grid.
        schedule: ``auto`` takes ``autoregressive`` (Algorithm 1) where one of its settings is given or the model has no
            absolute z, and ``hierarchical`` otherwise.
        control_rows: rows carried over (``autoregressive``); None is the paper's, see
            :func:`ctgrid.stages.orders.usual_control_rows`.
        interpolate: make slices far apart and fill in between (``autoregressive``, Algorithm 2).
        between: how much of a grid ``interpolate`` fills in, see :func:`ctgrid.stages.schedules.autoregressive`;
            None is ``half``.
        steps: network calls per grid in stage 1; None is what the model asks for, or 20.
        stop: timestep of the last of them, whose estimate of the clean grid is taken; None is what the model asks for,
            or 0.
        refine_steps: network calls per slice in stage 2.
        fill_steps: network calls per grid that fills a gap between keyframes (``hierarchical``); None is what the
            model asks for, or one.
        fill_sampler: of those grids; None is ``sampler`` where that is given, else ``dpm++``.
        fill_spacing: likewise; None is ``spacing`` where that is given, else ``even``.
        sampler: one of :data:`ctgrid.stages.diffusion.samplers.SAMPLERS`; None is what the model asks for in
            stage 1, else ``dpm++``.
        spacing: of the steps, see :meth:`ctgrid.stages.diffusion.Schedule.respace`; None is the sampler's own.
        refine_sampler: stage 2's; None is ``sampler`` where that is given, else ``dpm++``.
        refine_spacing: likewise.
        refine_level: level stage 2 starts from, as a share of the schedule; 1 is pure noise.
        refine_noise_mm: how far along z slices have stage 2's noise in common; 0 is not at all, infinity is all of
            them, None is :data:`REFINE_NOISE_MM` for CT and infinity for video.
        habitus: how far bodies differ in size and shape beside what stage 1 makes, see :mod:`ctgrid.data.habitus`: 0 is
            not at all, 1 as much as patients do; None is what the model asks for, or 0.
        size: pixels of a slice's side, resized where the model's own differs; None takes the model's own.
        batch_size: grids or slices at once, of any volumes.

    Raises:
        CtgridError: for a value out of range, or one that its schedule has no use for.
    """

    slices: Annotated[int, Setting("Axial slices of a volume.", least=1, panel=WHAT)] = 201
    steps: Annotated[
        int | None, Setting("Sampler steps of stage 1 (coarse); the model's own unless given.", least=1)
    ] = None
    stop: Annotated[
        int | None,
        Setting(
            "Timestep of the last of them, whose estimate is taken; the model's own, or 0.", least=0, most=TIMESTEPS - 1
        ),
    ] = None
    refine_steps: Annotated[int, Setting("Sampler steps of stage 2 (full size).", least=1)] = REFINE_STEPS
    fill_steps: Annotated[int | None, Setting("hierarchical: steps that fill a gap; the model's, or 1.", least=1)] = (
        None
    )
    fill_sampler: Annotated[
        str | None, Setting("hierarchical: how gaps are sampled; as --sampler says, else dpm++.", names=SAMPLERS)
    ] = None
    fill_spacing: Annotated[Spacing | None, Setting("Likewise where the steps lie.")] = None
    size: Annotated[
        int | None, Setting("Pixels of a slice's side; the model's own if not given.", least=1, panel=WHAT)
    ] = None
    habitus: Annotated[
        float | None,
        Setting(
            "How far bodies vary in size and shape beside what stage 1 makes, 0 to 1; the model's own, or 0.",
            least=0,
            most=1,
            panel=WHAT,
        ),
    ] = None
    batch_size: BatchSize = 8
    sampler: Annotated[
        str | None, Setting("How the noise is removed; the model's own unless given.", names=SAMPLERS)
    ] = None
    spacing: Annotated[Spacing | None, Setting("Where the steps lie; unless given, where the sampler does best.")] = (
        None
    )
    refine_sampler: Annotated[
        str | None, Setting("Stage 2's sampler; that of --sampler, else dpm++.", names=SAMPLERS)
    ] = None
    refine_spacing: Annotated[Spacing | None, Setting("Likewise its spacing.")] = None
    schedule: Annotated[ScheduleName, Setting("Keyframes first, or one grid after the other; auto asks the model.")] = (
        "auto"
    )
    control_rows: Annotated[
        int | None, Setting("autoregressive: rows carried over (1, 3, 4 for K = 2, 4, 8).", least=1, metavar="R")
    ] = None
    interpolate: Annotated[bool, Setting("autoregressive: rows far apart, then all between them (Algorithm 2).")] = (
        False
    )
    between: Annotated[
        Between | None, Setting("interpolate: half of a grid, or all rows but first and last (half unless given).")
    ] = None
    refine_level: Annotated[
        float,
        Setting("Noise stage 2 starts from, a share of the schedule.", least=0, most=1, was="refine_start"),
    ] = REFINE_LEVEL
    refine_noise_mm: Annotated[
        float | None,
        Setting(
            f"Length along z in which stage 2's noise changes ({REFINE_NOISE_MM:g} for CT if not given); inf: never.",
            least=0,
            metavar="MM",
        ),
    ] = None

    def __post_init__(self) -> None:
        """Check every field, and those that exclude each other."""
        super().__post_init__()
        if self.refine_level == 0:
            raise CtgridError("refine_level must be a share of the schedule in (0, 1], got 0")
        rolling = "interpolate" if self.interpolate else "control_rows" if self.control_rows is not None else None
        if rolling and self.schedule == "hierarchical":
            raise CtgridError(f"{rolling} belongs to schedule 'autoregressive' and says nothing to 'hierarchical'")
        if self.between is not None and not self.interpolate:
            raise CtgridError("between says what interpolate fills in: set interpolate as well")
        filling = next((name for name in FILLING if getattr(self, name) is not None), None)
        if filling and (rolling or self.schedule == "autoregressive"):
            raise CtgridError(f"{filling} belongs to schedule 'hierarchical' and says nothing to 'autoregressive'")

    def resolved(self, bundle: Bundle) -> Settings:
        """Return the settings with every choice made that they left to the model.

        Raises:
            CtgridError: where the model cannot follow the schedule.
        """
        absolute, schedule = bundle.stage1.absolute_z, self.schedule
        gaps = bundle.filler(bundle.coarse_count(self.slices))[1]
        if schedule == "auto":
            rolling = self.interpolate or self.control_rows is not None or not absolute
            schedule = "autoregressive" if rolling else "hierarchical"
        if schedule == "hierarchical":
            if not absolute:
                raise CtgridError(
                    f"model {bundle.name}: schedule 'hierarchical' needs absolute z, which this model was not "
                    "trained with; use 'autoregressive'"
                )
            rows, fill = None, self.fill_steps or gaps.fill_steps or FILL_STEPS
        else:
            filling = next((name for name in FILLING if getattr(self, name) is not None), None)
            if filling:
                raise CtgridError(f"model {bundle.name} knows no absolute z and fills no gaps: leave {filling} out")
            rows, fill = self.control_rows or usual_control_rows(bundle.facts1.k), None
        sampler = self.sampler or bundle.facts1.sampler or SAMPLER
        refine_sampler = self.refine_sampler or self.sampler or SAMPLER
        fill_sampler = None if fill is None else self.fill_sampler or self.sampler or SAMPLER
        habitus = (bundle.facts1.habitus or 0.0) if self.habitus is None else self.habitus
        if habitus and bundle.facts1.content != "ct":
            raise CtgridError(f"model {bundle.name} makes movies, which have no habitus: leave it out")
        noise = self.refine_noise_mm
        if noise is None:
            noise = REFINE_NOISE_MM if bundle.facts1.content == "ct" else math.inf
        return replace(
            self,
            schedule=schedule,
            control_rows=rows,
            between=(self.between or "half") if self.interpolate and bundle.facts1.k != 4 else self.between,
            fill_steps=fill,
            fill_sampler=fill_sampler,
            fill_spacing=None
            if fill_sampler is None
            else _spacing(self.fill_spacing or self.spacing or gaps.fill_spacing or FILL_SPACING, fill_sampler),
            steps=self.steps or bundle.facts1.steps or STEPS,
            stop=(bundle.facts1.stop or 0) if self.stop is None else self.stop,
            sampler=sampler,
            spacing=_spacing(self.spacing, sampler),
            refine_sampler=refine_sampler,
            refine_spacing=_spacing(self.refine_spacing or self.spacing, refine_sampler),
            size=self.size or bundle.facts2.size,
            refine_noise_mm=noise,
            habitus=habitus,
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
        """How stage 1 samples a grid, of resolved settings: steps, sampler, spacing and stop."""
        return {"steps": self.steps, "sampler": self.sampler, "spacing": self.spacing, "stop": self.stop}

    @property
    def filling(self) -> dict[str, Any] | None:
        """How it fills gaps, likewise; None where the schedule has none."""
        if self.fill_steps is None:
            return None
        return {"steps": self.fill_steps, "sampler": self.fill_sampler, "spacing": self.fill_spacing}

    @property
    def refining(self) -> dict[str, Any]:
        """Likewise for a slice in stage 2."""
        return {"steps": self.refine_steps, "sampler": self.refine_sampler, "spacing": self.refine_spacing}

    def coarse_count(self, bundle: Bundle) -> int:
        """Return how many coarse slices stage 1 makes, of resolved settings; the volume's come from them."""
        return bundle.coarse_count(self.slices) if self.schedule == "hierarchical" else self.slices

    def plan(self, k: int, slices: int | None = None) -> SamplingPlan:
        """Return the grids to sample, of resolved settings.

        Args:
            k: cells along a grid's side.
            slices: to sample; None takes the volume's.

        Raises:
            CtgridError: for control rows outside 1 ... K-1, or no rows to interpolate.
        """
        from ctgrid.stages.schedules import plan_grids

        assert self.schedule != "auto", "settings are resolved before anything is made"
        return plan_grids(
            self.schedule,
            slices or self.slices,
            k,
            control_rows=self.control_rows or usual_control_rows(k),
            interpolate=self.interpolate,
            between=self.between or "half",
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-able values, infinity as a word."""
        noise = self.refine_noise_mm
        return {**super().as_dict(), "refine_noise_mm": "inf" if noise == math.inf else noise}

    def identity(self) -> dict[str, Any]:
        """Return what the voxels depend on: everything but how many are computed at once, and what is not used."""
        unused = {"batch_size"} if self.between else {"batch_size", "between"}
        # sets of before there was a choice go on
        unused |= {name for name in ("habitus", "stop") if not getattr(self, name)}
        return {name: value for name, value in self.as_dict().items() if name not in unused}


def _spacing(asked: Spacing | None, sampler: str) -> Spacing:
    """Return the spacing asked for, or the sampler's own, under one of its two names."""
    spacing = find_sampler(sampler).spacing if asked is None else asked
    return "even" if spacing == "linspace" else spacing
