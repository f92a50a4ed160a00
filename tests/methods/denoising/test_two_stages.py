"""What both ways to denoise by two stages share: onto the model's grid and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ctgrid.base.progress import silent
from ctgrid.methods.denoising.two_stages import TwoStages
from ctgrid.methods.pipeline import Stopwatch
from ctgrid.scan.geometry import centred_affine
from ctgrid.scan.grid import downsample
from ctgrid.scan.volume import Volume


@pytest.fixture(scope="module")
def stages(tiny_model: Path) -> TwoStages:
    """Of slices of 64 x 64."""
    return TwoStages.load(str(tiny_model), "cpu", "float32")


@pytest.fixture
def volume(chest: Callable[..., np.ndarray]) -> Volume:
    """A chest of the model's own size, head first."""
    return Volume(chest((5, 64, 64)).clip(-1000, 1000), centred_affine("LPI", (3.0, 2.0, 2.0), (5, 64, 64)))


def as_it_was(index: Tensor, images: Tensor, coarse: Tensor) -> tuple[Tensor, int]:
    """Refine nothing; a pass for each slice."""
    return images.clone(), len(index)


def negative(index: Tensor, images: Tensor, coarse: Tensor) -> tuple[Tensor, int]:
    """Turn every slice inside out."""
    return -images, len(index)


def test_a_stage_that_changes_nothing_gives_the_scan_back(stages: TwoStages, volume: Volume) -> None:
    """On its own grid, in its own order, to the last HU; seconds are counted by part."""
    watch = Stopwatch()
    scan = stages.on_grid(volume, watch)
    assert scan.images.data_ptr() == torch.from_numpy(scan.unit).data_ptr(), "not copied"
    assert torch.allclose(scan.small, downsample(scan.images, 4), atol=0.1) and scan.small.shape == (5, 1, 16, 16)
    coarse = stages.coarse(torch.zeros(16, 4, 2, 2), 5, 2, watch)
    assert coarse.shape == scan.small.shape, "cells that only filled a grid are left out"
    back, passes = stages.finish(scan, coarse, as_it_was, 2, None, watch, silent)
    assert np.array_equal(back.hu, volume.hu) and np.array_equal(back.affine, volume.affine)
    assert passes == 5 and {"preprocess", "stage 1", "stage 2", "postprocess"} <= set(watch.rounded())


def test_only_the_slices_asked_for_are_refined(stages: TwoStages, volume: Volume) -> None:
    """Counted from the feet, which are last here."""
    watch = Stopwatch()
    scan = stages.on_grid(volume, watch)
    back, passes = stages.finish(scan, scan.small, negative, 4, [0, 1], watch, silent)
    changed = [not np.array_equal(a, b) for a, b in zip(back.hu, volume.hu, strict=True)]
    assert changed == [False, False, False, True, True] and passes == 2
    assert np.array_equal(back.hu[3:], -volume.hu[3:])
