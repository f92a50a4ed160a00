"""The paper's Algorithm 3: what is computed, from what, and when nothing is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.methods.denoising.diffusion import COARSE_ADDED
from ctgrid.methods.denoising.paper import PaperPipeline
from ctgrid.methods.denoising.starts import start_timestep
from ctgrid.scan.protocols.resample import SCALE_HU
from ctgrid.scan.volume import Volume
from ctgrid.stages.diffusion.schedule import LINEAR

AFFINE = np.diag([-0.9, -0.9, 2.5, 1.0])


@pytest.fixture(scope="module")
def paper(tiny_model: Path) -> PaperPipeline:
    """In float32."""
    return PaperPipeline.load(str(tiny_model), "cpu", "float32")


def test_noise_decides_the_start_and_that_the_calls(paper: PaperPipeline, chest: Callable[..., np.ndarray]) -> None:
    """As the record says; a slice that is not asked for stays as it is, and its grid costs the same."""
    volume = Volume(chest((3, 64, 64)).clip(-1000, 1000), AFFINE)
    made = paper.run(volume, 80.0, steps=10, refine_steps=1, only=[1], seed=4)
    start = start_timestep(COARSE_ADDED * 80 / SCALE_HU)
    assert made.settings["start_timestep"] == start
    assert made.settings["network_calls"] == [LINEAR.calls(10, start), 1]
    assert made.dit_token_passes == 16 * LINEAR.calls(10, start) + 16
    assert [np.array_equal(a, b) for a, b in zip(made.volume.hu, volume.hu, strict=True)] == [True, False, True]
    assert (made.noise_hu, made.settings["seed"]) == (80, 4)


def test_every_slice_has_a_noise_of_its_own_by_its_number(
    paper: PaperPipeline, chest: Callable[..., np.ndarray]
) -> None:
    """So that a slice alone is what it is among all; another seed is another slice."""
    volume = Volume(chest((3, 64, 64)), AFFINE)
    quick = {"steps": 2, "refine_steps": 1}
    whole, alone, other = (
        paper.run(volume, 80.0, **quick, **more).volume.hu[2].astype(int)
        for more in ({}, {"only": [2]}, {"only": [2], "seed": 1})
    )
    assert np.abs(whole - alone).max() <= 1 and np.abs(whole - other).max() > 1


def test_what_is_no_ct_is_refused(paper: PaperPipeline, chest: Callable[..., np.ndarray]) -> None:
    """MR-like values, which have no air."""
    with pytest.raises(CtgridError):
        paper.run(Volume(np.abs(chest((3, 64, 64))), AFFINE), 50.0)
