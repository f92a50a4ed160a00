"""Known cells: masks, timesteps, and holding them at a level."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.stages.diffusion import CLEAN, Known, Schedule, cell_timesteps, cells_mask, hold_known, rows_mask

FULL = Schedule.linear()
VALUES = torch.arange(2 * 3 * 16 * 16, dtype=torch.float32).unflatten(0, (2, 3, 16, 16)) / 1000


def test_rows_mask_marks_rows() -> None:
    """First and last of four rows of a 16-pixel latent."""
    mask = rows_mask((0, 3), 4, 16)
    assert mask.shape == (1, 1, 16, 16)
    assert mask[0, 0].all(dim=1).nonzero().flatten().tolist() == [0, 1, 2, 3, 12, 13, 14, 15]
    assert mask.sum() == 8 * 16
    assert torch.equal(rows_mask(range(0), 4, 16), torch.zeros(1, 1, 16, 16, dtype=torch.bool))


def test_cells_mask_and_cells_are_inverse() -> None:
    """Random cells to pixels and back; cell 6 of sample 1 lies in row 1, column 2."""
    cells = torch.rand(2, 16, generator=torch.Generator().manual_seed(0)) < 0.5
    cells[1] = torch.arange(16) == 6
    mask = cells_mask(cells, 4, 16)
    assert mask[1, 0, 4:8, 8:12].all()
    assert mask[1].sum() == 16
    assert torch.equal(Known(mask, VALUES).cells, cells)


def test_cell_timesteps() -> None:
    """Known cells get CLEAN, the others their sample's timestep."""
    known = torch.tensor([[True, False], [False, False]])
    assert cell_timesteps(torch.tensor([7, 900]), known).tolist() == [[CLEAN, 7], [900, 900]]


def test_replace_holds_at_the_level_and_clean_holds_clean() -> None:
    """`replace` equals q_sample at that level, the very values at the end; `clean` the values always."""
    mask = rows_mask((0,), 4, 16)
    x, noise = torch.zeros(2, 3, 16, 16), torch.ones(2, 3, 16, 16)
    replace = Known(mask, VALUES, "replace").to(x)
    held = hold_known(x, replace, FULL, 600, noise)
    expected = FULL.q_sample(VALUES, torch.tensor([600, 600]), noise)
    assert torch.equal(held[:, :, :4], expected[:, :, :4])
    assert held[:, :, 4:].abs().max() == 0
    clean = Known(mask, VALUES, "clean").to(x)
    for known, t in ((replace, CLEAN), (clean, 600), (clean, CLEAN)):
        assert torch.equal(hold_known(x, known, FULL, t)[:, :, :4], VALUES[:, :, :4])


def test_masks_that_cut_cells_are_for_replace_only() -> None:
    """A line of pixels has no timestep of its own."""
    mask = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    mask[..., 5, :] = True
    Known(mask, VALUES, "replace")
    with pytest.raises(CtgridError, match="mode 'clean' needs a mask of whole cells"):
        Known(mask, VALUES, "clean")


MASK = rows_mask((0,), 4, 16)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rows_mask((4,), 4, 16), r"rows must lie in 0\.\.\.3, got \[4\]"),
        (lambda: Known(MASK.float(), VALUES), "mask must be bool"),
        (lambda: Known(MASK[0], VALUES), "mask must be bool"),
        (lambda: Known(MASK, VALUES[..., :8]), r"values must be \(B, C, S, S\)"),
        (lambda: Known(MASK, VALUES, "noisy"), "mode must be one of clean, replace"),  # type: ignore[arg-type]
        (lambda: Known(MASK, VALUES, cells_per_side=3), "no 3 cells per side"),
        (lambda: Known(MASK, VALUES).to(torch.zeros(3, 3, 16, 16)), "do not fit a latent"),
        (lambda: Known(MASK, VALUES).to(torch.zeros(2, 4, 16, 16)), "do not fit a latent"),
    ],
)
def test_bad_input_is_named(call: Callable[[], Any], message: str) -> None:
    """Each rule has its message."""
    with pytest.raises(CtgridError, match=message):
        call()


def test_known_follows_the_latent() -> None:
    """One mask and one value for a whole batch, in the latent's dtype."""
    known = Known(MASK, VALUES[:1]).to(torch.zeros(5, 3, 16, 16, dtype=torch.float64))
    parts: tuple[Tensor, Tensor] = known.mask, known.values
    assert [tuple(p.shape) for p in parts] == [(5, 1, 16, 16), (5, 3, 16, 16)]
    assert known.values.dtype == torch.float64
