"""Attention drawn over the grid image that it belongs to, a tile for every block and level of noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import interpolate

from ctgrid.base.errors import CtgridError
from ctgrid.runs.attention.maps import Attended
from ctgrid.runs.report.drawing import write_text
from ctgrid.stages.networks.attention_maps import raster

if TYPE_CHECKING:
    from PIL.Image import Image

TILE_PX = 384
HOT = (255, 96, 0)
"""Colour of the most attended place."""


def token_number(token: tuple[int, int, int] | None, cells_per_side: int, tokens: int) -> int:
    """Return the number of a token, cell by cell.

    Args:
        token: cell, row and column; None is the middle of the middle cell.
        cells_per_side: K.
        tokens: N, of the grid.

    Raises:
        CtgridError: for a token outside the grid.
    """
    cells = cells_per_side**2
    side = round((tokens / cells) ** 0.5)
    cell, row, column = token or (cells // 2 + cells_per_side // 2, side // 2, side // 2)
    if cell >= cells or row >= side or column >= side:
        raise CtgridError(
            f"token {cell},{row},{column} lies outside the grid: cells 0 to {cells - 1}, rows and columns 0 to "
            f"{side - 1}"
        )
    return cell * side**2 + row * side + column


def attention_picture(attended: Attended, token: tuple[int, int, int] | None = None) -> Image:
    """Draw the attention of one token over the grid, scaled to its highest value; the token has a white frame.

    Args:
        attended: maps and the grid image.
        token: see :func:`token_number`.
    """
    from PIL import Image

    timesteps = list(dict.fromkeys(timestep for timestep, _ in attended.maps))
    blocks = list(dict.fromkeys(block for _, block in attended.maps))
    gray = (attended.image.mean(dim=0).clamp(-1, 1) + 1) * 127.5
    under = interpolate(gray[None, None], size=(TILE_PX, TILE_PX), mode="bilinear", antialias=True)[0, 0]
    sheet = Image.new("RGB", (TILE_PX * len(blocks), TILE_PX * len(timesteps)))
    for (timestep, block), attention in attended.maps.items():
        number = token_number(token, attended.cells_per_side, len(attention))
        left, top = blocks.index(block) * TILE_PX, timesteps.index(timestep) * TILE_PX
        heat = raster(attention[number], attended.cells_per_side)
        sheet.paste(heat_tile(under, heat / heat.max(), number, attended.cells_per_side, len(attention)), (left, top))
        write_text(sheet, (left + 4, top + 2), f"timestep {timestep}, block {block}")
    return sheet


def heat_tile(under: torch.Tensor, heat: torch.Tensor, number: int, cells_per_side: int, tokens: int) -> Image:
    """Blend a gray image (P, P), 0 to 255, with a map of any size, 0 to 1, into a colour tile; frame a token white."""
    from PIL import Image, ImageDraw

    heat = interpolate(heat.float()[None, None], size=under.shape, mode="nearest")[0, 0]
    share = 0.85 * heat[..., None]
    colour = torch.tensor(HOT, dtype=torch.float32)
    mixed = under[..., None] * (1 - share) + colour * share
    tile = Image.fromarray(mixed.round().to(torch.uint8).numpy().astype(np.uint8))
    row, column = raster(torch.arange(tokens) == number, cells_per_side).nonzero()[0].tolist()
    pixels = len(under) / round(tokens**0.5)
    corner = (column * pixels, row * pixels)
    ImageDraw.Draw(tile).rectangle((*corner, corner[0] + pixels, corner[1] + pixels), outline="white", width=2)
    return tile
