"""Every sampler by its name; what the command line offers and settings take follows from it.

A new one is one entry of :data:`SAMPLERS`: how its solver is built, and the spacing of steps it goes with. Nothing is
imported before a solver is built, since help must name the samplers at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctgrid.base.families import look_up

if TYPE_CHECKING:
    from ctgrid.stages.diffusion.schedule import Prediction, Schedule
    from ctgrid.stages.diffusion.solvers import Solver
    from ctgrid.stages.diffusion.spacing import Spacing


@dataclass(frozen=True)
class Sampler:
    """One way to remove noise.

    Attributes:
        build: makes a solver for the levels to visit and what the network predicts.
        spacing: of the steps where none is named: the one it is best known with.
    """

    build: Callable[[Schedule, Prediction], Solver]
    spacing: Spacing


def _dpm(levels: Schedule, prediction: Prediction) -> Solver:
    from ctgrid.stages.diffusion.solvers import DpmSolver

    return DpmSolver(levels, prediction)


def _ddim(levels: Schedule, prediction: Prediction) -> Solver:
    from ctgrid.stages.diffusion.solvers import Ddim

    return Ddim(levels, prediction)


def _ddpm(levels: Schedule, prediction: Prediction) -> Solver:
    from ctgrid.stages.diffusion.solvers import Ddpm

    return Ddpm(levels, prediction)


SAMPLERS: dict[str, Sampler] = {
    "dpm++": Sampler(_dpm, "snr"),  # a solver of second order wants even log SNR
    "ddim": Sampler(_ddim, "even"),
    "ddpm": Sampler(_ddpm, "even"),
}


def find_sampler(name: str) -> Sampler:
    """Return a sampler by its name.

    Raises:
        CtgridError: with the names there are.
    """
    return look_up(SAMPLERS, name, "sampler")
