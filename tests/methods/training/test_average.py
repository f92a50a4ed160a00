"""Averaged weights: as diffusers averages them, bit for bit, and in the model only where they are asked for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ctgrid.methods.training.average import Average, averaged


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 3), nn.Linear(3, 2).requires_grad_(False))


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_every_step_is_that_of_diffusers(decay: float) -> None:
    """Before and after the decay's limit; what is not trained is copied; its state is taken over and given."""
    from diffusers.training_utils import EMAModel  # seconds of imports

    model = network()
    ours = Average(model.parameters(), decay)
    theirs = EMAModel(model.parameters(), decay=decay, use_ema_warmup=True, power=0.75)
    for number in range(12):
        for parameter in model.parameters():
            parameter.data.add_(torch.randn(parameter.shape))
        if number == 6:  # a run begun with diffusers' goes on with ours, and the other way round
            state = theirs.state_dict()
            theirs.load_state_dict(ours.state_dict())
            ours = Average(model.parameters(), decay)
            ours.load_state_dict(state)
        ours.step(model.parameters())
        theirs.step(model.parameters())
        assert all(torch.equal(a, b) for a, b in zip(ours.weights, theirs.shadow_params, strict=True))
        assert (ours.decay_at(ours.steps) == decay) == (decay == 0.5 and number >= 2)


def test_without_warm_up_the_decay_is_one_from_the_start() -> None:
    """As DiT averages: after one step of a decay of 0.9 nine tenths of the start are left."""
    model = nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    average = Average(model.parameters(), 0.9, warmup=False)
    torch.nn.init.ones_(model.weight)
    average.step(model.parameters())
    assert average.weights[0].item() == pytest.approx(0.1)
    average.step(model.parameters())
    assert average.weights[0].item() == pytest.approx(0.19)


def test_averaged_weights_are_there_inside_only() -> None:
    """Also when saving fails."""
    model = nn.Linear(3, 3)
    nn.init.ones_(model.weight)
    average = Average(model.parameters(), 0.5)
    nn.init.constant_(model.weight, 3)
    with pytest.raises(RuntimeError, match="disk"), averaged(average, model):
        assert (model.weight == 1).all()
        raise RuntimeError("disk")
    assert (model.weight == 3).all()
