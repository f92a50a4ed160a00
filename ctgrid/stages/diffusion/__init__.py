"""Diffusion: the schedule, the training loss, samplers and known cells. No network lives here."""

from ctgrid.stages.diffusion.known import Known, cell_timesteps, cells_mask, hold_known, rows_mask
from ctgrid.stages.diffusion.loss import training_loss
from ctgrid.stages.diffusion.sampling import draw_noise, sample
from ctgrid.stages.diffusion.schedule import CLEAN, Prediction, Schedule, Spacing

__all__ = [
    "CLEAN",
    "Known",
    "Prediction",
    "Schedule",
    "Spacing",
    "cell_timesteps",
    "cells_mask",
    "draw_noise",
    "hold_known",
    "rows_mask",
    "sample",
    "training_loss",
]
