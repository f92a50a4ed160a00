"""The state of a run by names, whole, whatever shares it out: read and written as if it lay on one device."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from ctgrid.base.errors import CtgridError
from ctgrid.methods.training.parallel import (
    ModelState,
    OptimizerState,
    averaged_state,
    shard,
    shared_like,
    whole,
)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    made = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    made[0].bias.requires_grad_(False)
    return made


def trained(seed: int, steps: int = 3) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return a network and an optimizer that have made some steps."""
    model = network(seed)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for step in range(steps):
        optimizer.zero_grad()
        model(torch.randn(5, 3, generator=torch.Generator().manual_seed(step))).square().mean().backward()
        optimizer.step()
    return model, optimizer


def test_a_model_comes_back_to_the_bit_and_what_is_missing_is_named() -> None:
    state = ModelState(trained(0)[0]).state_dict()
    other = network(1)
    ModelState(other).load_state_dict(state)
    assert all(torch.equal(value, state[name]) for name, value in other.state_dict().items())
    for wrong in ({n: t for n, t in state.items() if n != "0.bias"}, state | {"extra": torch.zeros(1)}):
        with pytest.raises(KeyError, match=r"weights differ in (0\.bias|extra)"):
            ModelState(other).load_state_dict(wrong)


def test_an_optimizer_goes_on_as_the_one_that_was_saved() -> None:
    """By the parameters' names; what is not trained has no moments, and counters keep their type."""
    model, optimizer = trained(0)
    kept = {"model": ModelState(model).state_dict(), "optimizer": OptimizerState(model, optimizer).state_dict()}
    assert set(kept["optimizer"]["moments"]) == {n for n, p in model.named_parameters() if p.requires_grad}
    again, other = trained(7, steps=1)
    ModelState(again).load_state_dict(kept["model"])
    OptimizerState(again, other).load_state_dict(kept["optimizer"])
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(99))
    for one, optim in ((model, optimizer), (again, other)):
        optim.zero_grad()
        one(x).square().mean().backward()
        optim.step()
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_an_accelerated_optimizer_is_unwrapped_and_its_rate_taken_over() -> None:
    model, optimizer = trained(0)

    class Wrapped:
        def __init__(self, inner: Any) -> None:
            self.optimizer = inner

    state = OptimizerState(model, Wrapped(optimizer)).state_dict()
    state["groups"][0]["lr"] = 0.025
    OptimizerState(model, optimizer).load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] == 0.025 and optimizer.param_groups[0]["params"]


def test_averages_replace_parameters_and_buffers_stay() -> None:
    model, _ = trained(0)
    state = ModelState(model).state_dict()
    shadows = [torch.full_like(p, float(i)) for i, p in enumerate(model.parameters())]
    made = averaged_state(model, state, {"shadow_params": shadows})
    assert set(made) == set(state) and torch.equal(made["1.running_mean"], state["1.running_mean"])
    assert [float(made[name].flatten()[0]) for name, _ in model.named_parameters()] == [0, 1, 2, 3, 4, 5]


def test_what_is_not_shared_out_is_itself() -> None:
    tensor = torch.arange(3.0)
    assert whole(tensor) is tensor
    made = shared_like(tensor, torch.zeros(3, dtype=torch.float16))
    assert made.dtype == torch.float16 and made.tolist() == [0, 1, 2] and made is not tensor


@pytest.mark.parametrize(("precision", "words"), [("fp16", "not 'fp16'"), ("bf16", "needs two processes or more")])
def test_sharding_says_what_it_needs(precision: str, words: str) -> None:
    with pytest.raises(CtgridError, match=words):
        shard(network(), torch.device("cpu"), precision)
