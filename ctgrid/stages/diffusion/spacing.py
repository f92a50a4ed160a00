"""The names of spacings of timesteps; :meth:`ctgrid.stages.diffusion.schedule.Schedule.respace` makes them."""

from __future__ import annotations

from typing import Literal

Spacing = Literal["even", "linspace", "trailing", "snr", "karras"]
