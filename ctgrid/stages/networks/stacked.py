"""Naive baseline I: the K² cells of a grid stacked as channels of one small image, instead of tiled.

Everything around the network keeps its grid images: noise, known cells, codec. Only the call is wrapped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from einops import rearrange
from torch import Tensor

from ctgrid.base.errors import CtgridError

Layout = Literal["grid", "channels"]


def stack_cells(grids: Tensor, k: int) -> Tensor:
    """Turn grid images (B, c, K s, K s) into stacks of their cells (B, K² c, s, s), cell after cell."""
    return rearrange(grids, "b c (r h) (q w) -> b (r q c) h w", r=k, q=k)


def unstack_cells(stacks: Tensor, k: int, channels: int) -> Tensor:
    """Turn stacks back into grid images: the inverse of :func:`stack_cells`.

    Args:
        stacks: (B, v K² c, s, s): v = 2 where a network predicts variances behind its estimates.
        k: cells along a grid's side.
        channels: c.

    Returns:
        (B, v c, K s, K s).
    """
    return rearrange(stacks, "b (v r q c) h w -> b (v c) (r h) (q w)", r=k, q=k, c=channels)


class StackedCells:
    """A network of stacks, called with grid images."""

    def __init__(self, network: Callable[..., Tensor], k: int) -> None:
        """Take the network, called as ``network(stacks, timestep)``, and the cells along a grid's side."""
        self.network, self.k = network, k

    def __call__(self, latent: Tensor, timestep: Tensor, **inputs: Any) -> Tensor:
        """Predict for grid images.

        Args:
            latent: (B, c, K s, K s).
            timestep: (B,).
            inputs: none: a stack has one place and one timestep for all its cells.

        Returns:
            (B, c or 2 c, K s, K s).

        Raises:
            CtgridError: for a timestep or a place of each cell.
        """
        if timestep.ndim != 1 or inputs:
            what = ", ".join(inputs) or "one timestep per cell"
            raise CtgridError(
                f"a model of cells stacked as channels takes no {what}: all cells share their tokens; known cells "
                "are held by replacement, and positions are relative"
            )
        return unstack_cells(self.network(stack_cells(latent, self.k), timestep), self.k, latent.shape[1])


def on_grids(network: Any, layout: Layout, k: int) -> Any:
    """Return what is called with grid images: the network itself, or wrapped where it takes stacks.

    Args:
        network: a DiT, perhaps prepared for training.
        layout: what its input is.
        k: cells along a grid's side.
    """
    return network if layout == "grid" else StackedCells(network, k)


def network_sizes(layout: Layout, k: int, side: int, channels: int) -> dict[str, int]:
    """Return the sizes of a DiT that fit a layout: ``latent_size``, ``in_channels`` and ``cells_per_side``.

    Args:
        layout: what its input is.
        k: cells along a grid's side.
        side: of a grid's latent.
        channels: c of the codec.
    """
    if layout == "grid":
        return {"latent_size": side, "in_channels": channels, "cells_per_side": k}
    return {"latent_size": side // k, "in_channels": channels * k * k, "cells_per_side": 1}
