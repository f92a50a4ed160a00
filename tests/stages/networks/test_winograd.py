"""Winograd's way: the same convolution but for rounding, where it can be gone, and the layer's own elsewhere."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ctgrid.stages.networks import winograd
from ctgrid.stages.networks.winograd import sped_up, speed_up

pytestmark = pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="this torch has no MKL")


def conv(wide: int = 6, out: int = 10, bias: bool = True) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(wide, out, 3, padding=1, bias=bias)


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small layers will do."""
    monkeypatch.setattr(winograd, "LEAST_WIDTH", 4)
    monkeypatch.setattr(winograd, "LEAST_WIDTH_AVX512", 4)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 6, 4, 4), (3, 6, 16, 8)])
@torch.no_grad()
def test_the_same_convolution(shape: tuple[int, ...], bias: bool) -> None:
    """Within rounding, borders included, in either layout; one by one as in a batch, to the bit."""
    layer = conv(bias=bias)
    x = torch.randn(shape)
    expected = layer(x)
    assert speed_up(nn.Sequential(layer)) == ["0"]
    found = layer(x)
    assert found.shape == expected.shape and found.is_contiguous(memory_format=torch.channels_last)
    assert 0 < (found - expected).abs().max() < 1e-5
    assert torch.equal(layer(x.contiguous(memory_format=torch.channels_last)), found)
    assert torch.equal(torch.cat([layer(one[None]) for one in x]), found)


def test_elsewhere_as_the_layer_does() -> None:
    """Sides that are no multiples of 4, other number formats, training: to the bit."""
    layer, plain = conv(), conv()
    speed_up(layer)
    with torch.no_grad():
        for x in (torch.randn(1, 6, 8, 10), torch.randn(1, 6, 7, 8)):
            assert torch.equal(layer(x), plain(x))
        x = torch.randn(1, 6, 8, 8)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(layer(x), plain(x))
    assert torch.equal(layer(x), plain(x)) and layer(x).requires_grad


def test_only_layers_that_gain_and_no_weight_changes() -> None:
    """Strides, groups, other kernels and thin layers stay; so does all that is saved and hashed."""
    layers = [conv(), nn.Conv2d(6, 6, 3), nn.Conv2d(6, 6, 1), nn.Conv2d(6, 6, 3, padding=1, groups=2)]
    layers += [nn.Conv2d(6, 6, 3, padding=1, stride=2), conv(3), conv(6, 3), nn.Conv2d(6, 6, 3, padding=2, dilation=2)]
    network = nn.Sequential(*layers)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert speed_up(network) == ["0"]
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_where_onednn_is_quicker_only_wider_layers_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """With AVX512 its own convolution of 5 channels wins over this one, without it loses."""
    monkeypatch.setattr(winograd, "LEAST_WIDTH_AVX512", 6)
    for knows, chosen in ((True, ["1"]), (False, ["0", "1"])):
        monkeypatch.setattr(winograd, "onednn_knows", lambda _, knows=knows: knows)
        assert speed_up(nn.Sequential(conv(5, 5), conv(6, 6))) == chosen


@torch.no_grad()
def test_for_a_while_only() -> None:
    """Afterwards the layer's own way again, also where that ended badly; weights that changed in between count."""
    layer = conv()
    network, x = nn.Sequential(layer), torch.randn(1, 6, 8, 8)
    for _ in range(2):
        plain = layer(x)
        with sped_up(network):
            assert 0 < (layer(x) - plain).abs().max() < 1e-5
        assert torch.equal(layer(x), plain)
        layer.weight.mul_(0.5)
    with pytest.raises(RuntimeError), sped_up(network):
        raise RuntimeError
    with sped_up(network, False):
        assert "forward" not in vars(layer)
