"""The detail network of three resolutions: any size, maps, and what it does not know yet it passes over."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ctgrid.stages.networks.detail import UNIT_HU
from ctgrid.stages.networks.detail_unet import DetailUNet


@pytest.fixture(scope="module")
def network() -> DetailUNet:
    """A small one with weights that are not zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made = DetailUNet(widths=(8, 12, 16), down=(1, 1, 1), up=(1, 1))
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    return made.eval()


def slices(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 0.1


def test_an_untrained_network_finds_no_noise_and_sees_no_prior() -> None:
    made = DetailUNet(widths=(8, 8), down=(1, 1), up=(1,))
    x, level = slices(1, 3, 16, 16), torch.tensor([50.0])
    assert not made.noise_of(x, level).any()
    torch.nn.init.normal_(made.tail.weight)
    assert torch.equal(made.noise_of(x, level), made.noise_of(x, level, slices(1, 1, 16, 16) + 0.3))


def test_a_network_without_hints_passes_them_over() -> None:
    """It has no weights for them, and is else the same."""
    made = DetailUNet(widths=(8, 8), down=(1, 1), up=(1,), hinted=False)
    torch.nn.init.normal_(made.tail.weight)
    x, level = slices(1, 3, 16, 16), torch.tensor([50.0])
    assert torch.equal(made.noise_of(x, level), made.noise_of(x, level, slices(1, 1, 16, 16) + 0.3))
    other = DetailUNet(widths=(8, 8), down=(1, 1), up=(1,))
    state = made.state_dict()
    state["head.weight"] = torch.cat([state["head.weight"], torch.zeros(8, 5, 3, 3)], dim=1)
    other.load_state_dict(state)
    torch.testing.assert_close(other.noise_of(x, level), made.noise_of(x, level))


@pytest.mark.parametrize(("height", "width"), [(16, 24), (9, 13), (1, 5)])
def test_any_size_is_taken(network: DetailUNet, height: int, width: int) -> None:
    """Edges are repeated as far as a multiple of the stride; what is inside is not touched by that."""
    x, level = slices(2, 3, height, width), torch.tensor([20.0, 80.0])
    with torch.no_grad():
        found = network.noise_of(x, level)
        assert found.shape == (2, 1, height, width)
        wider = torch.nn.functional.pad(x, (0, -width % network.stride, 0, -height % network.stride), mode="replicate")
        torch.testing.assert_close(found, network.noise_of(wider, level)[..., :height, :width])


def test_a_flat_map_is_a_number_and_another_is_not(network: DetailUNet) -> None:
    """Of any number of cells; examples do not see each other."""
    x = slices(2, 3, 16, 16)
    with torch.no_grad():
        number = network.noise_of(x, torch.tensor([50.0, 80.0]))
        flat = torch.tensor([50.0, 80.0])[:, None, None].expand(2, 3, 5)
        torch.testing.assert_close(network.noise_of(x, flat), number)
        torch.testing.assert_close(network.noise_of(x[1:], flat[1:]), number[1:], atol=1e-6, rtol=1e-5)
        steep = flat * torch.linspace(0.5, 2, 5)
        assert not torch.allclose(network.noise_of(x, steep), number)
        assert not torch.allclose(network.noise_of(x, flat, slices(2, 1, 16, 16)), number)


def test_what_is_said_is_in_units_of_the_noise(network: DetailUNet) -> None:
    """A bias at the end is as many standard deviations everywhere."""
    with torch.no_grad():
        made = DetailUNet(widths=(8, 8), down=(1, 1), up=(1,))
        made.tail.bias.fill_(0.5)
        noise = made.noise_of(slices(2, 3, 8, 8), torch.tensor([20.0, 300.0])) * UNIT_HU
    assert noise[0] == pytest.approx(torch.full((1, 8, 8), 10.0)) and noise[1] == pytest.approx(
        torch.full((1, 8, 8), 150.0)
    )
