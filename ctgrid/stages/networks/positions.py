"""Fixed sine-cosine position tables for the tokens of a grid image.

A grid image holds K×K cells (slices); with m tokens along the side of a cell, token (i, j) of the raster
lies at depth ``(i // m) * K + j // m``, height ``i % m`` and width ``j % m`` (GriDiT, Eq. 3-5).

Dimension legend: N tokens of the image = (K·m)², D width of the network.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from einops import rearrange, repeat
from torch import Tensor

from ctgrid.base.errors import CtgridError

Positions = Literal["grid", "depth_major", "2d"]
MODES: tuple[Positions, ...] = get_args(Positions)


def axis_code(position: Tensor, width: int) -> Tensor:
    """Encode positions along one axis as ``[sin(pω), cos(pω)]`` with ``ω_j = 10000^(-j / (width / 2))``.

    Args:
        position: any shape, floating point, in cells or tokens (fractions are fine).
        width: length of the code, even.

    Returns:
        Tensor of shape ``position.shape + (width,)``, dtype of ``position``.
    """
    half = width // 2
    exponent = torch.arange(half, dtype=position.dtype, device=position.device) / half
    angle = position[..., None] * 10000.0**-exponent
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def part_widths(width: int) -> tuple[int, int, int]:
    """Split the network's width into the widths of the depth, height and width codes.

    Eq. 3 gives ⌊D/3⌋ to height and width and the rest to depth. A sine-cosine code needs an even width, so an
    odd ⌊D/3⌋ (D = 256 or 1024, which the published code cannot build) is lowered by one.

    Raises:
        CtgridError: if ``width`` is odd or below 6.
    """
    if width % 2 or width < 6:
        raise CtgridError(f"width must be even and at least 6 for 3-D positions, got {width}")
    plane = 2 * (width // 6)
    return width - 2 * plane, plane, plane


def position_table(width: int, tokens_per_side: int, cells_per_side: int = 1, positions: Positions = "grid") -> Tensor:
    """Build the table added to the raster-ordered tokens of an image.

    ``grid`` gives each token its own depth, height and width. ``depth_major`` lists the same codes cell by
    cell and so hands most raster tokens another token's position: it is what the published grid checkpoints
    were trained with. ``2d`` is the plain DiT table: half of the width for the column, half for the row.

    Args:
        width: D, the network's width.
        tokens_per_side: K·m.
        cells_per_side: K.
        positions: one of ``grid``, ``depth_major``, ``2d``.

    Returns:
        float32 tensor (N, D).

    Raises:
        CtgridError: for an unknown mode, or a side or width that does not divide.
    """
    if positions not in MODES:
        raise CtgridError(f"positions must be one of {', '.join(MODES)}, got {positions!r}")
    if cells_per_side < 1 or tokens_per_side < 1 or tokens_per_side % cells_per_side:
        raise CtgridError(
            f"{tokens_per_side} tokens per side do not divide into {cells_per_side} cells per side; "
            "the latent side must be a multiple of patch_size * cells_per_side"
        )
    place = torch.get_default_device()
    with torch.device("cpu"):  # on "meta", arange alone would import torch's compiler, which takes a second
        table = _table(width, tokens_per_side, cells_per_side, positions)
    return table.to(place)


def _table(width: int, tokens_per_side: int, cells_per_side: int, positions: Positions) -> Tensor:
    """Compute what :func:`position_table` returns."""
    side = torch.arange(tokens_per_side, dtype=torch.float64)
    if positions == "2d":
        if width % 4:
            raise CtgridError(f"width must be a multiple of 4 for 2-D positions, got {width}")
        code = axis_code(side, width // 2)
        column = repeat(code, "j d -> (i j) d", i=tokens_per_side)
        row = repeat(code, "i d -> (i j) d", j=tokens_per_side)
        return torch.cat([column, row], dim=-1).float()
    k, m = cells_per_side, tokens_per_side // cells_per_side
    depth_d, height_d, width_d = part_widths(width)
    depth = repeat(axis_code(torch.arange(k * k, dtype=torch.float64), depth_d), "c d -> c h w d", h=m, w=m)
    height = repeat(axis_code(side[:m], height_d), "h d -> c h w d", c=k * k, w=m)
    wide = repeat(axis_code(side[:m], width_d), "w d -> c h w d", c=k * k, h=m)
    table = torch.cat([depth, height, wide], dim=-1).float()
    if positions == "depth_major":
        return rearrange(table, "c h w d -> (c h w) d")
    return rearrange(table, "(r q) h w d -> (r h q w) d", r=k)


def to_cells(table: Tensor, cells_per_side: int) -> Tensor:
    """Reorder a raster table (N, D) cell by cell: (K², m², D)."""
    k, m = cells_per_side, round(table.shape[0] ** 0.5) // cells_per_side
    return rearrange(table, "(r h q w) d -> (r q) (h w) d", r=k, q=k, h=m, w=m)


def with_absolute_z(cells: Tensor, z_index: Tensor, z_scale: float = 1.0) -> Tensor:
    """Replace the depth code of every cell by the code of its slice index in the volume.

    Args:
        cells: position codes cell by cell, (K², m², D).
        z_index: slice index of every cell, (B, K²), typically in [0, 201).
        z_scale: multiplier of ``z_index``; 1 makes index 0…K²-1 equal to the relative table.

    Returns:
        Tensor (B, K², m², D), dtype of ``cells``.
    """
    depth_d = part_widths(cells.shape[-1])[0]
    tokens = cells.shape[1]
    depth = axis_code(z_index.float() * z_scale, depth_d).to(cells.dtype)
    depth = repeat(depth, "b c d -> b c t d", t=tokens)
    plane = repeat(cells[..., depth_d:], "c t d -> b c t d", b=z_index.shape[0])
    return torch.cat([depth, plane], dim=-1)


def identify_table(table: Tensor, cells_per_side: int | None = None) -> tuple[Positions, int] | None:
    """Say which position mode a checkpoint's own table follows.

    Args:
        table: (N, D) or (1, N, D).
        cells_per_side: K; None tries every K that divides the side, 4 first.

    Returns:
        The mode and K, or None when the table is none of the three (to 0.002, the precision of half floats).
    """
    if table.ndim == 3:
        table = table[0]
    side = round(table.shape[0] ** 0.5)
    if side * side != table.shape[0]:
        return None
    sides = [cells_per_side] if cells_per_side else sorted(range(1, side + 1), key=lambda k: (k != 4, k))
    for mode in MODES:
        for k in sides:
            try:
                candidate = position_table(table.shape[1], side, k, mode)
            except CtgridError:
                continue
            if torch.allclose(candidate, table.detach().cpu().float(), atol=2e-3):
                return mode, k
    return None
