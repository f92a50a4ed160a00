"""Convolutions over a grid's cells, behind the blocks of a transformer.

Patches are estimated each for itself, and what they are off by shows as mottle and as joints between them. U-ViT (arXiv
2209.12152) therefore ends in one 3 x 3 convolution; here there are several, and some go along z, for neighbouring cells
are neighbouring slices.
"""

from __future__ import annotations

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn.functional import silu

from ctgrid.base.errors import CtgridError

GROUPS = 8
"""Groups of channels that are normalised together."""

PLACES = 5
"""Channels that tell where a latent pixel lies: row, column and z, its cell's timestep, and whether that is known."""

Z_UNIT = 100.0
"""Slices that count as 1."""

LEVEL_UNIT = 1000.0
"""Timesteps that count as 1."""


class ConvolutionBlock(nn.Module):
    """x + along z(silu(in plane(silu(norm(x))))), whose last convolution starts at zero."""

    def __init__(self, width: int) -> None:
        """Make a block of ``width`` channels."""
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width)
        self.in_plane = nn.Conv3d(width, width, (1, 3, 3), padding=(0, 1, 1))
        self.along_z = nn.Conv3d(width, width, (3, 1, 1), padding=(1, 0, 0))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, K², s, s) to the same shape."""
        out: Tensor = x + self.along_z(silu(self.in_plane(silu(self.norm(x)))))
        return out


class CellConvolutions(nn.Module):
    """Correct an estimate of a grid's clean latent by what lies around every latent pixel.

    Args:
        channels: C of the latent.
        cells_per_side: K.
        width: channels inside.
        depth: residual blocks.

    Raises:
        CtgridError: for a width that does not share out among :data:`GROUPS`.
    """

    def __init__(self, channels: int, cells_per_side: int, width: int, depth: int) -> None:
        super().__init__()
        if width < 1 or width % GROUPS:
            raise CtgridError(f"conv_width must be a multiple of {GROUPS}, got {width}")
        self.k = cells_per_side
        self.head = nn.Conv3d(channels + PLACES, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ConvolutionBlock(width) for _ in range(depth)))
        self.tail = nn.Conv3d(width, channels, 3, padding=1)

    def initialise(self) -> None:
        """Let the estimate pass as it is, until something is learnt."""
        for layer in (self.tail, *(block.along_z for block in self.blocks)):
            assert isinstance(layer, nn.Conv3d) and layer.bias is not None
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, estimate: Tensor, latent: Tensor, timestep: Tensor, z_index: Tensor | None) -> Tensor:
        """Return the corrected estimate.

        Args:
            estimate: (B, C, S, S), of the clean latent.
            latent: (B, C, S, S), the noisy one, whose known cells are clean and stand for their estimate.
            timestep: (B, 1) or (B, K²), negative for known cells.
            z_index: (B, K²), slice numbers; None counts the cells.

        Returns:
            (B, C, S, S).
        """
        of_cells = {"r": self.k, "q": self.k}
        cells, given = (rearrange(x, "b c (r h) (q w) -> b c (r q) h w", **of_cells) for x in (estimate, latent))
        batch, _, count, height, width = cells.shape
        level = timestep.expand(batch, count).float()  # in bfloat16 neighbouring slices would have one place
        known = level < 0
        z = torch.arange(count, device=cells.device).expand(batch, -1) if z_index is None else z_index
        by_cell = torch.stack([z.float() / Z_UNIT - 1, level / LEVEL_UNIT, known.float()], dim=1).to(cells)
        across = torch.linspace(-1, 1, height, device=cells.device, dtype=cells.dtype)
        places = [
            repeat(by_cell, "b c n -> b c n h w", h=height, w=width),
            repeat(across, "h -> b 1 n h w", b=batch, n=count, w=width),
            repeat(across, "w -> b 1 n h w", b=batch, n=count, h=height),
        ]
        seen = torch.where(known[:, None, :, None, None], given.to(cells), cells)
        out = cells + self.tail(silu(self.blocks(self.head(torch.cat([seen, *places], dim=1)))))
        return rearrange(out, "b c (r q) h w -> b c (r h) (q w)", **of_cells)
