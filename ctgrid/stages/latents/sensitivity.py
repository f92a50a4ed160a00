"""How much a codec's decoder makes of each channel of latents: an error in one may show many times more than others."""

from __future__ import annotations

import torch
from torch import Tensor

from ctgrid.base.draws import generator_for
from ctgrid.stages.codecs.codecs import Codec

SHIFT = 0.1
"""Noise added to a channel, in standard deviations of latents: little, so that the decoder answers in proportion."""

CELLS = 64
"""Cells that it is measured on."""


@torch.no_grad()
def channel_weights(codec: Codec, cells: Tensor) -> Tensor:
    """Return what an error in each channel of latents weighs in decoded images: its mean square there.

    Args:
        codec: decodes them.
        cells: (n, c, s, s) latents of single cells; some, spread evenly, are taken.

    Returns:
        (c,) float32, 1 in the mean, in hundredths so that a run moved to another machine goes on with the same.
    """
    chosen = torch.linspace(0, len(cells) - 1, min(CELLS, len(cells))).round().long()
    latent = cells[chosen].float()
    noise = torch.randn(latent[:, 0].shape, generator=generator_for(0)) * latent.std() * SHIFT
    plain = codec.decode(latent.to(codec.device))
    answers = []
    for channel in range(latent.shape[1]):
        moved = latent.clone()
        moved[:, channel] += noise
        answers.append((codec.decode(moved.to(codec.device)) - plain).square().mean().cpu())
    power = torch.stack(answers)
    return (100 * power / power.mean()).round() / 100
