"""Grids against the one-line einops oracle, and as exact inverses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from einops import rearrange
from hypothesis import given
from hypothesis import strategies as st

from ctgrid import CtgridError
from ctgrid.scan.grid import Tiled, downsample, from_grid, gray_to_rgb, to_grid

SIZES = st.tuples(*[st.integers(1, 4)] * 5)


@given(SIZES)
def test_grid_equals_the_oracle_and_its_inverse_is_exact(sizes: tuple[int, ...]) -> None:
    n, k, c, h, w = sizes
    slices = torch.randn(n * k * k, c, h, w, generator=torch.Generator().manual_seed(0))
    grids = to_grid(slices, k)
    assert torch.equal(grids, rearrange(slices, "(n r q) c h w -> n c (r h) (q w)", r=k, q=k))
    assert torch.equal(from_grid(grids, k), slices)
    np.testing.assert_array_equal(from_grid(to_grid(slices.numpy(), k), k), slices.numpy())


def test_cells_are_row_major() -> None:
    grid = to_grid(torch.arange(16.0)[:, None, None, None].expand(16, 1, 2, 2))
    assert grid.shape == (1, 1, 8, 8)
    assert grid[0, 0, ::2, ::2].flatten().tolist() == list(range(16))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: to_grid(torch.zeros(15, 1, 2, 2)), "multiple of 16"),
        (lambda: to_grid(torch.zeros(16, 2, 2)), "3 dimensions"),
        (lambda: to_grid(torch.zeros(16, 1, 2, 2), 0), "at least 1"),
        (lambda: from_grid(torch.zeros(1, 1, 8, 6)), "8x6 does not divide into 4x4"),
        (lambda: from_grid(torch.zeros(1, 8, 8)), "3 dimensions"),
        (lambda: downsample(torch.zeros(1, 1, 6, 8)), "do not shrink by 4"),
        (lambda: gray_to_rgb(torch.zeros(1, 2, 8, 8)), "one channel, got 2"),
    ],
)
def test_wrong_shapes_are_refused(call, message: str) -> None:
    with pytest.raises(CtgridError, match=message):
        call()


def test_downsampling_removes_what_the_small_grid_cannot_hold() -> None:
    noise = torch.randn(1, 1, 256, 256, generator=torch.Generator().manual_seed(0))
    assert downsample(noise).std() < 0.35  # a mean of 16 pixels: 0.25; without antialiasing 0.68
    ramp = torch.linspace(-1, 1, 32).expand(1, 1, 32, 32)
    centres = ramp.unfold(-1, 4, 4).mean(-1)[:, :, ::4]
    torch.testing.assert_close(downsample(ramp)[..., 2:-2], centres[..., 2:-2], atol=1e-5, rtol=0)
    assert downsample(ramp, 1) is ramp


def test_gray_is_repeated() -> None:
    gray = torch.randn(2, 1, 3, 4)
    assert torch.equal(gray_to_rgb(gray), gray.expand(2, 3, 3, 4))


@pytest.mark.parametrize(
    ("size", "k", "scale", "factor", "cell", "grid"),
    [(512, 4, None, 4, 128, 512), (256, 4, 2, 2, 128, 512), (128, 8, 2, 2, 64, 512), (256, 2, 1, 1, 256, 512)],
)
def test_sizes_of_grids(size: int, k: int, scale: int | None, factor: int, cell: int, grid: int) -> None:
    """The paper's: 512 pixels a side for CT, SkyTimelapse, Minecraft, and Taichi-HD with K = 2."""
    sizes = Tiled()
    sizes.size, sizes.k, sizes.scale = size, k, scale
    assert (sizes.factor, sizes.cell_size, sizes.grid_size) == (factor, cell, grid)
