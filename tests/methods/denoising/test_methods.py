"""The table of methods: defaults, fallbacks, settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ctgrid import Volume, denoise
from ctgrid.base.errors import CtgridError
from ctgrid.methods.denoising.methods import METHODS, default_method, load_method

AFFINE = np.diag([-0.9, -0.9, 2.5, 1.0])


def test_the_default_follows_the_model(
    tiny_model: Path, detailed_model: Path, chest: Callable[..., np.ndarray]
) -> None:
    """With a detail part it is used; without, today's grid, and the record says which."""
    assert (default_method(tiny_model), default_method(detailed_model)) == ("grid", "grid-detail")
    volume = Volume(chest((5, 64, 64), noise_hu=40), AFFINE)
    plain, best = (
        denoise(volume, strength=40, model=str(model), device="cpu", steps=2, refine_steps=1)
        for model in (tiny_model, detailed_model)
    )
    assert plain.record["denoising"]["method"] == "grid" and not plain.record["denoising"]["detail"]
    settings = best.record["denoising"]
    assert settings["method"] == "grid-detail" and settings["detail"] and settings["phases"] == 2
    assert not np.array_equal(plain.hu, best.hu)


def test_parts_are_switched_off(detailed_model: Path, chest: Callable[..., np.ndarray]) -> None:
    """Without the rest, grid-detail is grid."""
    volume = Volume(chest((20, 64, 64), noise_hu=40), AFFINE)
    options = {"strength": 40.0, "model": str(detailed_model), "device": "cpu", "steps": 2, "refine_steps": 1}
    off = denoise(volume, "grid-detail", phases=1, detail=False, **options)
    assert np.array_equal(off.hu, denoise(volume, "grid", **options).hu)
    assert off.record["denoising"]["method"] == "grid-detail" and not off.record["denoising"]["detail"]


@pytest.mark.parametrize("name", ["detail", "grid-detail"])
def test_methods_that_lack_a_part_say_so(name: str, tiny_model: Path) -> None:
    """In one line, when they are loaded."""
    with pytest.raises(CtgridError, match=r"no detail part"):
        load_method(name, model=str(tiny_model))


def test_settings_of_other_methods_are_refused(chest_volume: Volume) -> None:
    """With those that there are."""
    with pytest.raises(CtgridError, match="method 'detail' has no setting steps; it takes batch_size, only"):
        denoise(chest_volume, "detail", steps=3)
    assert {"grid", "grid-detail", "grid-paper", "detail"} <= set(METHODS)
