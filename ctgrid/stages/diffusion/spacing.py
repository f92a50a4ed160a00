"""How many timesteps there are, and the names of their spacings, which ``Schedule.respace`` makes."""

from __future__ import annotations

from typing import Literal

Spacing = Literal["even", "linspace", "trailing", "snr", "karras"]

STEPS = 1000
"""Of the schedule that the networks are trained on."""
