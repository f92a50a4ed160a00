"""The settings of denoising, each said once: of the diffusion, of the methods, and of what they are loaded from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import Checked, Setting
from ctgrid.base.usual import BatchSize, Seed, finite
from ctgrid.methods.loading import ModelLoading
from ctgrid.methods.synthesis.settings import REFINE_STEPS
from ctgrid.stages.diffusion.samplers import SAMPLERS
from ctgrid.stages.diffusion.spacing import STEPS

Strength = float | Literal["auto"]
"""The noise's standard deviation in HU, or "auto" to estimate it."""

DIFFUSE_FROM_HU = 250.0
"""Below, the detail network alone is as good and twice as fast (docs/measured/denoising.md)."""

Start = Literal["matched", "noised"]
"""``matched``: the latent's own noise stands for that of the timestep, and none is added. ``noised``: the scan's
latent, diffused to the starting timestep (Algorithm 3)."""


def read_strength(text: str) -> Strength:
    """Read ``auto`` or a number of HU, 0 or more.

    Raises:
        CtgridError: for anything else.
    """
    if text == "auto":
        return "auto"
    value = finite(text)
    if not value >= 0:
        raise CtgridError(f"{text!r} is neither 'auto' nor a number of HU, 0 or more")
    return value


@dataclass(frozen=True)
class Loading(ModelLoading):
    """What a method may need to be loaded; each takes what concerns it: also a checkpoint from elsewhere."""

    weights: Annotated[Path | None, Setting("Checkpoint, for methods that come without (generatect).")] = None


@dataclass(frozen=True)
class Diffusion(Checked):
    """How a scan goes through both stages; docs/measured/denoising.md has the figures that chose the defaults.

    Attributes:
        steps: stage 1 network calls that a full reverse process would have; the part below the start is run, one
            call at least. One call is the mean of all that may lie below the noise.
        refine_steps: likewise for stage 2.
        phases: of overlapping grids, averaged in latent space; 1 is grids side by side. The model knows the most.
        refine: run stage 2; else coarse slices are enlarged.
        start: what stage 1 starts from: the scan's latents as they are, at the timestep that their own noise is that
            of (``matched``), or with noise added (``noised``).
        refine_start: likewise of stage 2.

    Raises:
        CtgridError: where a number is below 1, or a start is neither.
    """

    steps: Annotated[int, Setting("Stage 1: steps of a whole way back.", least=1)] = 20
    refine_steps: Annotated[int, Setting("Likewise of stage 2.", least=1)] = 4
    phases: Annotated[int, Setting("Overlapping grids that are averaged; 1 is side by side.", least=1)] = 1
    refine: Annotated[bool, Setting("Leave stage 2 out.", flag="--no-refine")] = True
    start: Annotated[
        Start, Setting("Stage 1 starts from the noisy latents as they are (matched), or with noise added.")
    ] = "matched"
    refine_start: Annotated[Start, Setting("Likewise of stage 2.")] = "matched"


@dataclass(frozen=True)
class GridSettings(Diffusion):
    """Of method ``grid``; ``batch_size`` are grids or slices at once."""

    seed: Seed = 0
    batch_size: BatchSize = 8


@dataclass(frozen=True)
class GridDetailSettings(GridSettings):
    """Of method ``grid-detail``.

    Attributes:
        detail: take the noise out of the scan itself, with the diffusion result as prior.
        diffuse_from: noise in HU from which on the detail step gets that prior, or, where the model's detail network
            takes none, stage 2 is mixed into its result; below, the diffusion is left out.
    """

    detail: Annotated[bool, Setting("Leave the detail step out.", flag="--no-detail")] = False
    diffuse_from: Annotated[
        float, Setting("HU of noise below which the detail step works without diffusion; 0: never.", least=0)
    ] = DIFFUSE_FROM_HU


@dataclass(frozen=True)
class LetterSettings(Checked):
    """What Algorithm 3 leaves open (t0), and how its way back is sampled.

    Attributes:
        t0: timestep that the scan's latents are diffused to; None is the one that the noise comes nearest to.
        sampler: of both stages; the paper's is ``ddpm`` in 250 steps.
    """

    t0: Annotated[
        int | None,
        Setting("grid-paper: timestep to diffuse the scan to; by the noise if not given.", least=1, most=STEPS - 1),
    ] = None
    sampler: Annotated[str, Setting("grid-paper: how the noise is removed.", names=SAMPLERS)] = "dpm++"


@dataclass(frozen=True)
class PaperSettings(LetterSettings):
    """Of method ``grid-paper``."""

    seed: Seed = 0
    steps: Annotated[int, Setting("Stage 1: steps of a whole way back.", least=1)] = 20
    refine_steps: Annotated[int, Setting("Steps of stage 2.", least=1)] = REFINE_STEPS
    batch_size: BatchSize = 8


@dataclass(frozen=True)
class LearningSettings(Checked):
    """How long method ``self`` learns from a scan: so many steps, and so many minutes at most.

    Attributes:
        learn_steps: the same number gives the same result, where the minutes do not end it.
        learn_minutes: then what was learned so far counts.
    """

    learn_steps: Annotated[int, Setting("self: steps of learning from the scan.", least=1)] = 300
    learn_minutes: Annotated[float, Setting("self: minutes after which it stops learning.", least=0.01, most=10000)] = (
        8.0
    )


@dataclass(frozen=True)
class DiffusionSettings(GridDetailSettings, LetterSettings, LearningSettings):
    """All that some network's method takes; a method refuses what it has not."""


@dataclass(frozen=True)
class DetailSettings(Checked):
    """Of method ``detail``; slices at once."""

    batch_size: BatchSize = 4


@dataclass(frozen=True)
class SelfSettings(LearningSettings):
    """Of method ``self``; ``batch_size`` are slices at once after learning."""

    seed: Seed = 0
    batch_size: BatchSize = 4


@dataclass(frozen=True)
class DrawnSettings(Checked):
    """Of a method that draws numbers."""

    seed: Seed = 0


@dataclass(frozen=True)
class NoSettings(Checked):
    """Of a method that has none."""


DIFFUSION = Diffusion(phases=2)
"""Of method ``grid-detail``: every slice lies in the outer half of one grid and in the inner half of another.

A detail network is only as good as the diffusion results it was trained with resemble those it is given. So both
take this, and training keeps what it made only as long as
:func:`ctgrid.methods.denoising.diffusion.diffusion_identity` stays.
"""
