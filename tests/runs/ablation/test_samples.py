"""Samples of a first stage as images of one size, and what no model of its K and codec can avoid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ctgrid.data.volumes import VolumeSlices
from ctgrid.runs.ablation.samples import joints, sample_volumes, through_codec, trained_stages
from ctgrid.runs.ablation.spec import Sampling
from ctgrid.stages.codecs.codecs import load_codec
from ctgrid.stages.models.bundle import Bundle


@pytest.fixture(scope="module")
def bundle(make_model: Callable[..., Path]) -> Bundle:
    """The first stage of a tiny model for 24 slices."""
    folder = make_model(slices=24)
    return trained_stages(folder / "stage1", load_codec(folder / "codec"))


def test_half_a_grid_is_carried_over_by_default() -> None:
    """And joints lie where one grid ends and the next begins."""
    assert joints(Sampling.model_validate({}).plan(32, 4), 32) == [15, 23]
    assert joints(Sampling.model_validate({"control_rows": 3}).plan(24, 4), 24) == [15, 19]
    assert joints(Sampling.model_validate({}).plan(16, 4), 16) == []


def test_a_first_stage_is_a_model_whose_second_is_never_called(bundle: Bundle) -> None:
    assert bundle.stage2 is bundle.stage1 and bundle.facts2 is bundle.facts1 and bundle.facts1.slices == 24


def test_a_volume_depends_on_its_seed_alone_and_has_the_size_asked_for(bundle: Bundle) -> None:
    sampling = Sampling(steps=1, batch_size=2)
    both = sample_volumes(bundle, sampling, [3, 4], 16)
    assert both.shape == (2, 24, 16, 16) and both.dtype == np.int16 and not np.array_equal(both[0], both[1])
    assert np.abs(both).max() <= 1000
    assert np.abs(both[1].astype(int) - sample_volumes(bundle, sampling, [4], 16)[0]).max() <= 1
    assert sample_volumes(bundle, sampling, [4], 8).shape == (1, 24, 8, 8)


def test_real_volumes_pass_through_the_codec_alike_in_any_company(bundle: Bundle) -> None:
    """Also where their slices fill no whole grid: what was added is left out again."""
    hu = torch.randint(-1000, 1000, (20, 64, 64), generator=torch.Generator().manual_seed(0)).short()
    volumes = [VolumeSlices(str(i), hu.roll(i, 0), (3.0, 5.0, 5.0)) for i in range(2)]
    passed = through_codec(bundle, volumes, 16)
    assert passed.shape == (2, 24, 16, 16) and passed.dtype == np.int16
    np.testing.assert_array_equal(passed[1], through_codec(bundle, volumes[1:], 16)[0])


def any_plan(**changes: Any) -> Any:
    return Sampling.model_validate(changes)


def test_no_joint_lies_inside_what_one_grid_made() -> None:
    """Every step is a joint or lies between two slices of one window."""
    plan = any_plan(control_rows=2).plan(40, 4)
    found = joints(plan, 40)
    made: dict[int, int] = {}
    for number, window in enumerate(window for windows in plan for window in windows):
        for target, known in zip(window.target.tolist(), window.known.tolist(), strict=True):
            if 0 <= target < 40 and not known:
                made[target] = number
    assert found == [i for i in range(39) if made[i] != made[i + 1]]
