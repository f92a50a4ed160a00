"""The network of the detail step: what it is told, any size, and nothing taken away before it has learned."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.stages.networks.detail import REFERENCE_HU, STRIDE, DetailNet


@pytest.fixture(scope="module")
def network() -> DetailNet:
    """A small one with weights that are not zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made = DetailNet(neighbours=1, width=8, inner_width=8, blocks=1, inner_blocks=1)
        torch.nn.init.normal_(made.tail[-1].weight, std=0.1)
    return made.eval()


def slices(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_an_untrained_network_finds_no_noise() -> None:
    made = DetailNet(width=8, inner_width=8, blocks=1, inner_blocks=1)
    assert not made.noise_of(slices(1, 3, 8, 8), torch.tensor([50.0])).any()


@pytest.mark.parametrize(("height", "width"), [(8, 12), (9, 13), (1, 5), (6, 10)])
def test_any_size_is_taken(network: DetailNet, height: int, width: int) -> None:
    """Edges are repeated as far as a multiple of the stride; what is inside is not touched by that."""
    x, level = slices(2, 3, height, width), torch.tensor([20.0, 80.0])
    with torch.no_grad():
        found = network.noise_of(x, level)
        assert found.shape == (2, 1, height, width)
        wider = torch.nn.functional.pad(x, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        torch.testing.assert_close(found, network.noise_of(wider, level)[..., :height, :width])


def test_level_and_prior_are_told_and_examples_do_not_see_each_other(network: DetailNet) -> None:
    x, prior = slices(2, 3, 8, 8), slices(2, 1, 8, 8)
    level = torch.tensor([REFERENCE_HU, 2 * REFERENCE_HU])
    with torch.no_grad():
        together = network.noise_of(x, level, prior)
        alone = torch.cat([network.noise_of(x[i : i + 1], level[i : i + 1], prior[i : i + 1]) for i in range(2)])
        torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-5)
        for other in (network.noise_of(x, level.flip(0), prior), network.noise_of(x, level)):
            assert not torch.allclose(other, together)
        equal = network.noise_of(x, level, x[:, 1:2])  # a prior without a difference is still one
        assert not torch.allclose(equal, network.noise_of(x, level))


def test_a_batch_may_have_priors_for_some(network: DetailNet) -> None:
    """As training has them: zeros behind the slices, and a mark."""
    x, prior, level = slices(2, 3, 8, 8), slices(2, 1, 8, 8), torch.tensor([50.0, 50.0])
    hint = torch.stack([x[0, 1:2] - prior[0], torch.zeros(1, 8, 8)])
    with torch.no_grad():
        mixed = network(torch.cat([x, hint], 1), level, torch.tensor([1.0, 0.0]))
        torch.testing.assert_close(mixed[:1], network.noise_of(x[:1], level[:1], prior[:1]), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(mixed[1:], network.noise_of(x[1:], level[1:]), atol=1e-6, rtol=1e-5)


def test_other_numbers_of_slices_are_refused(network: DetailNet) -> None:
    with pytest.raises(CtgridError, match=r"noisy must be \(B, 3, H, W\), got \(1, 2, 8, 8\)"):
        network.noise_of(slices(1, 2, 8, 8), torch.tensor([50.0]))
