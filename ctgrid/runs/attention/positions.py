"""Position codes of a grid's tokens: how alike one token's is to all others' (GriDiT, Figure 9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ctgrid.runs.attention.picture import TILE_PX, heat_tile, token_number
from ctgrid.stages.cells import z_of
from ctgrid.stages.models.facts import StageFacts
from ctgrid.stages.networks.attention_maps import raster
from ctgrid.stages.networks.dit import DiT
from ctgrid.stages.networks.positions import part_widths, to_cells, with_absolute_z
from ctgrid.stages.schedules import hierarchical

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class PositionCodes:
    """The codes of one grid's tokens, cell by cell.

    Attributes:
        codes: (N, D) float32, N = K² m².
        parts: by name, which of the D numbers: ``depth``, ``height`` and ``width`` where positions are 3-D, ``column``
            and ``row`` where they are 2-D; ``whole`` is all of them.
        cells_per_side: K.
    """

    codes: Tensor
    parts: dict[str, slice]
    cells_per_side: int

    def likeness(self, part: str, number: int) -> Tensor:
        """Return the cosine between a token's code and every token's, (N,)."""
        codes = normalize(self.codes[:, self.parts[part]], dim=-1)
        return codes @ codes[number]

    def rows(self, number: int) -> list[dict[str, object]]:
        """Return mean likeness by part: to the same place in other cells, to other places in its own, to all else."""
        cells = self.cells_per_side**2
        side = len(self.codes) // cells
        own, place = torch.arange(len(self.codes)) // side, torch.arange(len(self.codes)) % side
        same = (place == place[number]) & (own != own[number])
        near = (own == own[number]) & (place != place[number])
        other = (own != own[number]) & (place != place[number])
        groups = {"same_place": same, "own_cell": near, "elsewhere": other}
        return [
            {"part": part, **{name: float(found[mask].mean()) if mask.any() else None for name, mask in groups.items()}}
            for part in self.parts
            for found in [self.likeness(part, number)]
        ]


def position_codes(network: DiT, facts: StageFacts) -> PositionCodes:
    """Return what stage 1 adds to the tokens of the first grid of a sequence.

    Args:
        network: stage 1.
        facts: its own; with absolute z, that grid's cells lie all over the volume.
    """
    k = network.cells_per_side
    codes = to_cells(network.pos_embed[0].float(), k)
    if network.absolute_z:
        first = hierarchical(facts.slices, facts.k)[0][0]
        z_index = z_of(torch.from_numpy(first.position)[None], facts.slices, facts.slices)
        codes = with_absolute_z(codes, z_index, network.z_scale)[0]
    width = codes.shape[-1]
    if getattr(network.config, "positions", "grid") == "2d":
        ends = {"column": (0, width // 2), "row": (width // 2, width)}
    else:
        depth, height, _ = part_widths(width)
        ends = {"depth": (0, depth), "height": (depth, depth + height), "width": (depth + height, width)}
    parts = {"whole": slice(0, width), **{name: slice(*end) for name, end in ends.items()}}
    return PositionCodes(codes.reshape(-1, width), parts, k)


def positions_picture(found: PositionCodes, token: tuple[int, int, int] | None = None) -> tuple[Image, int]:
    """Draw likeness over the grid, a tile for every part, for one token; bright is alike, a white frame is the token.

    Args:
        found: the codes.
        token: see :func:`ctgrid.runs.attention.picture.token_number`.

    Returns:
        The picture, and the token's number.
    """
    from PIL import Image

    from ctgrid.runs.report.drawing import write_text

    k = found.cells_per_side
    number = token_number(token, k, len(found.codes))
    sheet = Image.new("RGB", (TILE_PX * len(found.parts), TILE_PX))
    black = torch.zeros(TILE_PX, TILE_PX)
    for i, part in enumerate(found.parts):
        likeness = raster(found.likeness(part, number), k)
        low, high = likeness.min(), likeness.max()
        tile = heat_tile(black, (likeness - low) / (high - low).clamp(min=1e-6), number, k, len(found.codes))
        sheet.paste(tile, (i * TILE_PX, 0))
        write_text(sheet, (i * TILE_PX + 4, 2), f"{part}, {low:.2f} to {high:.2f}")
    return sheet, number
