"""Diffusion: the schedule, the training loss, samplers and known cells. A face: all of it lives on the storeys."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    "ctgrid",
    submod_attrs={
        "stages.diffusion.known": ["Known", "cell_timesteps", "cells_mask", "hold_known", "rows_mask"],
        "stages.diffusion.loss": ["training_loss"],
        "stages.diffusion.sampling": ["draw_noise", "sample"],
        "stages.diffusion.schedule": ["CLEAN", "Prediction", "Schedule", "Spacing"],
    },
)
