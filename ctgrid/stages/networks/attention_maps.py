"""What a diffusion transformer's tokens attend to (GriDiT, Figure 7), and how much of it is the same place.

Tokens are in the network's order, cell by cell: token c m² + t is token t of cell c.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn

from ctgrid.base.errors import CtgridError
from ctgrid.stages.networks.dit import DiT


@torch.no_grad()
def attention_maps(
    network: DiT, blocks: Sequence[int], latent: Tensor, timestep: Tensor, **inputs: Tensor
) -> dict[int, Tensor]:
    """Run a network once and return the attention of some of its blocks, softmax(q kᵀ / √d), mean over the heads.

    Args:
        network: the transformer.
        blocks: their numbers; negative ones count from the last.
        latent: noisy latents (B, C, S, S).
        timestep: (B,) or (B, K²).
        inputs: ``z_index`` or ``condition``.

    Returns:
        By the block's number, from 0: (B, N, N) float32 on the CPU, N = K² m² tokens, each row adding up to 1.

    Raises:
        CtgridError: for a block that there is not.
    """
    depth = len(network.blocks)
    wanted = [_numbered(block, depth) for block in blocks]
    found: dict[int, Tensor] = {}

    def keep(number: int, module: nn.Module, x: Tensor) -> None:
        q, k, _ = rearrange(module.qkv(x), "b c t (n h d) -> n b h (c t) d", n=3, h=module.heads).float().unbind(0)  # type: ignore[operator]
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        found[number] = scores.softmax(dim=-1).mean(dim=1).cpu()

    hooks = [
        network.blocks[number].attn.register_forward_pre_hook(  # type: ignore[union-attr]
            lambda module, given, number=number: keep(number, module, given[0])
        )
        for number in wanted
    ]
    try:
        network(latent, timestep, **inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def shares(attention: Tensor, cells: int) -> dict[str, float]:
    """Return how attention is shared out between cells, mean over all tokens.

    Args:
        attention: (B, N, N), rows adding up to 1.
        cells: K², cells of a grid.

    Returns:
        ``other_cells``: the share that falls on other cells (by chance (K² - 1) / K²). ``same_place``: of that, the
        share that falls on the same place in them (by chance 1 / m²). ``same_place_chance`` and
        ``other_cells_chance``.
    """
    tokens = attention.shape[-1] // cells
    parts = rearrange(attention, "b (c t) (e s) -> b c t e s", c=cells, e=cells)
    others = 1.0 - torch.einsum("bctcs->bct", parts)
    same = torch.einsum("bctet->bct", parts) - torch.einsum("bctct->bct", parts)
    return {
        "other_cells": float(others.mean()),
        "other_cells_chance": (cells - 1) / cells,
        "same_place": min(1.0, float(same.mean() / others.mean())),  # rounding, where a cell is one token
        "same_place_chance": 1 / tokens,
    }


def raster(values: Tensor, cells_per_side: int) -> Tensor:
    """Bring values of tokens (..., N), cell by cell, to their places in the grid image: (..., K m, K m)."""
    k = cells_per_side
    m = round((values.shape[-1] / k**2) ** 0.5)
    return rearrange(values, "... (r q h w) -> ... (r h) (q w)", r=k, q=k, h=m, w=m)


def _numbered(block: int, depth: int) -> int:
    if not -depth <= block < depth:
        raise CtgridError(f"block {block} is none of this network's {depth}: give 0 to {depth - 1}, or -1 for the last")
    return block % depth
