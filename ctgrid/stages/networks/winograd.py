"""3 x 3 convolutions by Winograd's minimal filtering, which multiplies a quarter as often.

F(4 x 4, 3 x 3) of Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks", Eqs. 8 and 9: a tile of 4 x 4
outputs is Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A, summed over channels, where d are 6 x 6 inputs and g the filter. What is left of
the work are products of matrices. Wide layers take half to two thirds of the time in float32 on a CPU (one core,
oneDNN and MKL held to AVX2); rounding errors are about 5e-5 of the values instead of 5e-6.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ctgrid.base.precision import onednn_knows

LEAST_WIDTH, LEAST_WIDTH_AVX512 = 64, 96
"""Channels in and out from which it is faster; below, moving tiles about takes what multiplying saves. Where oneDNN has
AVX512 its own way takes half the time, and only the wider layers gain."""

TILE, REACH = 4, 6
"""Sides of a tile of outputs and of the inputs that it needs."""

_B = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0]]
_B += [[0, 4, 0, -5, 0, 1]]
_G = [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]  # times 24
_A = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]


def speed_up(network: nn.Module) -> list[str]:
    """Let the wide 3 x 3 convolutions of a network that only infers go this way; weights and names stay.

    Args:
        network: its weights must not change afterwards.

    Returns:
        The names of those layers; none where torch has no MKL, whose products of matrices this rests on.
    """
    chosen = {name: layer for name, layer in network.named_modules() if fits(layer)}
    if not torch.backends.mkl.is_available():
        return []
    for layer in chosen.values():
        layer.forward = Winograd(layer)
    return list(chosen)


@contextmanager
def sped_up(network: nn.Module, wanted: bool = True) -> Iterator[None]:
    """Let a network go this way for a while; its weights may change before and after.

    Args:
        network: whose weights stay as they are meanwhile.
        wanted: False leaves all as it is.
    """
    chosen = speed_up(network) if wanted else []
    try:
        yield
    finally:
        for name in chosen:
            del network.get_submodule(name).forward


def fits(layer: nn.Module) -> bool:
    """Tell whether a layer is a 3 x 3 convolution that gains."""
    least = LEAST_WIDTH_AVX512 if onednn_knows(torch.bfloat16) else LEAST_WIDTH
    return (
        isinstance(layer, nn.Conv2d)
        and (layer.kernel_size, layer.stride, layer.padding) == ((3, 3), (1, 1), (1, 1))
        and (layer.dilation, layer.groups, layer.padding_mode) == ((1, 1), 1, "zeros")
        and min(layer.in_channels, layer.out_channels) >= least
    )


class Winograd:
    """The forward pass of one convolution."""

    def __init__(self, layer: nn.Module) -> None:
        """Transform its weights (O, C, 3, 3)."""
        assert isinstance(layer, nn.Conv2d)
        self.layer = layer
        b, g, a = (torch.tensor(rows, dtype=torch.float64) for rows in (_B, _G, _A))
        weights = torch.einsum("ia,ocab,jb->ijco", g / 24, layer.weight.detach().double().cpu(), g / 24)
        self.weights = weights.reshape(REACH**2, layer.in_channels, layer.out_channels).float().contiguous()
        self.b, self.a = torch.kron(b, b).float(), torch.kron(a, a).float()

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve (B, C, H, W); as the layer itself where sides are no multiples of 4, or not in float32 on a CPU."""
        plain = x.dtype == torch.float32 and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
        if not plain or x.shape[2] % TILE or x.shape[3] % TILE or torch.is_grad_enabled():
            return nn.Conv2d.forward(self.layer, x)
        out = torch.empty(len(x), x.shape[2], x.shape[3], self.layer.out_channels)
        for one, into in zip(x, out, strict=True):  # what one image takes stays in a processor's cache
            self._convolve(one, into)
        return out.permute(0, 3, 1, 2)

    def _convolve(self, x: Tensor, out: Tensor) -> None:
        """Convolve (C, H, W) into (H, W, O)."""
        channels, height, width = x.shape
        rows, columns = height // TILE, width // TILE
        x = pad(x.permute(1, 2, 0), (0, 0, 1, 1, 1, 1)).contiguous()
        line, pixel, _ = x.stride()
        tiles = x.as_strided((REACH, REACH, rows, columns, channels), (line, pixel, TILE * line, TILE * pixel, 1))
        inputs = (self.b @ tiles.reshape(REACH**2, -1)).view(REACH**2, rows * columns, channels)
        products = torch.bmm(inputs, self.weights).view(REACH**2, -1)
        outputs = (self.a @ products).view(TILE, TILE, rows, columns, -1)
        out.view(rows, TILE, columns, TILE, -1).copy_(outputs.permute(2, 0, 3, 1, 4))
        if self.layer.bias is not None:
            out += self.layer.bias
