"""Volumes are read once and divided by patient; a smaller share lies inside a larger one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.methods.training.config import TrainConfig
from ctgrid.runs.ablation.data import divide, read_volumes, shown_hu
from ctgrid.runs.ablation.spec import grid_of, load_ablation


@pytest.fixture
def recipe(spec: Callable[..., Path]) -> TrainConfig:
    """The tiny ablation's base."""
    ablation = load_ablation(spec())
    return ablation.recipe(ablation.variants[0])


def test_no_patient_is_on_both_sides(scans: Path, recipe: TrainConfig) -> None:
    """A quarter is held out, always the same."""
    volumes = read_volumes(scans, recipe)
    training, held_out = volumes.taken(None), volumes.kept_back()
    assert len(held_out.names) == 1 and sorted(training.names + held_out.names) == list("abcde")
    assert set(volumes.digests) == set("abcde")
    assert read_volumes(scans, recipe).kept_back().names == held_out.names
    assert volumes.training[0].hu.shape == (24, 64, 64)


def test_shares_of_the_patients_are_nested(scans: Path, recipe: TrainConfig) -> None:
    """50 % of four patients are two of them."""
    volumes = read_volumes(scans, recipe)
    shares = [set(volumes.taken(percent).names) for percent in (25, 50, 100)]
    assert [len(share) for share in shares] == [1, 2, 4]
    assert shares[0] < shares[1] < shares[2]
    assert set(volumes.taken(25).digests) == shares[0]
    assert {tuple(volumes.taken(25, seed).names) for seed in range(8)} == {(name,) for name in shares[2]}


def test_a_split_says_who_is_held_out(tmp_path: Path, scans: Path, recipe: TrainConfig) -> None:
    """Its part train with its part valid; anything else is refused."""
    (tmp_path / "s.yaml").write_text("train: [a, b]\nvalid: [d]\n")
    volumes = read_volumes(scans, recipe, f"{tmp_path / 's.yaml'}:train")
    assert (volumes.taken(None).names, volumes.kept_back().names) == (["a", "b"], ["d"])
    for wrong in (f"{tmp_path / 's.yaml'}:valid", str(tmp_path / "s.yaml")):
        with pytest.raises(CtgridError, match="part train"):
            divide(list("abcde"), wrong, scans)
    with pytest.raises(CtgridError, match="two patients"):
        divide(["a"], None, scans)


def test_excluded_volumes_are_left_out(scans: Path, recipe: TrainConfig) -> None:
    """And a name that no volume has is an error."""
    without = recipe.model_copy(update={"exclude": ("b",)})
    volumes = read_volumes(scans, without)
    assert "b" not in volumes.digests
    with pytest.raises(CtgridError, match="no volume 'bb'"):
        read_volumes(scans, recipe.model_copy(update={"exclude": ("bb",)}))


def test_real_volumes_are_shown_as_training_frames_them(scans: Path, recipe: TrainConfig) -> None:
    """All slices, one size, HU."""
    volumes = read_volumes(scans, recipe)
    hu = shown_hu(volumes.training, grid_of(recipe), 16)
    assert hu.shape == (4, 24, 16, 16) and hu.dtype == np.int16
    assert hu.min() >= -1000 and hu[:, 12].std() > 200
    with pytest.raises(CtgridError, match="side_px"):
        shown_hu(volumes.training, grid_of(recipe), 24)
