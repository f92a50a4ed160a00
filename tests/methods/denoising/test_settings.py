"""Settings of denoising: refused where they mean nothing, shared by the methods that have them."""

from __future__ import annotations

from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import all_settings
from ctgrid.methods.denoising.settings import (
    DetailSettings,
    Diffusion,
    DiffusionSettings,
    GridDetailSettings,
    GridSettings,
    LetterSettings,
    PaperSettings,
    read_strength,
)


def test_strengths_as_typed() -> None:
    assert read_strength("auto") == "auto" and read_strength("0") == 0.0 and read_strength(" 12.5 ") == 12.5
    for text in ("", "-1", "nan", "inf", "loud", "12 HU", "Auto"):
        with pytest.raises(CtgridError, match="is neither 'auto' nor a number of HU, 0 or more"):
            read_strength(text)


@pytest.mark.parametrize(
    ("cls", "wrong", "words"),
    [
        (Diffusion, {"steps": 0}, "steps must be at least 1"),
        (Diffusion, {"refine_steps": 0}, "refine_steps must be at least 1"),
        (Diffusion, {"phases": 0}, "phases must be at least 1"),
        (Diffusion, {"start": "noisy"}, "start"),
        (Diffusion, {"refine_start": None}, "refine_start"),
        (GridSettings, {"seed": -1}, "seed must be at least 0"),
        (GridSettings, {"batch_size": 0}, "batch_size must be at least 1"),
        (LetterSettings, {"t0": 0}, "t0 must be at least 1"),
        (LetterSettings, {"t0": 1000}, "t0 must be at most 999"),
        (LetterSettings, {"sampler": "euler"}, "euler"),
        (DetailSettings, {"batch_size": 0}, "batch_size"),
    ],
)
def test_what_means_nothing_is_refused(cls: Any, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(CtgridError, match=words):
        cls(**wrong)


def test_a_setting_of_two_methods_is_said_once() -> None:
    """All methods' settings are among those of the command, with the same words, bounds and, but for two, defaults."""
    every = all_settings(DiffusionSettings)
    for cls in (Diffusion, GridSettings, GridDetailSettings, LetterSettings, PaperSettings):
        for name, known in all_settings(cls).items():
            assert name in every, name
            assert (known.said.least, known.said.most) == (every[name].said.least, every[name].said.most)
    differ = {n for n, known in all_settings(PaperSettings).items() if known.default != every[n].default}
    assert differ <= {"refine_steps"}
