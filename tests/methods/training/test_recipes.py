"""What each kind's part of a recipe refuses, and says of itself."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ctgrid.methods.training.recipes import CodecRecipe, DetailRecipe, GridRecipe, RefineRecipe, VideoRecipe


@pytest.mark.parametrize(
    ("kind", "wrong", "words"),
    [
        (CodecRecipe, {"crop": 520, "size": 512}, "crop 520 is larger than the slices, size 512"),
        (CodecRecipe, {"crop": 12}, "multiple of 8"),
        (GridRecipe, {"size": 72, "k": 5}, "size 72 is no multiple of k 5; cells have whole pixels"),
        (GridRecipe, {"size": 64, "scale": 3}, "size 64 is no multiple of scale 3"),
        (GridRecipe, {"keyframe_share": 0.6, "window_share": 0.5}, "keyframe_share 0.6 and window_share 0.5 exceed 1"),
        (GridRecipe, {"layout": "channels", "window_share": 0.1}, "set window_share to 0"),
        (GridRecipe, {"bone_weight": 1.0, "video": {"layout": "sky"}}, "movies show no bone"),
        (GridRecipe, {"channel_weights": "decoded", "cell_encoding": "grid"}, "set cell_encoding cell"),
        (GridRecipe, {"channel_weights": "decoded", "video": {"layout": "sky"}}, "is for CT"),
        (GridRecipe, {"layout": "channels", "network": {"absolute_z": True}}, "network.absolute_z to false"),
        (GridRecipe, {"network": {"convolutions": 2}, "prediction": "v"}, "set prediction to x0"),
        (RefineRecipe, {"network": {"convolutions": 2}}, "set prediction to x0"),
        (GridRecipe, {"drawn_share": 0.5}, "name it in drawn_by"),
        (GridRecipe, {"drawn_share": 0.5, "drawn_by": "embedded"}, "needs cell_encoding cell and network.absolute_z"),
        (GridRecipe, {"drawn_levels": (0, 500)}, "a lowest and a highest timestep of 1 ... 999, got 0, 500"),
        (GridRecipe, {"drawn_levels": (600, 500)}, "got 600, 500"),
        (GridRecipe, {"taught_by": "embedded", "prediction": "v"}, "set prediction to x0, layout to grid"),
        (GridRecipe, {"taught_by": "embedded", "prediction": "x0", "layout": "channels"}, "layout to grid"),
        (GridRecipe, {"taught_by": "embedded", "prediction": "x0", "video": {"layout": "sky"}}, "is for CT"),
        (GridRecipe, {"taught_by": "embedded", "prediction": "x0"}, "set network.learned_variance to false"),
        (GridRecipe, {"taught_from": 1000}, "less than 1000"),
        (GridRecipe, {"sampler": "euler"}, "euler"),
        (GridRecipe, {"strides": []}, "at least 1"),
        (RefineRecipe, {"noise_levels": (5, 4)}, "a lowest and a highest level from 0 up, got 5, 4"),
        (RefineRecipe, {"noise_levels": (-1, 4)}, "got -1, 4"),
        (RefineRecipe, {"prediction": "noise"}, "epsilon"),
        (DetailRecipe, {"low_dose_share": 1.5}, "less than or equal to 1"),
        (DetailRecipe, {"cutoffs_per_mm": (0.0, 1.0)}, "cutoffs_per_mm must be a lowest .* got 0.0, 1.0"),
        (DetailRecipe, {"levels_hu": (50.0, 12.0)}, "levels_hu must be .* got 50.0, 12.0"),
        (VideoRecipe, {"layout": "nowhere"}, "nowhere"),
        (RefineRecipe, {"sizes": 3}, "Extra inputs"),
    ],
)
def test_what_does_not_fit_is_refused(kind: Any, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises((ValidationError, ValueError), match=words):
        kind(**wrong)


def test_a_part_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        RefineRecipe().size = 64  # type: ignore[misc]


def test_words_that_yaml_reads_as_switches_are_given_back() -> None:
    """Where the key has such a choice, and only there."""
    from ctgrid.methods.training.optimisation import Optimisation

    assert Optimisation(steps=1, batch_size=1, precision=False).precision == "no"  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="precision"):
        Optimisation(steps=1, batch_size=1, precision=True)  # type: ignore[arg-type]
    assert Optimisation(steps=1, batch_size=1, compile=False).compile is False


@pytest.mark.parametrize(
    ("shares", "knows"),
    [({}, False), ({"unknown_share": 0.9}, True), ({"window_share": 0.2}, True), ({"keyframe_share": 0.5}, False)],
)
def test_grids_with_known_cells(shares: dict[str, float], knows: bool) -> None:
    assert GridRecipe(**shares).knows_cells is knows


def test_a_second_encoder_has_its_factor() -> None:
    assert CodecRecipe().coarse_factor is None
    assert CodecRecipe(network={"coarse_width": 8}).coarse_factor == 4
    assert CodecRecipe(network={"coarse_width": 8, "coarse_factor": 2}).coarse_factor == 2
