"""Flicker: the mean absolute difference of consecutive frames, 0 … 255."""

from __future__ import annotations

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.metrics.flicker import FlickerMeter, flicker


def test_known_values() -> None:
    """Still, blinking, and a step in one channel of one pixel; differences do not wrap around."""
    black, white = np.zeros((4, 5, 3), np.uint8), np.full((4, 5, 3), 255, np.uint8)
    assert flicker([black, black, black]) == 0
    assert flicker([black, white, black]) == 255
    assert flicker([black, white, white]) == 127.5
    dot = black.copy()
    dot[1, 2, 0] = 60
    assert flicker([dot, black]) == pytest.approx(60 / 60)


def test_arrays_streams_and_gray_are_all_the_same() -> None:
    """One definition, whatever the frames come in."""
    frames = np.random.default_rng(0).integers(0, 256, (7, 6, 5), np.uint8)
    slow = np.abs(np.diff(frames.astype(float), axis=0)).mean()
    assert flicker(frames) == pytest.approx(slow)
    assert flicker(iter(frames)) == pytest.approx(slow)
    assert flicker(np.repeat(frames[..., None], 3, axis=3)) == pytest.approx(slow)
    meter = FlickerMeter()
    assert [int(frame.sum()) for frame in meter.watch(frames)] == [int(frame.sum()) for frame in frames]
    assert meter.value == pytest.approx(slow)


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([np.zeros((4, 4), np.uint8)], "at least two frames"),
        ([], "at least two frames"),
        ([np.zeros((4, 4)), np.zeros((4, 4))], "uint8"),
        ([np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8)], "differ in shape"),
    ],
)
def test_what_has_no_flicker_is_refused(frames: list[np.ndarray], words: str) -> None:
    """Too few, other types, other shapes."""
    with pytest.raises(CtgridError, match=words):
        flicker(frames)
