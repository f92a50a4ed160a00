"""How many timesteps there are, and the names of their spacings, which ``Schedule.respace`` makes."""

from __future__ import annotations

from typing import Literal, cast, get_args

from ctgrid.base.families import look_up

Spacing = Literal["even", "linspace", "trailing", "snr", "karras"]

STEPS = 1000
"""Of the schedule that the networks are trained on."""


def find_spacing(name: str) -> Spacing:
    """Return a spacing by its name.

    Raises:
        CtgridError: with the names there are.
    """
    return cast(Spacing, look_up({one: one for one in get_args(Spacing)}, name, "spacing"))
