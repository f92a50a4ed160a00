"""Cells of a grid that are known while the others are sampled (Algorithms 1 and 2).

Two ways to hold them: ``replace`` noises them to the level of every step (the paper's, for any network),
``clean`` leaves them clean and tells the network so with a timestep of their own (for networks trained so).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from einops import rearrange, reduce, repeat
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.stages.diffusion.schedule import CLEAN, Schedule

Mode = Literal["clean", "replace"]


def cells_mask(cells: Tensor, cells_per_side: int, latent_size: int) -> Tensor:
    """Mark cells, bool (B, K²), on the latent: bool (B, 1, S, S)."""
    k, side = cells_per_side, latent_size // cells_per_side
    return repeat(cells, "b (r q) -> b 1 (r h) (q w)", r=k, q=k, h=side, w=side)


def rows_mask(rows: Iterable[int], cells_per_side: int, latent_size: int) -> Tensor:
    """Mark whole rows of cells, for example ``range(3)`` or ``(0, 3)``: bool (1, 1, S, S).

    Raises:
        CtgridError: if a row lies outside 0…K-1.
    """
    rows, k = list(rows), cells_per_side
    if any(not 0 <= row < k for row in rows):
        raise CtgridError(f"rows must lie in 0...{k - 1}, got {rows}")
    marked = torch.tensor([row in rows for row in range(k)])
    return cells_mask(repeat(marked, "r -> 1 (r q)", q=k), k, latent_size)


def cell_timesteps(timestep: Tensor, known_cells: Tensor) -> Tensor:
    """Give known cells the timestep ``CLEAN`` and the others their sample's.

    Args:
        timestep: (B,).
        known_cells: bool (B, K²).

    Returns:
        (B, K²), dtype of ``timestep``.
    """
    return torch.where(known_cells, torch.full_like(timestep, CLEAN)[:, None], timestep[:, None])


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of the latent that is being sampled.

    Attributes:
        mask: bool (B or 1, 1, S, S), True where known; whole cells in mode ``clean``.
        values: clean latent (B or 1, C, S, S); only its known part is read.
        mode: ``clean`` or ``replace``.
        cells_per_side: K of the grid.

    Raises:
        CtgridError: if the mask is not boolean, cuts through cells in mode ``clean``, or shapes do not fit.
    """

    mask: Tensor
    values: Tensor
    mode: Mode = "clean"
    cells_per_side: int = 4

    def __post_init__(self) -> None:
        """Check the fields against each other."""
        if self.mode not in get_args(Mode):
            raise CtgridError(f"mode must be one of {', '.join(get_args(Mode))}, got {self.mode!r}")
        if self.mask.dtype != torch.bool or self.mask.ndim != 4 or self.mask.shape[1] != 1:
            raise CtgridError(f"mask must be bool (B, 1, S, S), got {self.mask.dtype} {tuple(self.mask.shape)}")
        if self.values.ndim != 4 or self.values.shape[2:] != self.mask.shape[2:]:
            raise CtgridError(
                f"values must be (B, C, S, S) with S of the mask, {tuple(self.mask.shape[2:])}, "
                f"got {tuple(self.values.shape)}"
            )
        if self.mode == "clean":
            if any(side % self.cells_per_side for side in self.mask.shape[2:]):
                raise CtgridError(f"a mask of {tuple(self.mask.shape[2:])} has no {self.cells_per_side} cells per side")
            whole = cells_mask(self.cells, self.cells_per_side, self.mask.shape[-1])
            if not torch.equal(whole, self.mask):
                raise CtgridError("mode 'clean' needs a mask of whole cells; use mode 'replace' otherwise")

    @property
    def cells(self) -> Tensor:
        """Cells that are known entirely, bool (B or 1, K²)."""
        k = self.cells_per_side
        share = reduce(self.mask.float(), "b 1 (r h) (q w) -> b r q", "min", r=k, q=k)
        return rearrange(share > 0, "b r q -> b (r q)")

    def to(self, latent: Tensor) -> Known:
        """Copy to the device and dtype of a latent (B, C, S, S) and expand to its batch.

        Raises:
            CtgridError: if the shapes do not broadcast to it.
        """
        shape = latent.shape
        if self.values.shape[1:] != shape[1:] or any(
            part.shape[0] not in (1, shape[0]) for part in (self.mask, self.values)
        ):
            raise CtgridError(
                f"known values {tuple(self.values.shape)} and mask {tuple(self.mask.shape)} do not fit a "
                f"latent of shape {tuple(shape)}"
            )
        mask = self.mask.to(latent.device).expand(shape[0], -1, -1, -1)
        return Known(mask, self.values.to(latent).expand(shape), self.mode, self.cells_per_side)


def hold_known(x: Tensor, known: Known, schedule: Schedule, t: int, noise: Tensor | None = None) -> Tensor:
    """Put the known part into x at level ``t`` (Algorithms 1 and 2: the level the step arrives at).

    Args:
        x: latent (B, C, S, S) at level ``t``.
        known: what is known, on the device of ``x``.
        schedule: the schedule ``t`` indexes.
        t: step index, ``CLEAN`` at the end.
        noise: (B, C, S, S), needed in mode ``replace`` unless ``t`` is ``CLEAN``.
    """
    values = known.values
    if known.mode == "replace" and t != CLEAN:
        assert noise is not None
        values = schedule.q_sample(values, torch.full((len(x),), t, device=x.device), noise)
    return torch.where(known.mask, values, x)
