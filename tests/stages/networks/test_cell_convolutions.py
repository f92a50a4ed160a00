"""Convolutions over a grid's cells: what they see of neighbours, and of what is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ctgrid.base.draws import generator_for, normal
from ctgrid.stages.networks.cell_convolutions import CellConvolutions

Inputs = tuple[Tensor, Tensor, Tensor, Tensor]


@pytest.fixture
def convolutions() -> CellConvolutions:
    """One block without normalisation, which spans the grid, and no weight at zero."""
    network = CellConvolutions(channels=2, cells_per_side=3, width=8, depth=1)
    network.blocks[0].norm = torch.nn.Identity()
    for number, parameter in enumerate(network.parameters()):
        parameter.data = normal(tuple(parameter.shape), generator_for(0, number)) / 5
    return network.eval()


@pytest.fixture
def inputs() -> Inputs:
    """Estimate and noisy latent of a grid of nine cells of 16 x 16, the first of them known."""
    estimate, latent = (normal((1, 2, 48, 48), generator_for(number)) for number in (1, 2))
    timestep = torch.full((1, 9), 700)
    timestep[:, 0] = -1
    return estimate, latent, timestep, torch.arange(9.0)[None] * 10


def cell(grids: Tensor, number: int) -> Tensor:
    """Cut a cell out of grids (B, C, 48, 48)."""
    row, column = divmod(number, 3)
    return grids[..., 16 * row : 16 * row + 16, 16 * column : 16 * column + 16]


@torch.no_grad()
def test_neighbours_are_slices_and_not_what_lies_beside_a_cell_in_the_grid(
    convolutions: CellConvolutions, inputs: Inputs
) -> None:
    """A pixel reaches 3 pixels in plane and 3 cells along z, across the ends of the grid's rows."""
    estimate, *others = inputs
    plain = convolutions(estimate, *others)
    moved = estimate.clone()
    cell(moved, 2)[..., 8, 15] += 1.0  # at the right end of the first row; cell 3 begins the second
    change = convolutions(moved, *others) - plain
    touched = [number for number in range(9) if cell(change, number).abs().max() > 0]
    assert touched == [0, 1, 2, 3, 4, 5]
    assert cell(change, 3)[..., :12].abs().max() == 0 and cell(change, 3)[..., 5:12, 12:].abs().max() > 0


@torch.no_grad()
def test_known_cells_are_seen_as_they_are(convolutions: CellConvolutions, inputs: Inputs) -> None:
    """The clean latent of a known cell counts, not what a network says of it; of others it is the other way round."""
    estimate, latent, timestep, z = inputs
    plain = convolutions(estimate, latent, timestep, z)
    for number, told in ((0, False), (1, True)):
        other_estimate, other_latent = estimate.clone(), latent.clone()
        cell(other_estimate, number).add_(1.0)
        cell(other_latent, number).add_(1.0)
        of_estimate = (convolutions(other_estimate, latent, timestep, z) - plain)[..., 16:, :].abs().max() > 0
        of_latent = (convolutions(estimate, other_latent, timestep, z) - plain)[..., 16:, :].abs().max() > 0
        assert (bool(of_estimate), bool(of_latent)) == (told, not told)


@torch.no_grad()
@pytest.mark.parametrize("which", [2, 3])
def test_timestep_and_place_are_told(convolutions: CellConvolutions, inputs: Inputs, which: int) -> None:
    """The same estimates at another level, or elsewhere in the chest, are corrected otherwise."""
    other = list(inputs)
    other[which] = other[which] + 50
    assert (convolutions(*other) - convolutions(*inputs)).abs().max() > 1e-4


@torch.no_grad()
def test_one_timestep_is_that_of_every_cell(convolutions: CellConvolutions, inputs: Inputs) -> None:
    """And cells without numbers of slices count from 0."""
    estimate, latent, *_ = inputs
    counted = torch.arange(9)[None]
    whole = convolutions(estimate, latent, torch.tensor([[300]]), None)
    assert torch.equal(whole, convolutions(estimate, latent, torch.full((1, 9), 300), counted))


@torch.no_grad()
def test_fresh_ones_change_nothing(convolutions: CellConvolutions, inputs: Inputs) -> None:
    """Until something is learnt the estimate passes as it is."""
    convolutions.initialise()
    assert torch.equal(convolutions(*inputs), inputs[0])
