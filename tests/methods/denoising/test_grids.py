"""Grids of a volume and the coarse half of denoising: coverage, phases, averages, the starting level."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.methods.denoising import grids
from ctgrid.methods.denoising.grids import grid_rows
from ctgrid.methods.denoising.starts import HIGHEST, LOWEST, start_timestep
from ctgrid.scan.grid import to_grid
from ctgrid.stages.models.bundle import Bundle, load_bundle


@pytest.fixture(scope="module")
def bundle(tiny_model: Path) -> Bundle:
    """The tiny model."""
    return load_bundle(tiny_model)


def test_start_is_the_level_with_that_much_noise() -> None:
    """From the linear schedule itself, computed here step by step."""
    beta = np.linspace(1e-4, 0.02, 1000)
    alpha_bar = np.cumprod(1 - beta)
    for ratio in (0.1, 0.3, 1.0):
        t = start_timestep(ratio)
        assert np.sqrt((1 - alpha_bar[t]) / alpha_bar[t]) == pytest.approx(ratio, rel=0.02)
    assert (start_timestep(0.0), start_timestep(1e9)) == (LOWEST, HIGHEST)


@pytest.mark.parametrize("count", [2, 5, 15, 16, 17, 40, 48])
def test_grids_cover_all_slices(count: int) -> None:
    """In order; the last one ends with the last slice; short volumes are mirrored, never padded with air."""
    rows = grid_rows(count, 16)
    assert rows.shape == (-(-count // 16), 16)
    assert set(rows.flatten().tolist()) == set(range(count))
    steps = rows.diff(dim=1)
    assert (steps == 1).all() if count >= 16 else (steps.abs() <= 1).all()
    assert rows[0, 0] == 0 and (count < 16 or rows[-1, -1] == count - 1)


@pytest.mark.parametrize("batch_size", [1, 8])
def test_slices_in_several_grids_become_their_mean(
    batch_size: int, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a sampler that numbers all cells: the last of two grids moves back over twelve slices of the first."""
    numbers = iter(torch.arange(32.0).split(16 * min(batch_size, 2)))

    def number_cells(model: Any, noisy: torch.Tensor, **options: Any) -> torch.Tensor:
        return to_grid(next(numbers)[:, None, None, None].expand(-1, 4, 2, 2).contiguous())

    monkeypatch.setattr(grids, "sample", number_cells)
    images = torch.zeros(20, 1, 16, 16)
    cells, _ = grids.denoise_cells(bundle, images, 300, 2, seed=0, batch_size=batch_size)
    expected = [*range(4), *[(i + 12 + i) / 2 for i in range(4, 16)], *range(28, 32)]
    assert cells[:, 0, 0, 0].tolist() == expected


@pytest.mark.parametrize("count", [16, 17, 40, 48, 141])
def test_phases_put_every_slice_at_several_places(count: int) -> None:
    """With two phases, slices away from the ends lie in grids at places eight cells apart; all are covered."""
    rows = grid_rows(count, 16, 2)
    assert set(rows.flatten().tolist()) == set(range(count))
    assert (rows.diff(dim=1) == 1).all() and len(rows[:, 0].unique()) == len(rows)
    for slice_number in range(8, count - 24):
        places = sorted((rows == slice_number).nonzero()[:, 1].tolist())
        assert len(places) == 2 and places[1] - places[0] == 8


def test_one_phase_is_side_by_side_and_short_volumes_have_one_grid() -> None:
    """And the number of phases has its bounds."""
    assert grid_rows(48, 16, 1)[:, 0].tolist() == [0, 16, 32]
    assert grid_rows(5, 16, 4).shape == (1, 16)
    for phases in (0, 17):
        with pytest.raises(CtgridError, match=f"phases must be 1 to 16, the cells of a grid, got {phases}"):
            grid_rows(40, 16, phases)
