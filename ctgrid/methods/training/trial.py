"""How long a training step takes here: a shallow network on small latents, timed, and continued by its arithmetic."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ctgrid.base.devices import wait_for
from ctgrid.base.precision import autocast, recipe_dtype
from ctgrid.methods.training.batches import Batches
from ctgrid.methods.training.config import TrainConfig
from ctgrid.methods.training.empty import codec_or_stand_in, empty_task
from ctgrid.methods.training.meter import Meter, imagined
from ctgrid.methods.training.muon import build_optimizer
from ctgrid.methods.training.optimisation import Optimisation
from ctgrid.methods.training.recipes import DiffusionRecipe, GridRecipe
from ctgrid.methods.training.task import Task
from ctgrid.methods.training.trainer import prepare_network

TRIAL_FLOPS = 3e10
"""Arithmetic of one timed pass, about, where a recipe can be made so small: below a second on a small CPU."""

BUDGET_S = 4.0
"""Where trials would take longer, as bf16 does on a CPU without it, products of matrices are timed instead."""

WEIGHT = 0.01
"""Of trial networks: numbers of common size, as tiny ones may take longer."""

BLOCKS = 1
"""Of a network that is timed in the place of one with more: all take the same."""

PART = 6_000_000
"""Of the weights, about, whose update is timed: more than caches hold, and it takes as long for each number."""

REPEATS = 3
ENOUGH_S = 0.4
"""After so long nothing is timed again: a busy machine makes everything take long."""

PROBE = 256


def step_seconds(
    config: TrainConfig, device: torch.device, flops: float, block_flops: float, parameters: int
) -> tuple[float, str]:
    """Return the seconds of an optimizer step on a device, and how they were found.

    Args:
        config: the recipe.
        device: where to measure.
        flops: floating point operations of an optimizer step, forward and backward.
        block_flops: those of one block of the network in it; 0 for a network without repeated blocks.
        parameters: of the network.
    """
    settings, part = config.optimisation, config.recipe
    affordable = BUDGET_S * product_rate(device, recipe_dtype(settings.precision)) / (REPEATS + 1)
    instead = flops * BUDGET_S / affordable / (REPEATS + 1), f"products of matrices timed on this {device.type}"
    if not block_flops or not isinstance(part, DiffusionRecipe):
        micro, each = settings.batch_size // settings.accumulate, flops / settings.batch_size
        if each > affordable:
            return instead
        size = max(1, min(micro, round(TRIAL_FLOPS / each)))
        trial = Trial(empty_task(config), settings, config.seed, size, device)
        trial.once()
        work, update = trial.best()
        update *= parameters / trial.parameters
        return work * micro / size * settings.accumulate + update, f"timed on this {device.type}"
    small, each = shrunk(part, BLOCKS * block_flops / settings.batch_size)
    if each > affordable:
        return instead
    few = small.model_copy(update={"network": {**part.network, "depth": min(BLOCKS, depth_of(part))}})
    trial = Trial(empty_task(config.model_copy(update={config.kind: few})), settings, config.seed, 1, device)
    counted = trial.flops()  # and warms up
    work, update = trial.best()
    how = f"blocks of the network timed on this {device.type}"
    return work * flops / counted + update * parameters / trial.parameters, how


def depth_of(part: DiffusionRecipe) -> int:
    """Return the blocks of a recipe's network."""
    return int(part.network.get("depth", 28))


def shrunk(part: DiffusionRecipe, example_flops: float) -> tuple[DiffusionRecipe, float]:
    """Return a recipe on latents so small that an example is no more than a trial should be, if sizes allow that.

    Args:
        part: the recipe.
        example_flops: of an example at the recipe's size.

    Returns:
        The recipe, without its codec's work, and the operations of an example, about.
    """
    unit = codec_or_stand_in(part).downsample * int(part.network.get("patch_size", 2)) * part.factor
    size, ratio = part.size, 1.0
    while example_flops * ratio > TRIAL_FLOPS and size % 2 == 0 and (size // 2) % unit == 0:
        size, ratio = size // 2, ratio / 4
    latents = {"cell_encoding": "cell"} if isinstance(part, GridRecipe) else {}
    return part.model_copy(update={"size": size, **latents}), example_flops * ratio


def product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the floating point operations per second of a small product of matrices, in a number format."""
    a = torch.ones(PROBE, PROBE, device=device, dtype=dtype)
    clocked(lambda: a @ a, device)
    return 2 * PROBE**3 / max(min(clocked(lambda: a @ a, device) for _ in range(REPEATS)), 1e-9)


class Trial:
    """A network that can be timed for a step at a time."""

    def __init__(self, task: Task, settings: Optimisation, seed: int, size: int, device: torch.device) -> None:
        """Build the network, the optimizer and average of a part of it, for batches of ``size`` examples."""
        self.task, self.settings, self.device = task, settings, device
        with imagined():  # fresh weights would take seconds, and any will do
            network = task.build()
        network = prepare_network(network, settings.model_copy(update={"compile": False}))
        self.network = network.to(device)
        for tensor in self.network.state_dict().values():
            tensor.fill_(WEIGHT)
        self.updated = updated_part(self.network, settings)
        self.parameters = sum(p.numel() for p in self.updated.parameters())
        self.optimizer = build_optimizer(self.updated, settings)
        for group in self.optimizer.param_groups:
            group["lr"] = 0.0
        self.average = [p.detach().clone() for p in self.updated.parameters()]
        self.batches = Batches(task, settings.model_copy(update={"loader_threads": 0}), seed, 0, 1, device)
        self.batches.size = size
        self.steps = 0

    def best(self) -> tuple[float, float]:
        """Return the least seconds of forward and backward, and of the part's update, tried as often as time allows."""
        started, found = time.perf_counter(), list[tuple[float, float]]()
        while not found or (len(found) < REPEATS and time.perf_counter() - started < ENOUGH_S):
            found.append(self.once())
        works, updates = zip(*found, strict=True)
        return min(works), min(updates)

    def once(self) -> tuple[float, float]:
        """Return the seconds of forward with backward, and of the update of the part."""
        self.network.zero_grad()
        work = clocked(lambda: loss_pass(self.task, self.network, self._draw(), self.settings), self.device)
        return work, clocked(self._update, self.device)

    def flops(self) -> float:
        """Return the operations of forward with backward, after doing them once."""
        with Meter() as meter:
            loss_pass(self.task, self.network, self._draw(), self.settings)
        self._update()
        return float(meter.flops)

    def _draw(self) -> dict[str, Tensor]:
        self.steps += 1
        return self.batches(self.steps, 0)

    def _update(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.updated.parameters(), self.settings.clip_norm or float("inf"))
        self.optimizer.step()
        torch._foreach_lerp_(self.average, list(self.updated.parameters()), 0.01)
        self.optimizer.zero_grad()


def updated_part(network: nn.Module, settings: Optimisation) -> nn.Module:
    """Return a module with the first of a network's weights, :data:`PART` numbers or few more.

    Muon's work depends on the shapes of matrices, so it is given the whole network.
    """
    if settings.optimizer == "muon":
        return network
    chosen, numbers = list[nn.Parameter](), 0
    for parameter in network.parameters():
        if numbers >= PART:
            break
        chosen.append(parameter)
        numbers += parameter.numel()
    return nn.ParameterList(chosen)


def loss_pass(task: Task, network: nn.Module, batch: dict[str, Tensor], settings: Optimisation) -> None:
    """Run forward and backward."""
    with autocast(next(iter(batch.values())).device, recipe_dtype(settings.precision)):
        loss = task.loss(network, batch)["loss"]
    loss.backward()


def clocked(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that work takes on a device."""
    started = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - started
